"""Entries of the suppression table, and what they mean for one message."""

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

from postrider.kit.ids import RowId


class Scope(IntEnum):
    """How far an entry reaches."""

    ORGANIZATION = 1
    DOMAIN = 2  # one sending domain
    LIST = 3
    STREAM = 4


class Class(IntEnum):
    BLOCK = 1  # the address bounced or complained: mailing it harms
    OPTOUT = 2  # its owner asked for it
    ALLOW = 3  # overrides blocks, never opt-outs


class Reason(StrEnum):
    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCES = "soft_bounces"
    COMPLAINT = "complaint"
    UNSUBSCRIBED = "unsubscribed"
    MANUAL = "manual"
    OPERATOR = "operator"


class Verdict(Enum):
    FREE = "free"
    SUPPRESSED = "suppressed"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class Entry:
    organization_id: int
    address_key: str
    scope: Scope
    scope_id: str
    class_: Class
    reason: str
    source: str
    message_id: RowId | None = None
    note: str | None = None
