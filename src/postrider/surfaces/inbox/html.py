"""What a mail's HTML asks foreign hosts for, and where its links lead. Pure."""

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser

from postrider.surfaces.common.frame import TAGS_MAX

LINK_TEXT_MAX_CHARS = 200
_REMOTE = re.compile(
    r"(?i)(?:(?:src|background|srcset|poster)\s*=|url\()\s*[\"']?\s*(?:https?:)?//",
)


@dataclass(frozen=True, slots=True)
class Link:
    href: str
    text: str


def has_remote(html: str) -> bool:
    """Whether showing it would ask a foreign host for something."""
    return _REMOTE.search(html) is not None


def links_of(html: str) -> list[Link]:
    """Where its links lead, each address once, in order; not told of HTML with more than TAGS_MAX tags."""
    if html.count("<") > TAGS_MAX:
        return []
    found: dict[str, Link] = {}
    for node in LexborHTMLParser(html).css("a[href], area[href]"):
        href = (node.attributes.get("href") or "").strip()
        if href and not href.startswith("#"):
            text = " ".join(node.text(separator=" ").split())
            found.setdefault(href, Link(href, text[:LINK_TEXT_MAX_CHARS]))
    return list(found.values())
