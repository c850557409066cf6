"""Criteria as a condition of SQL on contacts."""

from postrider.engine.audience.segments.compiled.store import SAMPLE_SHARE, condition, is_long, make_room

__all__ = ["SAMPLE_SHARE", "condition", "is_long", "make_room"]
