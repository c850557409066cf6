"""A job to attempt, and its outcome: values that cross from the store to the network and back."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from postrider.engine.delivery.dkim import Key
from postrider.engine.journal import EventKind
from postrider.engine.messages import Claimed, Content


class Verdict(StrEnum):
    DELIVERED = "delivered"
    DEFERRED = "deferred"  # the far end, or the way there, failed for now
    BOUNCED = "bounced"  # refused for good
    FAILED = "failed"  # cannot be sent at all: faulty template, no ASCII address for this peer
    SUPPRESSED = "suppressed"  # may not be mailed any more
    UNREACHABLE = "unreachable"  # nobody answered: the site's trouble, not this message's


class Via(StrEnum):
    DIRECT = "direct"
    RELAY = "relay"
    CAPTURE = "capture"
    SIMULATOR = "simulator"


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed message with all an attempt needs; nothing in it reaches the store."""

    claimed: Claimed
    content: Content
    prepared: Any  # content.Prepared; None where the body is gone
    keys: tuple[Key, ...]
    domain: str  # the sending domain, for Message-ID
    is_active: bool  # the organization may send
    suppressed: str | None = None  # why its recipient may not be mailed any more


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to."""

    verdict: Verdict
    via: Via
    host: str | None = None
    ip: str | None = None
    tls: str | None = None
    code: int | None = None
    enhanced: str | None = None
    reply: str | None = None
    rule: str | None = None
    bounce_class: str | None = None
    category: str | None = None
    back_off_s: int | None = None  # how long the whole site should rest
    transcript: tuple[str, ...] = field(default=())
    captured: bytes | None = None  # the mail, where it was kept instead of sent
    aftermath: EventKind | None = None  # what the simulator lets follow a delivery
    started_at: int = 0
    duration_ms: int = 0
