"""Pages of an organization's contacts, filtered and sorted: which ids, and how many there are."""

from postrider.engine.audience.contacts.pages.store import COUNT_MAX, Cursor, Narrowed, count, ids

__all__ = ["COUNT_MAX", "Cursor", "Narrowed", "count", "ids"]
