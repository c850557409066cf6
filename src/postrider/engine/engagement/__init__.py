"""Opens, clicks and opt-outs: taken in fast, recorded as events a little later."""

from postrider.engine.engagement.follow import due_hits, record_hits
from postrider.engine.engagement.intake import Hit, HitKind, Intake
from postrider.engine.engagement.links import Target, target_of, unsubscribe

__all__ = ["Hit", "HitKind", "Intake", "Target", "due_hits", "record_hits", "target_of", "unsubscribe"]
