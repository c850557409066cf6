"""Which contacts stand in which group, be it a tag or a list; what all groups do alike."""

from postrider.engine.audience.links.store import Links, Pair, touch, where_known

__all__ = ["Links", "Pair", "touch", "where_known"]
