"""When complaints are too many: the table."""

import pytest

from postrider.engine.messages import Stream
from postrider.engine.sending.guards import (
    COMPLAINTS_MIN,
    PAUSE_AT,
    SAMPLE_MIN,
    WARN_AT,
    WINDOWS_MS,
    Tally,
    Verdict,
    judge,
)

DAY, WEEK = WINDOWS_MS


@pytest.mark.parametrize(
    ("stream", "tallies", "verdict", "window_ms"),
    [
        (Stream.BROADCAST, [(DAY, 10_000, 9)], Verdict.FINE, DAY),
        (Stream.BROADCAST, [(DAY, 10_000, 10)], Verdict.WARN, DAY),
        (Stream.BROADCAST, [(DAY, 10_000, 29)], Verdict.WARN, DAY),
        (Stream.BROADCAST, [(DAY, 10_000, 30)], Verdict.PAUSE, DAY),
        (Stream.SHARED, [(DAY, 10_000, 30)], Verdict.PAUSE, DAY),
        (Stream.TRANSACTIONAL, [(DAY, 10_000, 30)], Verdict.WARN, DAY),
        (Stream.TRANSACTIONAL, [(DAY, 10_000, 3_000)], Verdict.WARN, DAY),
        (Stream.BROADCAST, [(DAY, SAMPLE_MIN - 1, 50)], Verdict.FINE, None),
        (Stream.BROADCAST, [(DAY, SAMPLE_MIN, COMPLAINTS_MIN - 1)], Verdict.FINE, None),
        (Stream.BROADCAST, [(DAY, SAMPLE_MIN, COMPLAINTS_MIN)], Verdict.PAUSE, DAY),
        # What was well for a week and is bad today is bad; what has no day's sample is judged by the week.
        (Stream.BROADCAST, [(WEEK, 100_000, 40), (DAY, 1_000, 30)], Verdict.PAUSE, DAY),
        (Stream.BROADCAST, [(DAY, 100, 3), (WEEK, 2_000, 4)], Verdict.WARN, WEEK),
        (Stream.BROADCAST, [(DAY, 0, 0), (WEEK, 0, 0)], Verdict.FINE, None),
    ],
)
def test_a_stream_is_judged_by_the_shortest_window_with_a_sample(
    stream: Stream, tallies: list[tuple[int, int, int]], verdict: Verdict, window_ms: int | None
) -> None:
    judged = judge(stream, [Tally(*each) for each in tallies])
    assert judged.verdict is verdict
    assert (judged.tally.window_ms if judged.tally else None) == window_ms


def test_the_thresholds_are_those_that_providers_publish() -> None:
    assert (WARN_AT, PAUSE_AT) == (0.001, 0.003)
