"""Values of properties as bytes that compare as the values do, in either database. Pure.

Numbers stand before texts, texts before what only exists (objects, empty lists). Booleans are the texts
`true` and `false`: forms and files say them so.
"""

import math
import struct
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

VALUE_MAX_BYTES = 200  # of an encoded text, its kind not counted
REMEMBERED = 8_192  # texts whose bytes are kept: many contacts have the same city, plan or size
REMEMBERED_MAX_CHARS = 64
ORDERED_BYTES = 184  # of a longer text are kept; a hash of the whole follows, so that equal stays equal
NUMBER, TEXT, OPAQUE, END = b"\x10", b"\x20", b"\x30", b"\x40"
_HASH_BYTES = VALUE_MAX_BYTES - ORDERED_BYTES
_EXACT = 2.0**53  # from here on neighbouring integers share a float
_OFFSET = 1 << 63
_SIGN = 1 << 63
_ALL = (1 << 64) - 1


def encode(value: Any) -> list[bytes]:
    """One entry a value, of a list one for each different element; none for null.

    Numbers compare exactly, integers below 2**116 too. Texts are compared without case, by ORDERED_BYTES of
    their UTF-8. An object, a list in a list and an empty list are one entry that compares with nothing.
    """
    match value:
        case None:
            return []
        case list():
            return sorted({_encode_one(element) for element in value if element is not None} or {OPAQUE})
        case _:
            return [_encode_one(value)]


def encode_all(properties: Mapping[str, Any]) -> dict[str, list[bytes]]:
    """By key; a key whose value is null is left out."""
    return {
        key: [_encode_text(value)] if isinstance(value, str) else encode(value)  # most are texts
        for key, value in properties.items()
        if value is not None
    }


def kind_end(encoded: bytes) -> bytes:
    """Above all values of the same kind: numbers are compared with numbers, texts with texts."""
    return {NUMBER: TEXT, TEXT: OPAQUE}.get(encoded[:1], END)


def after(encoded: bytes) -> bytes:
    """The least that is above."""
    return encoded + b"\x00"


def prefix_span(text: str) -> tuple[bytes, bytes]:
    """From (included) and to (not included) of the texts that begin so, by ORDERED_BYTES of them less one."""
    low = TEXT + _octets(text)[: ORDERED_BYTES - 1]
    return low, low + b"\xff" if low != TEXT else OPAQUE  # UTF-8 has no ff


def part(text: str) -> bytes:
    """What is contained in an encoded text that contains `text`."""
    return _octets(text)


def _encode_one(value: Any) -> bytes:
    match value:
        case bool():
            return TEXT + (b"true" if value else b"false")
        case int() | float():
            return _encode_number(value)
        case str():
            return _encode_text(value)
        case _:
            return OPAQUE


def _encode_text(value: str) -> bytes:
    return _encode_short(value) if len(value) <= REMEMBERED_MAX_CHARS else TEXT + _shorten(_octets(value))


@lru_cache(REMEMBERED)
def _encode_short(value: str) -> bytes:
    return TEXT + _shorten(_octets(value))


def _encode_number(value: int | float) -> bytes:
    """The nearest float in an order of unsigned integers; then, where it is not exact, what is missing."""
    try:
        near = float(value) + 0.0  # no negative zero
    except OverflowError:
        near = math.inf if value > 0 else -math.inf
    if math.isnan(near):
        return OPAQUE
    (bits,) = struct.unpack(">Q", struct.pack(">d", near))
    ordered = NUMBER + struct.pack(">Q", bits ^ _ALL if bits & _SIGN else bits | _SIGN)
    if abs(near) < _EXACT:
        return ordered
    missing = value - int(near) if isinstance(value, int) and math.isfinite(near) else 0
    return ordered + struct.pack(">Q", min(max(missing + _OFFSET, 0), _ALL))


def _octets(text: str) -> bytes:
    return text.casefold().encode("utf-8", "surrogatepass")


def _shorten(octets: bytes) -> bytes:
    if len(octets) <= VALUE_MAX_BYTES:
        return octets
    return octets[:ORDERED_BYTES] + blake2b(octets, digest_size=_HASH_BYTES).digest()
