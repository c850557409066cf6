"""Tags: names that contacts carry. Upper and lower case are different."""

from postrider.engine.audience.tags.change import Merged, add, merge, remove, rename
from postrider.engine.audience.tags.find import by_name, list_tags
from postrider.engine.audience.tags.rules import NAME_MAX_CHARS, TAGS_MAX, check_names
from postrider.engine.audience.tags.store import LINKS, ensure, find, names_of

__all__ = [
    "LINKS",
    "NAME_MAX_CHARS",
    "TAGS_MAX",
    "Merged",
    "add",
    "by_name",
    "check_names",
    "ensure",
    "find",
    "list_tags",
    "merge",
    "names_of",
    "remove",
    "rename",
]
