"""What a short text of people may hold. Pure."""

import re

_BAD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_plain(text: str) -> bool:
    """Whether it is one line without control characters, which UTF-8 can hold."""
    return text.isprintable() or _BAD.search(text) is None
