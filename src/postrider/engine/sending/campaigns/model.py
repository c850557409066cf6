"""The records of campaigns, and the closed sets they speak in."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from postrider.engine.messages import Stream
from postrider.kit.ids import RowId, nth_id

READ, WRITE = "campaigns:read", "campaigns:write"
KIND = "campaign"


class CampaignStatus(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Part(StrEnum):
    """What a run sends of its campaign."""

    ALL = "all"
    TEST = "test"  # of a split test: the share that tries the variants
    REST = "rest"  # everybody else, with the variant that won
    BATCH = "batch"  # recipients named in a request of their own


class Timing(StrEnum):
    """When each recipient's copy goes, from the campaign's time on."""

    AT_ONCE = "at_once"
    LOCAL = "local"  # at that time of day where the recipient is, by its property `timezone`
    OPTIMIZED = "optimized"  # at the hour it last opened or clicked at, within a day


class Yardstick(StrEnum):
    """What a split test is decided by: people, without scanners, of those delivered."""

    OPENS = "opens"
    CLICKS = "clicks"


@dataclass(frozen=True, slots=True)
class Variant:
    """What one arm of a split test has instead of the campaign's own; None: as the campaign."""

    name: str
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    from_name: str | None = None


@dataclass(frozen=True, slots=True)
class SplitTest:
    """The campaign's own content is variant 1, these follow it."""

    variants: tuple[Variant, ...]
    percent: int  # of the recipients, who get a variant each, evenly
    yardstick: Yardstick
    wait_minutes: int  # from the end of the test's sending to the choice


@dataclass(frozen=True, slots=True)
class Definition:
    """What its author wrote; all that is None is as the organization has it. Kept as JSON."""

    subject: str
    html: str | None = None
    text: str | None = None
    from_name: str | None = None
    from_email: str | None = None
    reply_to: str | None = None
    list_id: RowId | None = None
    segment_id: RowId | None = None
    template_id: RowId | None = None
    label: str | None = None  # its author's own kind of campaign: "onboarding"
    timezone: str | None = None  # IANA
    timing: Timing = Timing.AT_ONCE
    batch_size: int | None = None  # recipients that are due together
    batch_delay_s: float = 0.0  # from one batch to the next
    values: dict[str, Any] = field(default_factory=dict)  # that fill every copy alike
    defaults: dict[str, Any] = field(default_factory=dict)  # where nothing is known of a recipient
    switches: dict[str, bool] = field(default_factory=dict)  # track_opens, track_clicks, auto_footer, …
    split_test: SplitTest | None = None

    def tracks(self, what: str) -> bool | None:
        """Whether copies are tracked; None: as the organization has it. Without `analytics` nothing is."""
        return False if self.switches.get("analytics") is False else self.switches.get(what)


@dataclass(frozen=True, slots=True)
class Campaign:
    organization_id: int
    id: RowId
    kind: str
    name: str
    status: CampaignStatus
    definition: Definition
    created_by: RowId | None
    total: int
    accepted: int
    skipped: int
    created_at: int
    updated_at: int
    scheduled_at: int | None = None
    started_at: int | None = None
    expanded_at: int | None = None
    resumed_at: int | None = None
    ended_at: int | None = None
    run_id: RowId | None = None
    reason: str | None = None
    winner: int | None = None

    @property
    def sent_at(self) -> int | None:
        """When the last of it was handed over; None before, and where it never came to that."""
        return self.ended_at if self.status is CampaignStatus.SENT else None


class Target(NamedTuple):
    """A recipient that a campaign names itself."""

    address: str
    address_key: str
    values: dict[str, Any] | None


class Once(NamedTuple):
    """A caller's key for one request, and what the request is recognised by."""

    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """A run for people named in one request: how many it goes to, and (address, why) of the others."""

    run_id: RowId
    campaign_id: RowId
    created_at: int
    accepted: int
    refused: list[tuple[str, str]]
    is_replay: bool = False

    def message_id(self, number: int) -> RowId:
        """Of the `number`th (from 0) of those it goes to: the message is made in the background."""
        return nth_id(self.run_id, number)


class Position(NamedTuple):
    """Where a page of a list ended: the value it is sorted by, and the row's id."""

    value: int | str | bytes
    id: RowId


STREAM = Stream.BROADCAST
