"""What follows an attempt: a retry, another host, or an end. Pure: it reads no clock and no store."""

from dataclasses import dataclass

from postrider.engine.delivery.classify import BounceClass, Classified, Verdict
from postrider.engine.messages.model import Status
from postrider.kit.clock import HOUR, MINUTE, SECOND

JITTER_FROM_MS = HOUR
JITTER_PERCENT_MAX = 10


@dataclass(frozen=True, slots=True)
class Schedule:
    """`delays` stand before the 1st, 2nd, … retry, in ms; 0 is another host at once, where there is one."""

    delays: tuple[int, ...] = (0, 15 * MINUTE, HOUR, 4 * HOUR, 24 * HOUR)
    window: int = 48 * HOUR  # no retry begins later than this after the first attempt
    soft_retries: int = 3
    soft_window: int = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, not before `at` (ms)."""

    at: int


@dataclass(frozen=True, slots=True)
class NextHost:
    """Try the next host of the site now; it counts as an attempt."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing follows; `status` is final."""

    status: Status


Step = Retry | NextHost | Done
SCHEDULE = Schedule()


def next_step(
    classified: Classified,
    *,
    attempts: int,
    first_attempt_at: int,
    now: int,
    schedule: Schedule = SCHEDULE,
    hosts_left: int = 0,
    message_id: bytes = b"",
) -> Step:
    """The step after an attempt that came to `classified`; times in ms.

    `attempts` counts those made, this one included; `hosts_left` the hosts of the site that were not tried in
    this round; `message_id` spreads the long delays, which are never shortened.
    """
    assert attempts > 0
    match classified.verdict, classified.bounce_class:
        case Verdict.DELIVERED, _:
            return Done(Status.DELIVERED)
        case Verdict.FAILED, _:
            return Done(Status.FAILED)
        case Verdict.BOUNCED, BounceClass.HARD | BounceClass.BLOCK | None:
            return Done(Status.BOUNCED)
        case _, BounceClass.SOFT:
            delays = schedule.delays[: schedule.soft_retries]
            window, end = schedule.soft_window, Done(Status.BOUNCED)
        case _:
            delays, window, end = schedule.delays, schedule.window, Done(Status.FAILED)
    if attempts > len(delays):
        return end
    delay = delays[attempts - 1]
    if not delay and hosts_left > 0 and classified.back_off_s is None:
        return NextHost()
    # Where there is no other host at once, the retry waits as the next one would.
    delay = delay or next((later for later in delays if later), MINUTE)
    at = now + max(_spread(delay, message_id), (classified.back_off_s or 0) * SECOND)
    return Retry(at) if at <= first_attempt_at + window else end


def _spread(delay: int, message_id: bytes) -> int:
    """Up to a tenth more for the long delays, the same for the same message."""
    if delay < JITTER_FROM_MS:
        return delay
    share = int.from_bytes(message_id[-2:], "big")  # the end of a UUIDv7 is random
    return delay + delay * JITTER_PERCENT_MAX * share // (100 << 16)
