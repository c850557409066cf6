"""Ids of this dialect are UUIDs: the rows' own ids as text. What is no UUID names nothing."""

from postrider.engine.errors import NotFound
from postrider.kit.ids import RowId, from_uuid

_TIME_BYTES = 6  # a UUIDv7 begins with its milliseconds (RFC 9562 5.7)


def path_id(text: str, noun: str) -> RowId:
    """The row a path names; raises NotFound."""
    row_id = from_uuid(text)
    if row_id is None:
        raise NotFound(noun=noun)
    return row_id


def made_at(row_id: RowId) -> int:
    """When a row was written, from its id."""
    return int.from_bytes(row_id[:_TIME_BYTES], "big")
