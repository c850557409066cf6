"""Guards: an organization's stream that too many complain about is warned of, then paused."""

from postrider.engine.sending.guards.control import (
    JUDGED_AFTER_MS,
    due,
    follower,
    resume,
    settle,
    streams_of,
)
from postrider.engine.sending.guards.rules import (
    COMPLAINTS_MIN,
    NEVER_PAUSED,
    PAUSE_AT,
    SAMPLE_MIN,
    WARN_AT,
    WINDOWS_MS,
    Judged,
    Tally,
    Verdict,
    judge,
)
from postrider.engine.sending.guards.store import Watched

__all__ = [
    "COMPLAINTS_MIN",
    "JUDGED_AFTER_MS",
    "NEVER_PAUSED",
    "PAUSE_AT",
    "SAMPLE_MIN",
    "WARN_AT",
    "WINDOWS_MS",
    "Judged",
    "Tally",
    "Verdict",
    "Watched",
    "due",
    "follower",
    "judge",
    "resume",
    "settle",
    "streams_of",
]
