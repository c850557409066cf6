"""The event log: `record` is its one writer, the tail is how others hear of it."""

from postrider.engine.journal.model import Event, EventKind
from postrider.engine.journal.record import record

__all__ = ["Event", "EventKind", "record"]
