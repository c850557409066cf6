"""The event log: `record` is its one writer, the tail is how others hear of it."""

from postrider.engine.journal.corrections import (
    HITS,
    Correction,
    Whose,
    correct,
    corrected,
    correction_of,
    whose,
)
from postrider.engine.journal.follow import Follower
from postrider.engine.journal.model import Event, EventKind
from postrider.engine.journal.record import SHARDS, record
from postrider.engine.journal.store import (
    add_shards,
    at_the_moment_of,
    drop_old,
    hits_since,
    not_followed,
    of_messages,
    oldest,
    page_after,
    parked_count,
    release_shards,
    tail_age,
    tail_length,
    times,
)

__all__ = [
    "HITS",
    "SHARDS",
    "Correction",
    "Event",
    "EventKind",
    "Follower",
    "Whose",
    "add_shards",
    "at_the_moment_of",
    "correct",
    "corrected",
    "correction_of",
    "drop_old",
    "hits_since",
    "not_followed",
    "of_messages",
    "oldest",
    "page_after",
    "parked_count",
    "record",
    "release_shards",
    "tail_age",
    "tail_length",
    "times",
    "whose",
]
