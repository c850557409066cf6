"""A content as its rules look at it: what a reader sees, where links lead, what is hidden. Pure.

Template tags stay as they are written: what they become for a recipient is not known here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from urllib.parse import SplitResult, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from postrider.engine.content import nesting
from postrider.engine.content.text import to_text
from postrider.kit.address import Mailbox
from postrider.kit.record import record

CONTENT_MAX_CHARS = 500_000  # of html and of text; what is larger no mail program shows whole
LINKS_MAX = 2_000  # looked at, of images as many
HIDDEN_MAX = 500  # elements that hide their text, looked at
SHOWN_MAX_CHARS = 300  # of a link's text

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_URL = re.compile(r"https?://[^\s<>\"')\]]+", re.IGNORECASE)
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)
_COLOUR = re.compile(r"(?<![-\w])color\s*:\s*([^;!]+)", re.IGNORECASE)
_GROUND = re.compile(r"(?<![-\w])background(?:-color)?\s*:\s*([^;!]+)", re.IGNORECASE)
_INVISIBLE = re.compile("[\\s\u00a0\u00ad\u034f\u061c\u180e\u200b-\u200f\u2007\u2060\ufeff]+")
_ACTIVE = "script, iframe, object, embed, applet, form, input"


@record
class Content:
    """What a customer would send; `headers` are further ones, by their names in any case."""

    subject: str
    html: str = ""
    text: str = ""
    from_: Mailbox | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@record
class Link:
    url: SplitResult
    shown: str  # "" for an image or a bare URL

    @property
    def host(self) -> str:
        return (self.url.hostname or "").rstrip(".")


@record
class Facts:
    """What the rules ask."""

    content: Content
    body: str  # the text that is read: of the HTML, or else of the text part
    words: tuple[str, ...]  # of the body
    links: tuple[Link, ...]  # http and https, those of the text part where there is no HTML
    other_links: tuple[str, ...]  # schemes that run or hold something: javascript, data, …
    images: int
    images_without_alt: int
    active: tuple[str, ...]  # names of elements that mail programs take out
    is_readable: bool  # else the HTML was not parsed, and what is told of it is empty
    hidden_chars: int  # of text that no reader sees
    has_language: bool
    headers: Mapping[str, str]  # by names in lower case

    @property
    def html(self) -> str:
        return self.content.html

    @property
    def subject(self) -> str:
        return self.content.subject


def read(content: Content) -> Facts:
    """Some milliseconds for a newsletter."""
    html, text = content.html[:CONTENT_MAX_CHARS], content.text[:CONTENT_MAX_CHARS]
    is_readable = nesting.is_readable(html)
    tree = LexborHTMLParser(html) if html.strip() and is_readable else None
    body = to_text(html) if tree else text
    hrefs = list(_hrefs(tree)) if tree else [(url.group(), "") for url in _URL.finditer(text)][:LINKS_MAX]
    links = [(parsed, shown) for href, shown in hrefs if (parsed := _split(href)) is not None]
    images = tree.css("img")[:LINKS_MAX] if tree else []
    return Facts(
        content=content,
        body=body,
        words=tuple(_WORD.findall(_URL.sub(" ", body))),
        links=tuple(Link(url, shown) for url, shown in links if url.scheme in ("http", "https")),
        other_links=tuple(
            url.scheme for url, _ in links if url.scheme in ("javascript", "vbscript", "data", "file")
        ),
        images=len(images),
        images_without_alt=sum("alt" not in image.attributes for image in images),
        active=tuple(sorted({str(node.tag) for node in tree.css(_ACTIVE)})) if tree else (),
        is_readable=is_readable,
        hidden_chars=_hidden_chars(tree) if tree else 0,
        has_language=bool(tree and tree.css_first("[lang]")),
        headers={name.lower(): value for name, value in content.headers.items()},
    )


def _hrefs(tree: LexborHTMLParser) -> Iterator[tuple[str, str]]:
    for node in tree.css("a[href], area[href]")[:LINKS_MAX]:
        yield node.attributes.get("href") or "", node.text()[: SHOWN_MAX_CHARS + 1].strip()


def _split(href: str) -> SplitResult | None:
    try:
        parsed = urlsplit(href.strip())
        parsed.hostname  # noqa: B018  # raises for brackets that hold no address
    except ValueError:
        return None
    return parsed


def _hidden_chars(tree: LexborHTMLParser) -> int:
    hiding = [node for node in tree.css("[style]") if _hides(node)][:HIDDEN_MAX]
    return max((len(_INVISIBLE.sub("", node.text())) for node in hiding), default=0)


def _hides(node: LexborNode) -> bool:
    """By its own style: it is not shown, or its letters have the colour of their ground."""
    style = node.attributes.get("style") or ""
    if _HIDING.search(style):
        return True
    colour, ground = _COLOUR.search(style), _GROUND.search(style)
    return bool(colour and ground) and _plain(colour) == _plain(ground)


def _plain(found: re.Match[str] | None) -> str:
    return found.group(1).strip().lower() if found else ""
