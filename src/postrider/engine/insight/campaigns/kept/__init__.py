"""All counts of campaigns as they are kept, and as they should be: what a rebuild compares."""

from postrider.engine.insight.campaigns.kept.store import campaigns, fine, firsts, summed, wanted

__all__ = ["campaigns", "fine", "firsts", "summed", "wanted"]
