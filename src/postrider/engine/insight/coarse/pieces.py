"""Which rows make up a time: the coarsest there are in its middle, finer ones at its ends."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from postrider.engine.insight.tally import BUCKET_MS
from postrider.kit import clock

FINE = BUCKET_MS
WEEK = 7 * clock.DAY
STEPS = (clock.HOUR, clock.DAY)
TAG_STEPS = (*STEPS, WEEK)  # rows of a tag are many: of months, days would be too many


class Piece(NamedTuple):
    """A part of the span that begins at `span`: the buckets of one step, from `since` to before `until`."""

    span: int
    step: int
    since: int
    until: int


def pieces_of(since: int, until: int, steps: Sequence[int]) -> Iterator[Piece]:
    """In order, two a step at most and one of the coarsest; both times are whole quarters of an hour."""
    span, sizes = since, (FINE, *steps)
    for step, up in pairwise(sizes):
        begin = min(-(-since // up) * up, until)
        if begin > since:
            yield Piece(span, step, since, begin)
            since = begin
    for step in reversed(sizes):
        end = until - until % step
        if end > since:
            yield Piece(span, step, since, end)
            since = end
