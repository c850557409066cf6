"""Pages of a list by cursor: where the last row stood, so that what is put in meanwhile moves nothing.

A cursor is opaque to callers but no secret: it is checked as any input, and used in the caller's list only.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from postrider.kit import json
from postrider.kit.ids import ID_BYTES, RowId
from postrider.surfaces.nudgecampaign.limits import CURSOR_MAX_CHARS
from postrider.surfaces.nudgecampaign.resources import Resource, Sort, SortKey

T = TypeVar("T")
_INTEGERS = range(-(2**63), 2**63)  # what a column holds


class Position(NamedTuple):
    """Where a row stands in a sorted list; rows of equal keys stand by their ids."""

    key: SortKey
    id: RowId


class Order(NamedTuple, Generic[T]):
    """How a list is sorted; `text` is the parameter: a name, with `-` before it to go down."""

    text: str
    sort: Sort[T]

    @property
    def name(self) -> str:
        return self.text.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        return self.text.startswith("-")

    def has_after(self, place: Position, other: Position) -> bool:
        """Whether `place` stands behind `other`."""
        return place < other if self.is_descending else place > other


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list of `total`, and whether rows follow."""

    rows: Sequence[T]
    total: int
    has_more: bool


def position(resource: Resource[T], order: Order[T], row: T) -> Position:
    return Position(order.sort.key(row), resource.row_id(row))


def write_cursor(order: Order[T], place: Position) -> str:
    body = json.dump_bytes([order.text, place.key, place.id.hex()])
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def read_cursor(text: str, order: Order[T]) -> Position:
    """Raises ValueError for what is no cursor, or one of a list sorted otherwise."""
    if len(text) > CURSOR_MAX_CHARS:
        raise ValueError("too long")
    try:
        body = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    match json.loads(body):
        case [order.text, key, str(row)] if type(key) is order.sort.kind and _is_kept(key):
            row_id = bytes.fromhex(row)
            if len(row_id) == ID_BYTES:
                return Position(key, row_id)
    raise ValueError("not a cursor of this list")


def _is_kept(key: SortKey) -> bool:
    """Whether a column could hold the key."""
    return key in _INTEGERS if isinstance(key, int) else "\0" not in key
