"""Links and the open pixel, spliced into HTML byte for byte: nothing but href values and the pixel changes.

Reads HTML as a browser does (comments, raw text elements, all quotings) but never writes a tree anew.
"""

import html as entities
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from postrider.engine.content import render
from postrider.engine.errors import TemplateFault

LINKS_MAX = 1_000  # of one content; further ones stay untracked
URL_MAX_CHARS = 8_000

# Marks stand for what each recipient has of his own; no mail holds NUL, so nothing else looks like one.
CLICK, OPEN, UNSUBSCRIBE, PREFERENCES, VIEW = "\0c", "\0o", "\0u", "\0p", "\0v"
AT_PIXEL, AT_HIDDEN = -1, -2
HIDDEN_LINK = LINKS_MAX  # the index of a link that no reader sees: who follows it is a machine
HIDDEN = f'<a href="{CLICK}{HIDDEN_LINK}" style="display:none" aria-hidden="true" tabindex="-1"></a>'
PIXEL = f'<img src="{OPEN}" width="1" height="1" alt="" style="display:none">'

_PUT_IN = {AT_PIXEL: PIXEL, AT_HIDDEN: HIDDEN}

_TEMPLATE = r"\{\{[^{}]*+\}\}|\{%[^%]*+%\}"
_DOUBLE = rf'"(?P<double>(?>[^"{{]++|{_TEMPLATE}|\{{)*+)"'
_SINGLE = rf"'(?P<single>(?>[^'{{]++|{_TEMPLATE}|\{{)*+)'"
_BARE = rf"(?P<bare>(?>[^\s>\"'{{]|{_TEMPLATE}|\{{)(?>[^\s>{{]++|{_TEMPLATE}|\{{)*+)"
_ATTRIBUTE = rf"(?P<name>[^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:{_DOUBLE}|{_SINGLE}|{_BARE})?+)?+"
_SPACE = rf"[\s/]++|{_TEMPLATE}"
_ATTRIBUTES = rf"(?>{_SPACE}|{_ATTRIBUTE})*+"
_NO_GROUPS = re.sub(r"\?P<\w+>", "?:", _ATTRIBUTES)
_RAW_TEXT = "script|style|textarea|title|xmp|iframe|noembed|noframes|plaintext"

_TOKEN = re.compile(
    r"<(?:"
    r"!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|[!?][^>]*+>?"
    rf"|(?P<raw>{_RAW_TEXT})(?=[\s/>]){_NO_GROUPS}>?.*?(?:</(?P=raw)(?=[\s/>])|\Z)"
    rf"|(?:a|area)(?=[\s/])(?P<link>{_NO_GROUPS})>"
    r"|(?P<end>/body)(?=[\s/>])"
    rf"|/?[a-z][^\s/>]*+{_NO_GROUPS}>?"
    r")",
    re.IGNORECASE | re.DOTALL,
)
_PART = re.compile(rf"(?:{_SPACE})|{_ATTRIBUTE}")
_WEB = re.compile(r"https?://[^\s/?#\\]", re.IGNORECASE)
_OURS = re.compile(r"\{\{-?\s*(?:(?:unsubscribe|preferences)(?:_url)?|view_in_browser)\b")
_BINDS = re.compile(r"(?:\{%-?|\n)\s*(?:for|tablerow|assign|capture|increment|decrement)\s+([\w-]+)")
_TEMPLATE_TAG = re.compile(_TEMPLATE)
_WORD = re.compile(r"[\w-]+")
_NO_BREAKS = str.maketrans("", "", "\t\r\n")


@dataclass(frozen=True, slots=True)
class Spliced:
    """HTML cut where something is put in: `segments[n]`, then `slots[n]`, …, and one last segment."""

    segments: tuple[str, ...]
    slots: tuple[int, ...]  # an index into links, whose place it takes, or AT_PIXEL, AT_HIDDEN
    links: tuple[str, ...]  # href values, entities decoded; equal ones share an index

    def marked(self) -> str:
        """The HTML as one text in which CLICK and the link's index stand for each tracked link."""
        out = [self.segments[0]]
        for index, segment in zip(self.slots, self.segments[1:], strict=True):
            out += (_PUT_IN.get(index) or f"{CLICK}{index}", segment)
        return "".join(out)


