"""What a tag may be called, and how many a contact may carry. Pure."""

from collections.abc import Iterable

from postrider.engine.audience.text import is_plain
from postrider.engine.errors import Invalid

NAME_MAX_CHARS = 100
TAGS_MAX = 100  # of one contact
BAD_NAME = f"A tag has 1 to {NAME_MAX_CHARS} printable characters"
TOO_MANY = f"A contact has at most {TAGS_MAX} tags"


def check_names(given: Iterable[str]) -> list[str]:
    """The names without the spaces around them, each once, in order; raises ValueError, in a sentence."""
    names = list(dict.fromkeys([name.strip() for name in given]))
    for name in names:
        if not is_name(name):
            raise ValueError(BAD_NAME)
    if len(names) > TAGS_MAX:
        raise ValueError(TOO_MANY)
    return names


def one_name(given: str, field: str) -> str:
    """As check_names, of one; raises Invalid, which names the field."""
    name = given.strip()
    if not is_name(name):
        raise Invalid(field=field, message=BAD_NAME)
    return name


def is_name(name: str) -> bool:
    return 1 <= len(name) <= NAME_MAX_CHARS and is_plain(name)
