"""What reports group messages by, and what lists of events are narrowed by: read only."""

from postrider.engine.messages.facets.store import Facets, Filter, ids_of_mail, match, of

__all__ = ["Facets", "Filter", "ids_of_mail", "match", "of"]
