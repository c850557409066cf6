"""A mail's HTML made fit for a sandboxed frame: no scripts, its own images inlined, its links named. Pure.

The frame's sandbox and its policy are what protects; taking active elements out keeps its console quiet.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser

INLINED_MAX_BYTES = 10 * 1024 * 1024
LINK_TEXT_MAX_CHARS = 200
TAGS_MAX = 10_000  # the parser needs the square of what is left open: 0.1 s at this
_ACTIVE = "script, noscript, base, meta[http-equiv], iframe, frame, object, embed, applet, link"
_REMOTE = re.compile(
    r"(?i)(?:(?:src|background|srcset|poster)\s*=|url\()\s*[\"']?\s*(?:https?:)?//",
)
_CID = re.compile(r"(?i)cid:([^\"')\s>]+)")
_IMAGE_TYPE = re.compile(r"image/(?:png|jpe?g|gif|webp|svg\+xml|bmp|avif|x-icon)")


@dataclass(frozen=True, slots=True)
class Link:
    href: str
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image that came with the mail."""

    content_type: str
    body: bytes


def frame_of(html: str, images: Mapping[str, Image]) -> str:
    """The frame's document; `images` by Content-ID stand in it as data URIs, INLINED_MAX_BYTES at most.

    With more than TAGS_MAX tags it stays as it was written, and the sandbox alone protects.
    """
    if html.count("<") > TAGS_MAX:
        return _with_images(html, images)
    tree = LexborHTMLParser(html)
    for node in tree.css(_ACTIVE):
        node.decompose()
    for node in tree.css("a[href], area[href]"):
        node.attrs["target"] = "_blank"
        node.attrs["rel"] = "noopener noreferrer"
    return _with_images("<!doctype html>" + (tree.html or ""), images)


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


def _with_images(html: str, images: Mapping[str, Image]) -> str:
    room = INLINED_MAX_BYTES

    def uri(match: re.Match[str]) -> str:
        nonlocal room
        image = images.get(match[1])
        if image is None or len(image.body) > room or not _IMAGE_TYPE.fullmatch(image.content_type):
            return match[0]
        room -= len(image.body)
        return f"data:{image.content_type};base64,{b64encode(image.body).decode()}"

    return _CID.sub(uri, html) if images else html
