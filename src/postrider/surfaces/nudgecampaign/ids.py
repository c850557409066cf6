"""Ids of this dialect: a noun's prefix, `_`, the row's 16 bytes as lower-case base32; no look-up reads them.

What is not exactly what `show` writes names nothing: it is answered like an id of nobody.
"""

from enum import StrEnum

from postrider.engine.errors import NotFound
from postrider.kit.ids import RowId, from_base32, to_base32


class Noun(StrEnum):
    """What an id may name, by its prefix."""

    ORGANIZATION = "org"
    USER = "usr"
    API_KEY = "key"
    CAMPAIGN = "cmp"
    CONTACT = "con"
    LIST = "lst"
    TEMPLATE = "tpl"
    IMPORT = "imp"
    EXPORT = "exp"
    WEBHOOK = "whk"
    WEBHOOK_LOG = "log"
    EVENT = "evt"
    CONVERSION = "cnv"

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", " ")


def show(noun: Noun, row_id: RowId) -> str:
    """`cmp_` and 26 characters a-z2-7."""
    return f"{noun}_{to_base32(row_id)}"


def path_id(noun: Noun, text: str) -> RowId:
    """The row a path names; raises NotFound."""
    prefix, _, tail = text.partition("_")
    row_id = from_base32(tail) if prefix == noun else None
    if row_id is None:
        raise NotFound(noun=noun.word)
    return row_id
