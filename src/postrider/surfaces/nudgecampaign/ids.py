"""Ids of this dialect: a noun's prefix, `_`, the row's 16 bytes as lower-case base32; no look-up reads them.

What is not exactly what `show` writes names nothing: it is answered like an id of nobody.
"""

import base64
import binascii
from enum import StrEnum

from postrider.engine.errors import NotFound
from postrider.kit.ids import ID_BYTES, RowId


class Noun(StrEnum):
    """What an id may name, by its prefix."""

    ORGANIZATION = "org"
    USER = "usr"
    API_KEY = "key"
    CAMPAIGN = "cmp"

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", " ")


def show(noun: Noun, row_id: RowId) -> str:
    """`cmp_` and 26 characters a-z2-7."""
    return f"{noun}_{base64.b32encode(row_id).decode().rstrip('=').lower()}"


def path_id(noun: Noun, text: str) -> RowId:
    """The row a path names; raises NotFound."""
    _, _, tail = text.partition("_")
    try:
        row_id = base64.b32decode(tail.upper() + "=" * (-len(tail) % 8))
    except (binascii.Error, ValueError):
        raise NotFound(noun=noun.word) from None
    if len(row_id) != ID_BYTES or show(noun, row_id) != text:
        raise NotFound(noun=noun.word)
    return row_id
