"""Contacts: one address of an organization each, and what is known of its owner."""

from postrider.engine.audience.contacts.agreed import refusing_tracking
from postrider.engine.audience.contacts.find import (
    PAGE_MAX,
    by_address,
    by_ids,
    by_keys,
    count,
    cursor_of,
    get,
    many,
    page,
)
from postrider.engine.audience.contacts.pages import COUNT_MAX, Cursor
from postrider.engine.audience.contacts.remove import delete, empty
from postrider.engine.audience.contacts.rules import Read, read, status_of
from postrider.engine.audience.contacts.save import SAVED_MAX, change, create, save
from postrider.engine.audience.contacts.subscribe import subscribe, unsubscribe

__all__ = [
    "COUNT_MAX",
    "PAGE_MAX",
    "SAVED_MAX",
    "Cursor",
    "Read",
    "by_address",
    "by_ids",
    "by_keys",
    "change",
    "count",
    "create",
    "cursor_of",
    "delete",
    "empty",
    "get",
    "many",
    "page",
    "read",
    "refusing_tracking",
    "save",
    "status_of",
    "subscribe",
    "unsubscribe",
]
