"""A mail's HTML made fit to be shown by a browser, and what the browser may do with it. Pure.

The sandbox and the policy are what protects; taking active elements out keeps the console quiet.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser

INLINED_MAX_BYTES = 10 * 1024 * 1024
TAGS_MAX = 10_000  # the parser needs the square of what is left open: 0.1 s at this
_ACTIVE = "script, noscript, base, meta[http-equiv], iframe, frame, object, embed, applet, link"
_CID = re.compile(r"(?i)cid:([^\"')\s>]+)")
_IMAGE_TYPE = re.compile(r"image/(?:png|jpe?g|gif|webp|svg\+xml|bmp|avif|x-icon)")
_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'{fonts}; img-src data:{images}; font-src data:{fonts}; form-action 'none'; "
    "base-uri 'none'; frame-ancestors {framed_by}"
)


@dataclass(frozen=True, slots=True)
class Image:
    """An image that came with the mail."""

    content_type: str
    body: bytes


def closed_policy(*, framed_by: str) -> str:
    """The Content-Security-Policy of a mail that asks no foreign host for anything; `framed_by`: a source."""
    return _POLICY.format(fonts="", images="", framed_by=framed_by)


def open_policy(*, framed_by: str) -> str:
    """The Content-Security-Policy of a mail that loads its pictures and fonts."""
    return _POLICY.format(fonts=" https:", images=" https: http:", framed_by=framed_by)


def frame_of(html: str, images: Mapping[str, Image]) -> str:
    """The document to show; `images` by Content-ID stand in it as data URIs, INLINED_MAX_BYTES at most.

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
