"""A job to attempt, and its outcome: values that cross from the store to the network and back."""

from dataclasses import field
from enum import StrEnum

from postrider.engine.content.model import Prepared
from postrider.engine.delivery.classify import Classified
from postrider.engine.delivery.dkim import Key
from postrider.engine.journal import EventKind
from postrider.engine.messages import Claimed, Content
from postrider.kit.record import record


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


@record
class Job:
    """A claimed message with all an attempt needs; nothing in it reaches the store."""

    claimed: Claimed
    content: Content
    prepared: Prepared | None  # None where the body is gone
    keys: tuple[Key, ...]
    domain: str  # the sending domain, for Message-ID
    is_active: bool  # the organization may send
    return_path: str | None = None  # the host that bounces go to; None: the installation's
    suppressed: str | None = None  # why its recipient may not be mailed any more


@record
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
    classified: Classified | None = None  # what the reply means; None where nobody was asked
    transcript: tuple[str, ...] = field(default=())
    captured: bytes | None = None  # the mail, where it was kept instead of sent
    aftermath: EventKind | None = None  # what the simulator lets follow a delivery
    hosts_left: int = 0  # hosts of the recipient's domain that were not tried in this attempt

    @property
    def rule(self) -> str | None:
        return self.classified.rule if self.classified else None

    @property
    def bounce_class(self) -> str | None:
        return self.classified.bounce_class if self.classified else None

    @property
    def back_off_s(self) -> int | None:
        """How long the whole site should rest."""
        return self.classified.back_off_s if self.classified else None


@record
class Elsewhere:
    """Not an outcome: the message waits at the wrong site and belongs to `site`; nothing was tried."""

    site: str


@record
class Moved:
    """A job that belongs to another site: it goes to that site's lane, untried."""

    job: Job
    site: str


@record
class Result:
    """An attempt that was made: its job, its outcome, and how long it took."""

    job: Job
    outcome: Outcome
    started_at: int
    duration_ms: int
