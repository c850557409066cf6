"""What a report that came back as mail does to the message it is about: `take`. It reads no mail itself."""

import re
from enum import StrEnum
from typing import Any

from postrider.db.database import AnyRow, Tx
from postrider.engine import journal, messages
from postrider.engine.delivery.classify import BounceClass
from postrider.engine.delivery.feedback import (
    AutoReply,
    Bounce,
    Complaint,
    Delayed,
    Delivered,
    FeedbackType,
    Report,
    Unknown,
    Unsubscribe,
)
from postrider.engine.engagement.links import unsubscribe
from postrider.engine.journal import Event, EventKind
from postrider.kit import clock
from postrider.kit.seal import Sealer

REPLY_MAX_CHARS = 500
_TYPE = re.compile(r"\A\s*(?:smtp|x-[a-z0-9-]+)\s*;\s*", re.IGNORECASE)  # RFC 3464 2.3.6: not their words


class Done(StrEnum):
    """What a report did; only the first three leave an event."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    REPEATED = "repeated"  # it says what was known
    NAMELESS = "nameless"  # it names no message of ours
    GONE = "gone"  # the message is no longer kept
    NO_OBJECTION = "no-objection"  # feedback that nobody complained with
    DELAYED = "delayed"
    DELIVERED = "delivered"
    AUTO_REPLY = "auto-reply"
    UNKNOWN = "unknown"


def take(tx: Tx, sealer: Sealer, report: Report) -> Done:
    """Record what the report says of its message, with what follows from it; a repeat does nothing."""
    match report:
        case Bounce() | Complaint() | Unsubscribe():
            return _about_message(tx, sealer, report)
        case Delayed():
            return Done.DELAYED
        case Delivered():
            return Done.DELIVERED
        case AutoReply():
            return Done.AUTO_REPLY
        case Unknown():
            return Done.UNKNOWN


def _about_message(tx: Tx, sealer: Sealer, report: Bounce | Complaint | Unsubscribe) -> Done:
    if isinstance(report, Complaint) and not report.is_objection:
        return Done.NO_OBJECTION
    known = sealer.read_message_token(report.token) if report.token else None
    if known is None:
        return Done.NAMELESS
    row = messages.one(tx, *known)
    if row is None:
        return Done.GONE
    match report:
        case Bounce():
            return _bounced(tx, row, report)
        case Complaint(feedback_type=FeedbackType.OPT_OUT):
            return _opted_out(tx, row, "feedback-loop")
        case Complaint():
            return _complained(tx, row, report)
        case Unsubscribe():
            return _opted_out(tx, row, "mail")


def _bounced(tx: Tx, row: AnyRow, report: Bounce) -> Done:
    if _is_said(tx, row, report.bounce_class):
        return Done.REPEATED
    data = {
        "class": report.bounce_class.value,
        "code": report.code,
        "enhanced": report.enhanced,
        "reply": _TYPE.sub("", report.diagnostic)[:REPLY_MAX_CHARS],
        "rule": report.rule,
        "source": "report",
        "reporting_mta": report.reporting_mta,
    }
    source_id = f"bounce-report:{report.bounce_class.value}:{row.id.hex()}"
    return _record(tx, row, EventKind.BOUNCED, data, source_id, Done.BOUNCED)


def _is_said(tx: Tx, row: AnyRow, bounce_class: BounceClass) -> bool:
    """Whether a bounce of that class is known, of an attempt or a report; a soft one adds to no other."""
    if row.first_bounced_at is None:
        return False
    events = journal.of_messages(tx, row.organization_id, [row.id])
    said = {(event.data or {}).get("class") for event in events if event.kind is EventKind.BOUNCED}
    return bounce_class is BounceClass.SOFT or bounce_class.value in said


def _complained(tx: Tx, row: AnyRow, report: Complaint) -> Done:
    data = {"type": report.feedback_type.value, "source": "feedback-loop"}
    return _record(tx, row, EventKind.COMPLAINED, data, f"complained:{row.id.hex()}", Done.COMPLAINED)


def _opted_out(tx: Tx, row: AnyRow, source: str) -> Done:
    unsubscribe(tx, row.organization_id, row.id, source=source)
    return Done.UNSUBSCRIBED


def _record(tx: Tx, row: AnyRow, kind: EventKind, data: dict[str, Any], source_id: str, done: Done) -> Done:
    """The event, once for its source_id."""
    event = Event(
        organization_id=row.organization_id,
        kind=kind,
        at=clock.now_ms(),
        message_id=row.id,
        campaign_id=row.campaign_id,
        data=data,
        source_id=source_id,
    )
    return done if journal.record(tx, [event]) else Done.REPEATED
