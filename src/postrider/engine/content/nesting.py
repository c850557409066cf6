"""Whether HTML is parsed at a cost in proportion to its length: told before a parser has it."""

import re

DEPTH_MAX = 500  # elements within each other
REOPENED_MAX = 500_000  # open formats times tags

_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
_FORMATS = frozenset("a b big code em font i nobr s small strike strong tt u".split())  # noqa: SIM905
# They have no end, or another of their kind ends them.
_FLAT = """
area base br col embed hr img input link meta param source track wbr html head body
p li dt dd option optgroup tr td th thead tbody tfoot colgroup
"""
_NEVER_DEEP = frozenset(_FLAT.split())


def is_readable(html: str) -> bool:
    """Whether parsing takes time in proportion to the length.

    Each tag may look at all that is open, and open formats (`<b>`) are opened anew in every block.
    """
    depth = formats = deepest = most_formats = tags = 0
    for match in _TAG.finditer(html):
        tags += 1
        name, step = match.group(2).lower(), -1 if match.group(1) else 1
        if name in _FORMATS:
            formats = max(0, formats + step)
            most_formats = max(most_formats, formats)
        if name not in _NEVER_DEEP:
            depth = max(0, depth + step)
            deepest = max(deepest, depth)
    return deepest <= DEPTH_MAX and most_formats * tags <= REOPENED_MAX
