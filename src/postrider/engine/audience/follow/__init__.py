"""What follows for contacts from events and entries: counters, score, engagements, and their status."""

from postrider.engine.audience.follow.fade import FADED_AT_ONCE, Place, fade
from postrider.engine.audience.follow.follow import follower
from postrider.engine.audience.follow.project import PROJECTED_AT_ONCE, has_changes, project
from postrider.engine.audience.follow.rules import score

__all__ = [
    "FADED_AT_ONCE",
    "PROJECTED_AT_ONCE",
    "Place",
    "fade",
    "follower",
    "has_changes",
    "project",
    "score",
]
