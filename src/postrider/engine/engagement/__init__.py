"""Opens, clicks and opt-outs: taken in fast, recorded as events a little later; and mailed reports."""

from postrider.engine.engagement.feedback import Done, take
from postrider.engine.engagement.follow import due_hits, record_hits
from postrider.engine.engagement.intake import Hit, HitKind, Intake
from postrider.engine.engagement.links import Target, target_of, unsubscribe

__all__ = [
    "Done",
    "Hit",
    "HitKind",
    "Intake",
    "Target",
    "due_hits",
    "record_hits",
    "take",
    "target_of",
    "unsubscribe",
]