def extract(
    html: str,
    *,
    known: Sequence[str] | None = None,
    pixel: bool = False,
    hidden: bool = False,
    decode: Callable[[str], str] = entities.unescape,
) -> Spliced:
    """Find the links to track. With `known`, a stored link table, no link beyond it is tracked.

    With `pixel`, the open pixel goes before the last `</body>`, or at the end; with `hidden`, where there are
    links to track, so does the link that no reader sees.
    """
    table = {link: index for index, link in enumerate(known or ())}
    bound = {"forloop", "tablerowloop", *_BINDS.findall(html)} if "{%" in html else set()
    cuts: list[tuple[int, int, int]] = []
    body_end = len(html)
    for start, end in _spans(html):
        if start == end:
            body_end = start
            continue
        link = decoded(html[start:end], decode)
        if not _is_tracked(link, bound):
            continue
        index = table.get(link)
        if index is None:
            if known is not None or len(table) >= LINKS_MAX:
                continue
            index = table[link] = len(table)
        cuts.append((start, end, index))
    if pixel or (hidden and cuts):
        put_in = [*([AT_HIDDEN] if hidden and cuts else []), *([AT_PIXEL] if pixel else [])]
        cuts = sorted([*cuts, *((body_end, body_end, index) for index in put_in)])
    return _cut(html, cuts, tuple(table))


def places(html: str) -> Iterator[tuple[int, int]]:
    """Where the href values stand of links that do not ask to be left alone, in order."""
    return ((start, end) for start, end in _spans(html) if start != end)


def body_end(html: str) -> int:
    """Where the last `</body>` stands, or the end."""
    return max((start for start, end in _spans(html) if start == end), default=len(html))


def decoded(value: str, decode: Callable[[str], str] = entities.unescape) -> str:
    """The URL that a browser reads in a href value."""
    return decode(value).translate(_NO_BREAKS).strip()


def is_ours(link: str) -> bool:
    """Whether it leads to a recipient's own page: unsubscribe, preferences, view in browser."""
    return _OURS.search(link) is not None


def fill(marked: str, tracking_url: str, token: str) -> str:
    """The marked text as one recipient gets it."""
    if "\0" not in marked:
        return marked
    base = f"{tracking_url}/track/"
    filled = (
        marked.replace(CLICK, f"{base}c/{token}.")
        .replace(OPEN, f"{base}o/{token}")
        .replace(UNSUBSCRIBE, f"{base}u/{token}")
        .replace(PREFERENCES, f"{base}p/{token}")
    )
    return filled.replace(VIEW, f"{base}v/{token}") if "\0" in filled else filled


def resolve(link: str, variables: dict[str, Any] | None) -> str | None:
    """Where a click on a stored link leads, safe as a Location value; None unless that is http or https."""
    if "{{" in link or "{%" in link:
        try:
            link = render.compile(link, render.Escape.NONE, field="link").render(variables or {})
        except TemplateFault:
            return None
    url = quote(link.strip(), safe=":/?#[]@!$&'()*+,;=%~-._", errors="replace")
    return url if len(url) <= URL_MAX_CHARS and _WEB.match(url) else None


def _cut(html: str, cuts: Sequence[tuple[int, int, int]], links: tuple[str, ...]) -> Spliced:
    starts = [0, *[end for _, end, _ in cuts]]
    ends = [*[start for start, _, _ in cuts], len(html)]
    segments = tuple([html[start:end] for start, end in zip(starts, ends, strict=True)])
    return Spliced(segments, tuple([index for _, _, index in cuts]), links)


def _spans(html: str) -> Iterator[tuple[int, int]]:
    """Where href values stand in which links to track may be, and, empty, where `</body>` is."""
    for match in _TOKEN.finditer(html):
        if match.lastgroup == "link":
            span = _href(html, match.start("link"), match.end("link"))
            if span is not None:
                yield span
        elif match.lastgroup == "end":
            yield match.start(), match.start()


def _href(html: str, start: int, end: int) -> tuple[int, int] | None:
    """The span of a tag's first href value; None without one, and for tags that ask not to be tracked."""
    span: tuple[int, int] | None = None
    for part in _PART.finditer(html, start, end):
        kind = part.lastgroup
        match (part["name"] or "").lower():
            case "href" if span is None and kind is not None and kind != "name":
                span = part.span(kind) if part[kind] else None
            case "data-no-track":
                return None
            case "clicktracking" if kind is not None and part[kind].strip().lower() == "off":
                return None
    return span


def _is_tracked(link: str, bound: set[str]) -> bool:
    if len(link) > URL_MAX_CHARS or is_ours(link):
        return False
    if not link.startswith(("{{", "{%")) and not _WEB.match(link):
        return False
    # What a loop or an assignment binds is not there any more when the click comes.
    words = (word for tag in _TEMPLATE_TAG.findall(link) for word in _WORD.findall(tag))
    return not bound or bound.isdisjoint(words)
