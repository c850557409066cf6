"""Bounces and complaints as the journal has them: the log people read, and soft bounces in a row."""

from postrider.engine.journal.bounces.follow import (
    SOFT_BOUNCES_MAX,
    SOFT_BOUNCES_WITHIN_MS,
    suppress_soft,
)
from postrider.engine.journal.bounces.store import COUNT_MAX, Class, Filter, count, ends, page

__all__ = [
    "COUNT_MAX",
    "SOFT_BOUNCES_MAX",
    "SOFT_BOUNCES_WITHIN_MS",
    "Class",
    "Filter",
    "count",
    "ends",
    "page",
    "suppress_soft",
]
