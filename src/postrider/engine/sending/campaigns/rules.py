"""What may happen to a campaign in which status, written out; who gets which variant, and when. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum

from postrider.engine.errors import NotAllowedNow
from postrider.engine.sending.campaigns.model import CampaignStatus, Timing
from postrider.kit import clock
from postrider.kit.ids import RowId

BUCKETS = 10_000
EVERYBODY = 100  # percent
UTC_ZONE = UTC
EARLIEST_AHEAD_MS = 26 * clock.HOUR  # between the zone where a day begins first and the last one


class Step(Enum):
    EDIT = "changed"
    DELETE = "deleted"
    SCHEDULE = "scheduled"
    UNSCHEDULE = "taken back"
    START = "started"
    PAUSE = "paused"
    RESUME = "resumed"
    CANCEL = "cancelled"
    FINISH = "finished"
    FAIL = "failed"


_S = CampaignStatus
# From which statuses a step is taken, and where it leads; None: it stays, or is gone.
STEPS: Mapping[Step, Mapping[CampaignStatus, CampaignStatus | None]] = {
    Step.EDIT: {_S.DRAFT: None, _S.SCHEDULED: None},
    Step.DELETE: {_S.DRAFT: None, _S.SCHEDULED: None, _S.CANCELLED: None, _S.FAILED: None},
    Step.SCHEDULE: {_S.DRAFT: _S.SCHEDULED, _S.SCHEDULED: _S.SCHEDULED},
    Step.UNSCHEDULE: {_S.SCHEDULED: _S.DRAFT},
    Step.START: {_S.DRAFT: _S.SENDING, _S.SCHEDULED: _S.SENDING},
    Step.PAUSE: {_S.SENDING: _S.PAUSED},
    Step.RESUME: {_S.PAUSED: _S.SENDING},
    Step.CANCEL: {
        _S.DRAFT: _S.CANCELLED,
        _S.SCHEDULED: _S.CANCELLED,
        _S.SENDING: _S.CANCELLED,
        _S.PAUSED: _S.CANCELLED,
    },
    Step.FINISH: {_S.SENDING: _S.SENT},
    Step.FAIL: {_S.DRAFT: _S.FAILED, _S.SCHEDULED: _S.FAILED, _S.SENDING: _S.FAILED, _S.PAUSED: _S.FAILED},
}


def after(status: CampaignStatus, step: Step) -> CampaignStatus:
    """The status a step leads to. Raises NotAllowedNow."""
    allowed = STEPS[step]
    if status not in allowed:
        raise NotAllowedNow(message=f"The campaign is {status.value}: it cannot be {step.value} now")
    return allowed[status] or status


def bucket_of(campaign_id: RowId, address_key: str) -> int:
    """0 to BUCKETS - 1: the same for the same recipient of a campaign, whenever it is asked."""
    mark = hashlib.blake2b(address_key.encode(), digest_size=8, key=campaign_id).digest()
    return int.from_bytes(mark) % BUCKETS


def variant_of(bucket: int, percent: int, arms: int) -> int | None:
    """1 to `arms` for those who try a variant, evenly; None for the rest."""
    tested = BUCKETS * percent // 100
    return None if bucket >= tested else 1 + bucket * arms // tested


def begins_at(at: int, timing: Timing) -> int:
    """When the first copy of a campaign may be due: where the day begins first, it is later already."""
    return at - EARLIEST_AHEAD_MS if timing is Timing.LOCAL else at


def local_time(at: int, campaign_zone: tzinfo, own_zone: tzinfo | None) -> int:
    """The instant at which the recipient's clock shows what the campaign's shows at `at`."""
    if own_zone is None:
        return at
    shown = datetime.fromtimestamp(at / 1000, campaign_zone).replace(tzinfo=own_zone)
    return round(shown.timestamp() * 1000)


def hour_like(at: int, last_at: int | None) -> int:
    """The first instant from `at` on, within a day, at the hour (UTC) that `last_at` was in."""
    if last_at is None:
        return at
    from_ = datetime.fromtimestamp(at / 1000, UTC)
    hour = datetime.fromtimestamp(last_at / 1000, UTC).hour
    if hour == from_.hour:
        return at
    wanted = from_.replace(hour=hour, minute=0, second=0, microsecond=0)
    wanted += timedelta(days=1) if wanted < from_ else timedelta()
    return round(wanted.timestamp() * 1000)


BOUNCES_MIN_TRIED = 100  # fewer tell nothing
BOUNCED_MAX, HARD_BOUNCED_MAX = 0.15, 0.10  # of those tried


def bounces_too_much(*, delivered: int, bounced: int, hard: int) -> str | None:
    """Why a campaign has to stop; None where it need not. `bounced` holds the hard ones, too."""
    tried = delivered + bounced
    if tried < BOUNCES_MIN_TRIED:
        return None
    if hard / tried >= HARD_BOUNCED_MAX:
        return (
            f"{hard} of {tried} mails bounced for good ({hard / tried:.0%}; allowed: {HARD_BOUNCED_MAX:.0%})"
        )
    if bounced / tried >= BOUNCED_MAX:
        return f"{bounced} of {tried} mails bounced ({bounced / tried:.0%}; the limit is {BOUNCED_MAX:.0%})"
    return None
