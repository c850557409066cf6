"""Raw MIME as it comes in by SMTP: adopted once, sent on with its own bytes but for what must change.

Signed and encrypted parts are never touched; without HTML nothing is parsed beyond the header.
"""

import binascii
import html as entities
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from postrider.engine.content import headers, links
from postrider.engine.content.headers import HeaderLine
from postrider.engine.content.model import Mail, Personal, Prepared
from postrider.engine.errors import Invalid
from postrider.engine.messages.model import Content
from postrider.kit import mime
from postrider.kit.address import NAME_MAX_CHARS, InvalidAddress, Mailbox, parse_mailbox
from postrider.kit.ids import RowId
from postrider.kit.mime import Field

HEADER_MAX_BYTES = 256 * 1024
RECEIVED_MAX = 100  # RFC 5321 6.3: more is a loop
PARTS_MAX = 500
DEPTH_MAX = 20
PEOPLE_MAX = 1_000  # that are read of To and Cc
FILL_MAX_OCTETS = 400  # what a mark grows to at most

_REMOVED = frozenset(["bcc", "resent-bcc", "return-path", "x-stream-type", "x-tag", "x-tags"])
_ONCE = ("from", "sender", "subject", "date", "message-id")  # RFC 5322 3.6
_COMMENT = re.compile(r"\([^()]*\)")
_PUNCTUATION = re.compile(r'\\.|[",<>()]')
_BOUNDARY = re.compile(r"""boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)
_CHARSET = re.compile(r"""charset\s*=\s*"?([A-Za-z0-9._:+-]{1,40})""", re.IGNORECASE)
_NOT_ASCII_LIKE = re.compile(r"utf-?_?(?:7|16|32)|ucs|iso-?2022|hz", re.IGNORECASE)
_TRACKED_TOP = ("text/html", "multipart/")
_SEALED = ("multipart/signed", "multipart/encrypted")


@dataclass(frozen=True, slots=True)
class Adopted:
    """What is to be known of raw mail, and the bytes to keep."""

    mailbox: Mailbox  # From
    to: list[str]  # mailbox texts, as far as they can be read
    cc: list[str]
    subject: str
    message_id: str
    stream: str | None  # X-Stream-Type
    tags: list[str]  # X-Tag, X-Tags
    body: bytes  # CRLF line ends; without Bcc and what is only for us; with Date and Message-ID


def adopt(raw: bytes, *, group_id: RowId, date_ms: int) -> Adopted:
    """Raises Invalid for a malformed or huge header, none or several From addresses, and mail in a loop."""
    head, _, body = _split(mime.crlf(raw))
    try:
        fields = mime.split_fields(head)
    except ValueError as error:
        raise _invalid("header", f"The header is malformed: {error}.") from None
    values = _values(fields)
    mailbox = _from(values)
    if len(values.get("received", ())) > RECEIVED_MAX:
        raise _invalid("received", f"The mail has passed more than {RECEIVED_MAX} servers: it is in a loop.")
    kept = [line for name, line in fields if name.lower() not in _REMOVED]
    if "date" not in values:
        kept.append(mime.date_field(date_ms))
    if "message-id" in values:
        message_id = mime.unfold(values["message-id"][0])
    else:
        message_id = headers.message_id(group_id, mailbox.domain)
        kept.append(mime.fold("Message-ID", message_id))
    subject = values.get("subject")
    stream = values.get("x-stream-type")
    return Adopted(
        mailbox=mailbox,
        to=_mailbox_texts(values.get("to")),
        cc=_mailbox_texts(values.get("cc")),
        subject=mime.decode_words(mime.unfold(subject[0])) if subject else "",
        message_id=message_id,
        stream=mime.unfold(stream[0]).lower() if stream else None,
        tags=_tags(values) if "x-tag" in values or "x-tags" in values else [],
        body=b"\r\n".join([*kept, b"", body if body.endswith(b"\r\n") or not body else body + b"\r\n"]),
    )


def links_of(body: bytes) -> list[str]:
    """The link table of an adopted mail: what `Content.links` is to hold where clicks are tracked."""
    fields, inner = mime.split_message(body)
    table: dict[str, None] = {}
    for part in _html_parts(fields, inner, 0, len(inner), depth=0):
        found = part.extract(None, pixel=False)
        table.update(dict.fromkeys(found.links[: links.LINKS_MAX - len(table)]))
    return list(table)


def prepare(content: Content, body: bytes) -> Prepared:
    """Make an adopted mail ready for its recipients."""
    fields, inner = mime.split_message(body)
    pieces: list[bytes | _Marked] = [inner]
    if content.track_opens or content.track_clicks:
        fields, pieces = _spliced(fields, inner, content)
    return _Raw(
        lines=[(name, line) for name, line in fields],
        pieces=pieces,
        unsubscribe=content.unsubscribe_header,
        present=frozenset([name.lower() for name, _ in fields]),
        needs_smtputf8=not all(line.isascii() for _, line in fields),
        needs_8bitmime=not inner.isascii(),
    )


