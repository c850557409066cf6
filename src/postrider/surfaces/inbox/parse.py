"""A mail's bytes as what people look at: headers, text, HTML, attachments, links. Pure.

Refuses to fail: of broken mail it shows what can be read, and says what could not and what was cut.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import compat32

from postrider.kit.mime import decode_words
from postrider.surfaces.inbox.html import Link, links_of

PARTS_MAX = 500
HEADERS_MAX = 500
TEXT_MAX_CHARS = 1_000_000  # of each body shown; raw has the rest
LINKS_MAX = 500
FILENAME_MAX_CHARS = 200
# What the parser is known to raise for mail made to break it: too deep, or not what it says it is.
FAULTS = (RecursionError, ValueError, LookupError, TypeError, AttributeError, AssertionError)
_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_UNFIT = re.compile(r"[\x00-\x1f\x7f/\\]+")
_NO_CHARSETS = {
    "idna",
    "punycode",
    "unicode-escape",
    "raw-unicode-escape",
    "undefined",
}  # though Python has them
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the MIME tree not shown as the mail's text or HTML; `number` names it in addresses."""

    number: int
    filename: str
    content_type: str
    content_id: str | None
    is_inline: bool
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mail:
    headers: list[tuple[str, str]] = field(default_factory=list)
    text: str | None = None
    html: str | None = None
    parts: list[Part] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


def parse(raw: bytes) -> Mail:
    """Never raises for what a mail holds; `faults` says in sentences what was cut or could not be read."""
    try:
        message = message_from_bytes(raw, policy=compat32)
        headers = _headers(message)
        return _read(message, headers)
    except FAULTS as fault:
        headers = _plain_headers(raw)
        return Mail(headers, faults=[f"Its structure could not be read ({type(fault).__name__}): see Raw."])


def _read(message: Message, headers: list[tuple[str, str]]) -> Mail:
    faults = [f"{type(defect).__name__}: {defect.__doc__ or ''}".strip() for defect in message.defects]
    text: str | None = None
    html: str | None = None
    parts: list[Part] = []
    for number, leaf in enumerate(_leaves(message)):
        if number == PARTS_MAX:
            faults.append(f"It has more than {PARTS_MAX} parts: see Raw for the rest.")
            break
        kind = leaf.get_content_type()
        is_attached = leaf.get_content_disposition() == "attachment" or leaf.get_filename() is not None
        if kind == "text/plain" and text is None and not is_attached:
            text = _cut(_text(leaf), "text", faults)
        elif kind == "text/html" and html is None and not is_attached:
            html = _cut(_text(leaf), "HTML", faults)
        else:
            parts.append(_part(number, leaf))
    return Mail(headers, text, html, parts, _links(text, html), faults)


def _leaves(message: Message) -> Iterator[Message]:
    """Depth first; an attached mail (message/rfc822) is one leaf."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting.extend(child for child in reversed(payload) if isinstance(child, Message))
        else:
            yield part


def _part(number: int, leaf: Message) -> Part:
    kind = leaf.get_content_type()
    name = leaf.get_filename()
    extension = {"message/rfc822": ".eml", "text/calendar": ".ics", "text/plain": ".txt"}.get(kind, "")
    content_id = leaf.get("Content-ID")
    return Part(
        number=number,
        filename=_filename(name) if name else f"part-{number}{extension}",
        content_type=kind if _TYPE.fullmatch(kind) else "application/octet-stream",
        content_id=_clean(str(content_id)).strip().strip("<>") if content_id else None,
        is_inline=leaf.get_content_disposition() != "attachment" and content_id is not None,
        body=_body(leaf),
    )


def _body(leaf: Message) -> bytes:
    payload = leaf.get_payload()
    if isinstance(payload, list):  # an attached mail
        return b"\r\n".join(child.as_bytes() for child in payload if isinstance(child, Message))
    decoded = leaf.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""


def _text(leaf: Message) -> str:
    body = _body(leaf)
    charset = leaf.get_content_charset() or "utf-8"
    if charset.replace("_", "-") in _NO_CHARSETS:
        charset = "utf-8"
    try:
        return _clean(body.decode(charset, "replace"))
    except (LookupError, ValueError):  # a charset nobody knows
        return body.decode("utf-8", "replace")


def _cut(text: str, name: str, faults: list[str]) -> str:
    if len(text) <= TEXT_MAX_CHARS:
        return text
    faults.append(f"Its {name} is cut after {TEXT_MAX_CHARS:,} characters: see Raw for the rest.")
    return text[:TEXT_MAX_CHARS]


def _headers(message: Message) -> list[tuple[str, str]]:
    return [(name, _shown(str(value))) for name, value in list(message.raw_items())[:HEADERS_MAX]]


def _plain_headers(raw: bytes) -> list[tuple[str, str]]:
    head = _FOLD.sub("", raw[:TEXT_MAX_CHARS].partition(b"\r\n\r\n")[0].decode("utf-8", "replace"))
    fields = [line.partition(":") for line in head.splitlines()[:HEADERS_MAX]]
    return [(name, _clean(decode_words(value.strip()))) for name, colon, value in fields if colon]


def _shown(value: str) -> str:
    """Unfolded, bytes read as UTF-8, encoded words decoded."""
    value = _FOLD.sub("", value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _clean(decode_words(value.strip()))


def _filename(name: str) -> str:
    return (
        _UNFIT.sub("_", _clean(decode_words(_clean(name)))).strip(". ")[:FILENAME_MAX_CHARS] or "attachment"
    )


def _clean(text: str) -> str:
    """Without the halves of characters that are no text (surrogates): JSON cannot carry them."""
    return text.encode("utf-8", "replace").decode()


def _links(text: str | None, html: str | None) -> list[Link]:
    found = links_of(html) if html else []
    seen = {link.href for link in found}
    for href in _URL.findall(text or ""):
        if href not in seen:
            seen.add(href)
            found.append(Link(href, ""))
    return found[:LINKS_MAX]
