"""What people do with mail beside its flow: cancel it, requeue it, follow its way, read what was captured.

Refuses to touch what a worker holds at this moment, and to send again what was delivered or suppressed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from postrider.db.database import AnyRow, Tx
from postrider.engine import journal, messages
from postrider.engine.delivery.store import (
    Captured,
    count_captured,
    delete_captured,
    list_captured,
    one_captured,
    trim_captured,
)
from postrider.engine.errors import NotAllowedNow, NotFound
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Attempt, Status, queue
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

__all__ = [
    "Captured",
    "Journey",
    "cancel",
    "cancel_of_domain",
    "clear_captured",
    "count_captured",
    "delete_captured",
    "forget_captured",
    "journey",
    "list_captured",
    "one_captured",
    "requeue",
    "trim_captured",
]

READ = "messages:read"
WRITE = "messages:write"
CLEARED_AT_ONCE = 200
CANCELLED_AT_ONCE = 500
_HELD = "The message is being delivered at this moment"
_NOT_CANCELLED = {
    Status.QUEUED: _HELD,
    Status.DEFERRED: _HELD,
    Status.DELIVERED: "The message was delivered already",
    Status.BOUNCED: "The message has bounced already",
    Status.FAILED: "The message has failed already",
    Status.SUPPRESSED: "The message was suppressed and never sent",
    Status.CANCELLED: "The message was cancelled already",
}
_NOT_REQUEUED = {
    Status.QUEUED: "The message is queued already",
    Status.DEFERRED: _HELD,
    Status.DELIVERED: "The message was delivered: sending it again would double it",
    Status.SUPPRESSED: "The recipient is suppressed: lift the suppression and send anew",
}


@dataclass(frozen=True, slots=True)
class Journey:
    """A message with all that befell it; `message` is a row as `messages.one` gives it."""

    message: AnyRow
    attempts: list[Attempt]
    events: list[Event]


def cancel(tx: Tx, principal: Principal, message_id: RowId) -> None:
    """Call back a message that waits: it ends as cancelled, with its event. NotFound, NotAllowedNow."""
    principal.require(WRITE)
    message = _existing(tx, principal, message_id)
    # Moving its time holds the row against every claim until this transaction ends.
    if not queue.reschedule(tx, principal.organization_id, [message_id], queue.FAR):
        raise NotAllowedNow(message=_NOT_CANCELLED[Status(_existing(tx, principal, message_id).status)])
    journal.record(
        tx,
        [
            Event(
                organization_id=principal.organization_id,
                kind=EventKind.CANCELLED,
                at=clock.now_ms(),
                message_id=message_id,
                campaign_id=message.campaign_id,
            )
        ],
    )


def cancel_of_domain(tx: Tx, principal: Principal, domain_id: RowId) -> int:
    """Call back what waits from a sending domain, CANCELLED_AT_ONCE at most: call again until 0."""
    principal.require(WRITE)
    organization_id, now = principal.organization_id, clock.now_ms()
    waiting = queue.waiting_of_domain(tx, organization_id, domain_id, CANCELLED_AT_ONCE)
    caught = queue.reschedule(tx, organization_id, waiting, queue.FAR)
    journal.record(
        tx,
        [
            Event(organization_id=organization_id, kind=EventKind.CANCELLED, at=now, message_id=message_id)
            for message_id in caught
        ],
    )
    return len(caught)


def requeue(tx: Tx, principal: Principal, message_id: RowId) -> None:
    """Make what was deferred due now, and queue what bounced, failed or was cancelled once more.

    No event is written: the journal tells what befell a message, and the next attempt will. Suppressions hold
    as for any other attempt. NotFound; NotAllowedNow for other statuses, and where the body is gone.
    """
    principal.require(WRITE)
    message = _existing(tx, principal, message_id)
    now, organization_id = clock.now_ms(), principal.organization_id
    if not messages.bodies(tx, [(organization_id, message.content_id)]):
        raise NotAllowedNow(message="The content of the message is no longer kept")
    if message.status == Status.DEFERRED:
        again = queue.reschedule(tx, organization_id, [message_id], now)
    else:
        again = queue.reopen(tx, organization_id, [message_id], now)
    if not again:
        status = Status(_existing(tx, principal, message_id).status)
        raise NotAllowedNow(message=_NOT_REQUEUED.get(status, _HELD))


def journey(tx: Tx, principal: Principal, message_id: RowId) -> Journey:
    """Its attempts in order, its events oldest first. Raises NotFound."""
    principal.require(READ)
    return Journey(
        _existing(tx, principal, message_id),
        messages.attempts_of(tx, principal.organization_id, message_id),
        journal.of_messages(tx, principal.organization_id, [message_id]),
    )


def clear_captured(tx: Tx, organization_ids: Sequence[int]) -> int:
    """Drop the newest CLEARED_AT_ONCE captured mails; answers how many went: call again until none did."""
    mails = list_captured(tx, organization_ids, limit=CLEARED_AT_ONCE)
    return delete_captured(tx, organization_ids, [mail.id for mail in mails]) if mails else 0


def forget_captured(tx: Tx, organization_id: int, address_key: str) -> int:
    """As clear_captured, of what was caught on its way to one address."""
    mails = list_captured(tx, [organization_id], limit=CLEARED_AT_ONCE, address_key=address_key)
    return delete_captured(tx, [organization_id], [mail.id for mail in mails]) if mails else 0


def _existing(tx: Tx, principal: Principal, message_id: RowId) -> AnyRow:
    message = messages.one(tx, principal.organization_id, message_id)
    if message is None:
        raise NotFound(noun="message")
    return message
