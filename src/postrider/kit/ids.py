"""Row ids: 16 bytes of a UUIDv7 (RFC 9562), so that rows of one time stand together; and random secrets."""

import base64
import secrets
import uuid

import uuid_utils

RowId = bytes
ID_BYTES = 16


def new_id() -> RowId:
    """A fresh id, greater than every id this process made before it."""
    return uuid_utils.uuid7().bytes


def nth_id(row_id: RowId, number: int) -> RowId:
    """The id of the `number`th thing (to 2**24 - 1) of what `row_id` names: told before it is made.

    In order, as old as `row_id`, and as unlikely to be another's as two ids of one time.
    """
    return row_id[:9] + number.to_bytes(3, "big") + row_id[12:]


def id_floor(at_ms: int) -> RowId:
    """Below every id made at `at_ms` or later, above those made before: a UUIDv7 begins with its time."""
    return max(0, at_ms).to_bytes(6, "big") + bytes(ID_BYTES - 6)


def id_time(row_id: RowId) -> int:
    """When an id was made, in ms: its first 6 bytes."""
    return int.from_bytes(row_id[:6], "big")


def to_uuid(row_id: RowId) -> str:
    """The UUID text of an id: 019…-….-7…"""
    text = row_id.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def from_uuid(text: str) -> RowId | None:
    """The id a UUID text names, or None where the text is no UUID."""
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return None


def to_base32(row_id: RowId) -> str:
    """26 characters a-z2-7."""
    return base64.b32encode(row_id).decode().rstrip("=").lower()


def from_base32(text: str) -> RowId | None:
    """The id that to_base32 wrote so, or None: there is one spelling for each id."""
    if not text.isascii():
        return None
    try:
        row_id = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:
        return None
    return row_id if len(row_id) == ID_BYTES and to_base32(row_id) == text else None


def random_text(length: int) -> str:
    """`length` random characters a-z2-7 (5 bits each), for keys, passwords and tokens."""
    return base64.b32encode(secrets.token_bytes(length * 5 // 8 + 1)).decode().lower()[:length]


def random_hex(length: int) -> str:
    return secrets.token_hex((length + 1) // 2)[:length]
