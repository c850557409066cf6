"""A database as MaxMind's format has it (version 2.0, IPv4), small enough to be written here."""

import struct
from ipaddress import IPv4Network
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"
MAP, TEXT, UINT16, UINT32, UINT64, ARRAY = 7, 2, 5, 6, 9, 11


def write(places: dict[str, dict[str, Any]]) -> bytes:
    """Records by network."""
    nodes: list[list[int | bytes | None]] = [[None, None]]
    for text, record in places.items():
        network = IPv4Network(text)
        bits = [int(network.network_address) >> (31 - n) & 1 for n in range(network.prefixlen)]
        node = 0
        for bit in bits[:-1]:
            below = nodes[node][bit]
            if not isinstance(below, int):
                nodes.append([None, None])
                below = nodes[node][bit] = len(nodes) - 1
            node = below
        nodes[node][bits[-1]] = _value(record)
    data, tree = b"", b""
    for pair in nodes:
        for below in pair:
            if isinstance(below, bytes):
                tree += (len(nodes) + 16 + len(data)).to_bytes(3, "big")
                data += below
            else:
                tree += (len(nodes) if below is None else below).to_bytes(3, "big")
    about = {
        "node_count": (UINT32, len(nodes)), "record_size": (UINT16, 24), "ip_version": (UINT16, 4),
        "database_type": "Test-City", "languages": ["en"], "binary_format_major_version": (UINT16, 2),
        "binary_format_minor_version": (UINT16, 0), "build_epoch": (UINT64, 1_700_000_000),
        "description": {"en": "test"},
    }  # fmt: skip
    return tree + bytes(16) + data + MARKER + _value(about)


def _value(value: Any) -> bytes:
    match value:
        case dict():
            return _head(MAP, len(value)) + b"".join(_value(key) + _value(its) for key, its in value.items())
        case list():
            return _head(ARRAY, len(value)) + b"".join(map(_value, value))
        case str():
            return _head(TEXT, len(value.encode())) + value.encode()
        case (int() as kind, int() as number):
            octets = struct.pack(">Q", number).lstrip(b"\0")
            return _head(kind, len(octets)) + octets
    raise TypeError(value)


def _head(kind: int, size: int) -> bytes:
    more = b""
    if size >= 29:
        size, more = 29, bytes([size - 29])
    return bytes([size, kind - 7]) + more if kind > 7 else bytes([kind << 5 | size]) + more