@dataclass(frozen=True, slots=True)
class _Marked:
    """An HTML part whose links are marked, as latin-1 text: every octet one character."""

    text: str
    encoding: bytes

    def encode(self, personal: Personal) -> bytes:
        filled = links.fill(self.text, personal.tracking_url, personal.token).encode("latin-1")
        match self.encoding:
            case b"base64":
                return mime.base64(filled)
            case b"quoted-printable":
                return mime.quoted_printable(filled)
            case _:
                return filled


@dataclass(frozen=True, slots=True)
class _Raw:
    """A content of kind raw, made ready."""

    lines: list[HeaderLine]
    pieces: list[bytes | _Marked]
    unsubscribe: bool
    present: frozenset[str]
    needs_smtputf8: bool
    needs_8bitmime: bool

    def compose(self, personal: Personal) -> Mail:
        try:
            own = headers.own_lines(personal, unsubscribe=self.unsubscribe, present=self.present)
        except ValueError as error:
            raise _invalid("header", f"The mail cannot be composed: {error}") from None
        body = b"".join(
            [piece if isinstance(piece, bytes) else piece.encode(personal) for piece in self.pieces]
        )
        return Mail(self.lines + own, body, self.needs_smtputf8, self.needs_8bitmime)


@dataclass(frozen=True, slots=True)
class _HtmlPart:
    """A text/html part: where its header lines and its body stand in the whole body, and its decoded text."""

    fields: list[Field]
    head: tuple[int, int] | None  # None: the header of the whole mail
    start: int
    end: int
    encoding: bytes
    text: str = field(repr=False)  # latin-1
    charset: str

    def extract(self, known: list[str] | None, *, pixel: bool, hidden: bool = False) -> links.Spliced:
        return links.extract(self.text, known=known, pixel=pixel, hidden=hidden, decode=self._decode)

    def _decode(self, value: str) -> str:
        octets = value.encode("latin-1")
        try:
            return entities.unescape(octets.decode(self.charset))
        except (LookupError, ValueError):
            return entities.unescape(value)


def _split(raw: bytes) -> tuple[bytes, bytes, bytes]:
    if raw.startswith(b"From ") and not raw.startswith(b"From :") and b"\r\n" in raw:
        raw = raw[raw.index(b"\r\n") + 2 :]  # the envelope line of an mbox is no field
    head, separator, body = (b"", b"\r\n", raw[2:]) if raw.startswith(b"\r\n") else raw.partition(b"\r\n\r\n")
    if len(head) > HEADER_MAX_BYTES:
        raise _invalid("header", f"The header is larger than {HEADER_MAX_BYTES} bytes.")
    if b"\0" in head:
        raise _invalid("header", "The header holds NUL.")
    return head, separator, body


def _values(fields: list[Field]) -> dict[str, list[bytes]]:
    values: dict[str, list[bytes]] = {}
    for name, line in fields:
        values.setdefault(name.lower(), []).append(line)
    for name in _ONCE:
        if len(values.get(name, ())) > 1:
            raise _invalid(name, f"The header {name.title()} is there more than once.")
    return values


def _from(values: dict[str, list[bytes]]) -> Mailbox:
    if "from" not in values:
        raise _invalid("from", "The mail has no From header.")
    texts = _split_addresses(mime.unfold(values["from"][0]))
    if len(texts) != 1:
        raise _invalid("from", "The From header holds one address.")
    mailbox = _mailbox(texts[0])
    if mailbox is None:
        raise _invalid("from", "The From header holds no address that can be read.")
    return mailbox


def _mailbox(text: str) -> Mailbox | None:
    try:
        mailbox = parse_mailbox(_COMMENT.sub("", text) if "(" in text and '"' not in text else text)
    except InvalidAddress:
        return None
    return replace(mailbox, name=mime.decode_words(mailbox.name)) if "=?" in mailbox.name else mailbox


def _split_addresses(text: str) -> list[str]:
    """The text cut at the commas that stand outside quotes, brackets and comments."""
    cuts: list[int] = []
    quoted, depth = False, 0
    for match in _PUNCTUATION.finditer(text) if "," in text else ():
        match match.group():
            case '"':
                quoted = not quoted
            case "<" | "(" if not quoted:
                depth += 1
            case ">" | ")" if not quoted:
                depth = max(depth - 1, 0)
            case "," if not quoted and not depth:
                cuts.append(match.start())
    parts = [text[start + 1 : end] for start, end in pairwise([-1, *cuts, len(text)])]
    return [" ".join(part.split()) for part in parts if part and not part.isspace()]


def _mailbox_texts(lines: list[bytes] | None) -> list[str]:
    if lines is None:
        return []
    found = [_mailbox(text) for line in lines for text in _split_addresses(mime.unfold(line))[:PEOPLE_MAX]]
    return [_mailbox_text(box) for box in found if box is not None]


def _mailbox_text(mailbox: Mailbox) -> str:
    """A text that parse_mailbox reads back, whatever an encoded name held."""
    name = "".join([char for char in mailbox.name if char.isprintable() and char not in '<>"\\'])
    return f"{name[:NAME_MAX_CHARS]} <{mailbox.address}>" if name else mailbox.address


