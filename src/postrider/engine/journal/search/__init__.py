"""The journal as people look through it: newest first, narrowed by kind, time and what the mail says."""

from postrider.engine.journal.search.store import COUNT_MAX, Filter, count, count_by_kind, page

__all__ = ["COUNT_MAX", "Filter", "count", "count_by_kind", "page"]
