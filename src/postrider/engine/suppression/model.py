"""Entries of the suppression table, and what they mean for one message."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import TypedDict

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


class Source(StrEnum):
    """Who made an entry."""

    SYSTEM = "system"
    API = "api"
    MANUAL = "manual"
    LINK = "link"  # a click on the page that a link leads to
    ONE_CLICK = "one-click"  # a mail program's button (RFC 8058)
    MAIL = "mail"  # a mail to the unsubscribe address
    FEEDBACK_LOOP = "feedback-loop"  # a report of the mailbox's provider
    SIMULATOR = "simulator"
    CONSENT = "consent"  # a contact's record says no to marketing


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
    expires_at: int | None = None  # ms; from then on it counts for nothing. None: it stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Entry):
    """An entry as it stands in the table."""

    id: RowId
    created_at: int
    is_allowed: bool = False  # a block that an allow entry overrides


@dataclass(frozen=True, slots=True)
class OperatorEntry:
    """An address that the operator refuses for every organization; `reason` is told to operators only."""

    address_key: str
    reason: str
    created_at: int


class Filter(TypedDict, total=False):
    """What a list of entries may be narrowed to; an empty sequence or None narrows nothing.

    `pattern` is a part of the address (its `*` stand for anything), or the whole where `address_key` is
    given; `since` and `until` are ms, the end not included.
    """

    before: RowId | None
    classes: Sequence[Class]
    scopes: Sequence[Scope]
    reasons: Sequence[str]
    sources: Sequence[str]
    scope_id: str | None
    address_key: str | None
    pattern: str | None
    since: int | None
    until: int | None
