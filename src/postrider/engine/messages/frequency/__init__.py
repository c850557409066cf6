"""How often an address was mailed of late, for caps on how often it may be: read only."""

from postrider.engine.messages.frequency.store import NEWEST_MAX, recently_mailed

__all__ = ["NEWEST_MAX", "recently_mailed"]
