"""When complaints are too many: pure.

Mailbox providers ask for less than 0.1 % and refuse senders from 0.3 % on (as the large ones publish it).
What they see of one organization falls on all who send from the same addresses, so it is paused first.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from postrider.engine.messages import Stream
from postrider.kit import clock

WARN_AT = 0.001
PAUSE_AT = 0.003
WINDOWS_MS = (clock.DAY, 7 * clock.DAY)  # the first that has a sample is judged: what is new counts most
SAMPLE_MIN = 200  # mails delivered; fewer say nothing
COMPLAINTS_MIN = 3  # one person's mood is none
# A receipt or a password reset that does not come harms more people than complaints about it help.
NEVER_PAUSED = frozenset({Stream.TRANSACTIONAL})


class Verdict(Enum):
    FINE = auto()
    WARN = auto()
    PAUSE = auto()


class Tally(NamedTuple):
    """What happened to a stream's mail in one of the windows."""

    window_ms: int
    delivered: int
    complained: int


class Judged(NamedTuple):
    """A verdict, and the window it rests on; none where no window had a sample."""

    verdict: Verdict
    tally: Tally | None = None

    @property
    def rate(self) -> float:
        return self.tally.complained / self.tally.delivered if self.tally else 0.0


def judge(stream: Stream, tallies: Sequence[Tally]) -> Judged:
    """By the shortest window that has a sample. Complaints that came in are of mail delivered until then."""
    for tally in sorted(tallies):
        if tally.delivered < SAMPLE_MIN or tally.complained < COMPLAINTS_MIN:
            continue
        rate = tally.complained / tally.delivered
        if rate >= PAUSE_AT and stream not in NEVER_PAUSED:
            return Judged(Verdict.PAUSE, tally)
        return Judged(Verdict.WARN if rate >= WARN_AT else Verdict.FINE, tally)
    return Judged(Verdict.FINE)
