"""The status state machine: which mark may follow which status, written out.

Late and doubled marks are expected: a bounce report after a delivery adds its mark and leaves `delivered`; an
opening never changes the status; what ended stays ended.
"""

from enum import Enum

from postrider.engine.messages.model import Status


class Mark(Enum):
    """What can befall a message; its first time is kept in the column first_<value>_at."""

    SENT = "sent"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    OPENED = "opened"
    HUMAN_OPENED = "human_opened"
    CLICKED = "clicked"
    HUMAN_CLICKED = "human_clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


STATUS_AFTER = {
    Mark.DELIVERED: Status.DELIVERED,
    Mark.DEFERRED: Status.DEFERRED,
    Mark.BOUNCED: Status.BOUNCED,
    Mark.FAILED: Status.FAILED,
    Mark.SUPPRESSED: Status.SUPPRESSED,
    Mark.CANCELLED: Status.CANCELLED,
}
# Marks without a first_*_at column of their own: the journal keeps their times.
UNTIMED = {Mark.DEFERRED, Mark.FAILED, Mark.SUPPRESSED, Mark.CANCELLED}
COUNTERS = {Mark.OPENED: "opens", Mark.CLICKED: "clicks"}
