"""Lists: groups of contacts with a name, which contacts may join themselves where a list is public."""

from postrider.engine.audience.lists.change import ListChanges, add, create, delete, empty, remove, update
from postrider.engine.audience.lists.find import Place, browse, by_name, by_number, count, get, page
from postrider.engine.audience.lists.store import LINKS, ids_of, many, where_there
from postrider.engine.audience.lists.store import get as find_one

__all__ = [
    "LINKS",
    "ListChanges",
    "Place",
    "add",
    "browse",
    "by_name",
    "by_number",
    "count",
    "create",
    "delete",
    "empty",
    "find_one",
    "get",
    "ids_of",
    "many",
    "page",
    "remove",
    "update",
    "where_there",
]
