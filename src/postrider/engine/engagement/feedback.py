"""What a report that came back as mail does to the message it is about: `take`. It reads no mail itself."""

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
from postrider.kit.ids import RowId
from postrider.kit.seal import Sealer

REPLY_MAX_CHARS = 500


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
        case Bounce():
            return _on_message(tx, sealer, report.token, lambda row: _bounced(tx, row, report))
        case Complaint(feedback_type=FeedbackType.OPT_OUT):
            return _on_message(tx, sealer, report.token, lambda row: _opted_out(tx, row, "feedback-loop"))
        case Complaint() if report.is_objection:
            return _on_message(tx, sealer, report.token, lambda row: _complained(tx, row, report))
        case Unsubscribe():
            return _on_message(tx, sealer, report.token, lambda row: _opted_out(tx, row, "mail"))
        case Complaint():
            return Done.NO_OBJECTION
        case Delayed():
            return Done.DELAYED
        case Delivered():
            return Done.DELIVERED
        case AutoReply():
            return Done.AUTO_REPLY
        case Unknown():
            return Done.UNKNOWN
