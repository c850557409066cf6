"""Opens, clicks and opt-outs: taken in fast, recorded as events a little later; and mailed reports."""

from postrider.engine.engagement.agents import device_of
from postrider.engine.engagement.feedback import Done, take
from postrider.engine.engagement.follow import HITS_AT_ONCE, due_hits, record_hits
from postrider.engine.engagement.intake import Intake
from postrider.engine.engagement.links import Target, target_of, unsubscribe
from postrider.engine.engagement.model import Hit, HitKind
from postrider.engine.engagement.optouts import Back, Visit, resubscribe, visit_of
from postrider.engine.engagement.sources import Sources

__all__ = [
    "HITS_AT_ONCE",
    "Back",
    "Done",
    "Hit",
    "HitKind",
    "Intake",
    "Sources",
    "Target",
    "Visit",
    "device_of",
    "due_hits",
    "record_hits",
    "resubscribe",
    "take",
    "target_of",
    "unsubscribe",
    "visit_of",
]
