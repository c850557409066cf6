"""What reports group messages by, and what lists of events are narrowed by: read only."""

from postrider.engine.messages.facets.store import (
    Facets,
    Filter,
    Standing,
    ids_of_mail,
    link_counts,
    match,
    of,
    standing,
)

__all__ = ["Facets", "Filter", "Standing", "ids_of_mail", "link_counts", "match", "of", "standing"]