def _tags(values: dict[str, list[bytes]]) -> list[str]:
    lines = values.get("x-tag", []) + values.get("x-tags", [])
    tags = [tag.strip() for line in lines for tag in mime.decode_words(mime.unfold(line)).split(",")]
    return list(dict.fromkeys(filter(None, tags)))


def _spliced(fields: list[Field], body: bytes, content: Content) -> tuple[list[Field], list[bytes | _Marked]]:
    """The body cut at its HTML parts, and the header: its encoding may have to change."""
    pieces: list[bytes | _Marked] = []
    at = 0
    for part in _html_parts(fields, body, 0, len(body), depth=0):
        known = content.links if content.track_clicks else []
        marked = part.extract(known, pixel=content.track_opens, hidden=content.track_clicks).marked()
        if "\0" not in marked:
            continue
        encoding = _encoding_for(marked, part.encoding)
        changed = _with_encoding(part.fields, encoding) if encoding != part.encoding else part.fields
        if part.head is None:
            fields = changed
        else:
            pieces += (body[at : part.head[0]], b"\r\n".join([line for _, line in changed]))
            at = part.head[1]
        pieces += (body[at : part.start], _Marked(marked, encoding))
        at = part.end
    return fields, [*pieces, body[at:]]


def _encoding_for(marked: str, encoding: bytes) -> bytes:
    """The part's own encoding, unless filled marks would make its lines too long or its line ends are odd."""
    if encoding == b"base64":
        return encoding
    if mime.crlf(octets := marked.encode("latin-1")) != octets:
        return b"base64"
    if encoding == b"quoted-printable":
        return encoding
    longest = max([len(line) + line.count(b"\0") * FILL_MAX_OCTETS for line in octets.split(b"\r\n")])
    return encoding if longest <= mime.LINE_MAX_OCTETS else b"quoted-printable"


def _with_encoding(fields: list[Field], encoding: bytes) -> list[Field]:
    line = b"Content-Transfer-Encoding: " + encoding
    others = [kept for kept in fields if kept.name.lower() != "content-transfer-encoding"]
    return [*others, Field("Content-Transfer-Encoding", line)]


def _html_parts(
    fields: list[Field], body: bytes, start: int, end: int, *, depth: int, head: tuple[int, int] | None = None
) -> Iterator[_HtmlPart]:
    """The text/html parts of `body[start:end]`, whose header is `fields`, in their order."""
    kind = _value(fields, "content-type")
    lower = kind.lower()
    if not lower.startswith(_TRACKED_TOP) or lower.startswith(_SEALED) or depth > DEPTH_MAX:
        return
    if lower.startswith("text/html"):
        part = _html_part(fields, body, start, end, head, kind)
        if part is not None:
            yield part
        return
    boundary = _BOUNDARY.search(kind)
    if boundary is None:
        return
    for part_start, part_end in _part_spans(body, start, end, (boundary[1] or boundary[2]).encode()):
        cut = body.find(b"\r\n\r\n", part_start, part_end)
        if cut < 0 or body.startswith(b"\r\n", part_start):
            continue
        try:
            inner = mime.split_fields(body[part_start:cut])
        except ValueError:
            continue
        yield from _html_parts(inner, body, cut + 4, part_end, depth=depth + 1, head=(part_start, cut))


def _part_spans(body: bytes, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Where the parts of a multipart stand, without the line ends that belong to boundaries (RFC 2046)."""
    delimiter = re.compile(rb"(?m:^)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r\n|\Z)")
    opened: int | None = None
    for number, match in enumerate(delimiter.finditer(body, start, end)):
        if opened is not None:
            yield opened, max(match.start() - 2, opened)
        if match[1] or number == PARTS_MAX:
            return
        opened = match.end()


def _html_part(
    fields: list[Field], body: bytes, start: int, end: int, head: tuple[int, int] | None, kind: str
) -> _HtmlPart | None:
    """The part, or None where it is an attachment or cannot be read."""
    charset = _CHARSET.search(kind)
    if _value(fields, "content-disposition").lower().startswith("attachment") or (
        charset and _NOT_ASCII_LIKE.match(charset[1])
    ):
        return None
    encoding = _value(fields, "content-transfer-encoding").lower().encode() or b"7bit"
    octets = body[start:end]
    match encoding:
        case b"base64":
            try:
                octets = binascii.a2b_base64(octets)
            except binascii.Error:
                return None
        case b"quoted-printable":
            octets = binascii.a2b_qp(octets)
        case b"7bit" | b"8bit" | b"binary":
            pass
        case _:
            return None
    if b"\0" in octets:
        return None
    name = charset[1] if charset else "utf-8"
    return _HtmlPart(fields, head, start, end, encoding, octets.decode("latin-1"), name)


def _value(fields: list[Field], wanted: str) -> str:
    for name, line in fields:
        if name.lower() == wanted:
            return mime.unfold(line)
    return ""


def _invalid(where: str, message: str) -> Invalid:
    return Invalid(field=where, message=message)
