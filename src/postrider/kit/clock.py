"""The only wall clock. Times are integer milliseconds since 1970, UTC, everywhere and in every `*_at`."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def _system_ms() -> int:
    return time.time_ns() // 1_000_000


_source: Callable[[], int] = _system_ms


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00:00Z."""
    return _source()


def set_source(source: Callable[[], int] | None) -> None:
    """Replace the clock (tests own time this way); None gives the system's clock back."""
    global _source
    _source = source or _system_ms


def to_datetime(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def to_iso(at_ms: int) -> str:
    """RFC 3339 with milliseconds: 2026-01-18T12:34:56.000Z."""
    return to_datetime(at_ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def from_iso(text: str, zone: tzinfo = UTC) -> int:
    """Milliseconds of an ISO 8601 time; without an offset it is read in `zone`. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return int(moment.timestamp() * 1000)
