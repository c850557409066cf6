"""A JSON value as YAML 1.2 in block style: maps and lists over lines, every text quoted as in JSON."""

import re
from collections.abc import Iterator
from typing import Any

from postrider.kit import json

# A key that no reader takes for something else; the words are those that YAML 1.1 reads as truth.
_PLAIN_KEY = re.compile(r"(?!(?:true|false|null|yes|no|on|off)$)[A-Za-z][A-Za-z0-9]+", re.IGNORECASE)
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # YAML 1.2.2, 5.1; JSON takes them raw


def dump_bytes(value: Any) -> bytes:
    """The document in UTF-8."""
    return "".join(f"{line}\n" for line in _lines(value)).encode()


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{key if _PLAIN_KEY.fullmatch(key) else _scalar(key)}:", item)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _entry("-", item)
    else:
        yield _scalar(value)


def _entry(head: str, value: Any) -> Iterator[str]:
    """`head` and the value beside it where it is one line, else below it."""
    if not value or not isinstance(value, dict | list):
        yield f"{head} {_scalar(value)}"
        return
    yield head
    for line in _lines(value):
        yield f"  {line}"


def _scalar(value: Any) -> str:
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value))
