"""Looking up what happened with a contact. It counts to be one by its address: mail of before is its own."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from postrider.db.database import Tx
from postrider.engine import journal, messages
from postrider.engine.audience import contacts
from postrider.engine.audience.activity import store
from postrider.engine.audience.activity.store import Part
from postrider.engine.journal import Event, EventKind, search
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId
from postrider.kit.record import record

EMAILS_MAX = 1_000
TOLD_MAX = 20  # mails of one page, the newest, whose events are told
MAILS_MAX = 1_000  # the newest of a contact, of which a time line tells
HAPPENINGS_MAX = 1_000


@record
class Email:
    """A message as `messages.one` has it, its last bounce, and its events where they are told."""

    message: Any
    bounce: Event | None
    events: Sequence[Event]


@record
class Happening:
    """An event and its message as `messages.one` has it; None where it is about none, or that is gone."""

    event: Event
    message: Any


def emails(
    tx: Tx, principal: Principal, contact_id: RowId, *, limit: int, offset: int = 0
) -> tuple[list[Email], int]:
    """Mail to a contact's address, newest first, and how much there is, counted to messages.COUNT_MAX.

    Events are told of the newest TOLD_MAX. Raises NotFound.
    """
    contact = contacts.get(tx, principal, contact_id)
    organization_id, key = contact.organization_id, contact.address_key
    limit = min(limit, EMAILS_MAX)
    rows = messages.search(tx, organization_id, limit=limit, offset=offset, address_key=key)
    told: dict[RowId | None, list[Event]] = defaultdict(list)
    newest = [row.id for row in rows[: max(0, TOLD_MAX - offset)]]
    for event in journal.of_messages(tx, organization_id, newest) if newest else ():
        told[event.message_id].append(event)
    bounced = [row.id for row in rows if row.first_bounced_at is not None]
    bounces: dict[RowId | None, Event] = {}
    if bounced:
        kinds = {EventKind.BOUNCED}
        for event in search.page(tx, organization_id, limit=EMAILS_MAX, kinds=kinds, message_ids=bounced):
            bounces.setdefault(event.message_id, event)
    found = [Email(row, bounces.get(row.id), told.get(row.id, [])) for row in rows]
    return found, messages.count(tx, organization_id, address_key=key)


def timeline(tx: Tx, principal: Principal, contact_id: RowId, part: Part) -> list[Happening]:
    """Events of the contact and of its newest MAILS_MAX messages, in the order they were recorded.

    Raises NotFound.
    """
    contact = contacts.get(tx, principal, contact_id)
    organization_id = contact.organization_id
    part = replace(part, limit=min(part.limit, HAPPENINGS_MAX))
    of_mail = store.of_mail(tx, organization_id, contact.address_key, part, mails=MAILS_MAX)
    own = store.of_contact(tx, organization_id, contact_id, part)
    found = {event.id: event for event in (*of_mail, *own)}
    order = sorted(found, reverse=part.is_newest_first)
    events = [found[event_id] for event_id in order[: part.limit]]
    ids = list({event.message_id for event in events if event.message_id is not None})
    rows = messages.search(tx, organization_id, limit=len(ids), ids=ids) if ids else []
    by_id = {row.id: row for row in rows}
    return [Happening(event, by_id.get(event.message_id or b"")) for event in events]


def count(tx: Tx, principal: Principal, contact_id: RowId, kinds: Collection[EventKind]) -> int:
    """How many events the time line has, counted to store.COUNT_MAX. Raises NotFound."""
    contact = contacts.get(tx, principal, contact_id)
    return store.count(
        tx, contact.organization_id, contact.address_key, contact_id, kinds=kinds, mails=MAILS_MAX
    )
