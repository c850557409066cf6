"""Counts from the journal: rollups per quarter of an hour, from which every report is summed."""

from postrider.engine.insight.follow import count

__all__ = ["count"]
