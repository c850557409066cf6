"""The parts of a mail, read leniently, within limits and without ever raising.

It does not look inside a returned mail, and does not use the standard library's parser: that one recurses
into parts as deep as a hostile mail nests them, and looks for every open boundary at every line.
"""

import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from postrider.engine.content.text import to_text
from postrider.kit import mime

READ_MAX_BYTES = 256 * 1024
DEPTH_MAX = 8
PARTS_MAX = 64
FIELDS_MAX = 400
VALUE_MAX_CHARS = 4_000
KIND_MAX_CHARS = 1_000
TEXT_MAX_CHARS = 24 * 1024
TEXT_MAX_LINES = 600
LINE_MAX_CHARS = 1_000
ORIGINAL_KINDS = frozenset(
    [
        *("message/rfc822", "text/rfc822-headers", "message/rfc822-headers"),
        *("message/global", "message/global-headers", "text/rfc822", "text/rfc822-header"),
    ]
)

_FIELD = re.compile(rb"([!-9;-~]{1,77})[ \t]*:(.*)", re.DOTALL)
_PARAMETER = re.compile(r""";\s*([\w-]{1,40})\*?\s*=\s*(?:"([^"]*)"|([^\s;"]+))""")
_CHARSET = re.compile(r"[A-Za-z0-9._:+-]{1,40}")
_WORD_CHARSET = re.compile(r"=\?([^?*]*)[?*]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_NOT_TEXT = re.compile(r"[^A-Za-z0-9+/=]+")
_ODD_CODECS = frozenset(["punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "utf_7"])

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its fields (names in lower case, values unfolded), its body as sent, with LF line ends."""

    fields: Fields
    kind: str  # media type in lower case
    parameters: dict[str, str]
    body: bytes
    parts: tuple["Part", ...] = ()

    def get(self, name: str) -> str:
        """The first field of that name, or an empty text."""
        return next((value for own, value in self.fields if own == name), "")

    def walk(self) -> Iterator["Part"]:
        """This part and all below it, in order."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def leaves(self) -> list["Part"]:
        return [part for part in self.walk() if not part.parts]

    def find(self, *kinds: str) -> "Part | None":
        """The first leaf of one of these kinds."""
        return next((leaf for leaf in self.leaves() if leaf.kind in kinds), None)

    def octets(self) -> bytes:
        """The body without its transfer encoding; as it stands where that cannot be read."""
        match self.get("content-transfer-encoding").strip().lower():
            case "base64":
                return _unbase64(self.body)
            case "quoted-printable":
                return binascii.a2b_qp(self.body)
            case _:
                return self.body

    def text(self) -> str:
        """The body as text with LF line ends, without control characters, cut to the limits."""
        octets = self.octets()[: TEXT_MAX_CHARS * 4].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        text = decode(octets, self.parameters.get("charset", ""))[:TEXT_MAX_CHARS]
        if self.kind == "text/html":
            text = to_text(text)
        lines = without_controls(text.replace("\xa0", " ")).split("\n")[:TEXT_MAX_LINES]
        return "\n".join([line[:LINE_MAX_CHARS].rstrip() for line in lines])


def read_mail(raw: bytes) -> Part:
    """The mail's parts, from its first READ_MAX_BYTES."""
    octets = raw[:READ_MAX_BYTES].replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return _Reader().read(octets, "text/plain", 0)


def read_fields(octets: bytes) -> tuple[Fields, bytes]:
    """The fields of a header with LF line ends, and what follows them.

    A line that is no field ends the header, for then its empty line is missing.
    """
    fields: list[tuple[str, list[bytes]]] = []
    at = 0
    while at < len(octets):
        end = octets.find(b"\n", at)
        end = len(octets) if end < 0 else end
        line = octets[at:end]
        if not line:
            at = end + 1
            break
        found = _FIELD.fullmatch(line)
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1][1].append(line)
        elif found is not None:
            if len(fields) < FIELDS_MAX:
                fields.append((found[1].decode("ascii").lower(), [found[2]]))
        elif not line.startswith((b"From ", b">From ")) or fields:
            break
        at = end + 1
    return tuple((name, _value(lines)) for name, lines in fields), octets[at:]


def decode(octets: bytes, charset: str) -> str:
    """The octets as text, whatever the charset is called: one nobody knows is UTF-8, or else Latin-1."""
    name = _codec(charset)
    if name in (None, "ascii", "utf-8") and b"\x1b$" in octets:
        return octets.decode("iso2022_jp", "replace")  # sent raw, and under any name
    if name is None or name == "ascii":
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.start >= len(octets) - 3 and not octets[: error.start].isascii():  # cut in a character
                return octets.decode("utf-8", "replace")
            return octets.decode("latin-1")
    return octets.decode(name, "replace")


def without_controls(text: str) -> str:
    """The text with a space for each control character but line ends."""
    return _CONTROL.sub(" ", text)


def read_words(value: str) -> str:
    """The value with its encoded words (RFC 2047) read, where their charsets are known ones."""
    if all(_codec(charset) for charset in _WORD_CHARSET.findall(value)):
        return mime.decode_words(value)
    return value


class _Reader:
    """Counts the parts of one mail."""

    def __init__(self) -> None:
        self._left = PARTS_MAX

    def read(self, octets: bytes, default_kind: str, depth: int) -> Part:
        self._left -= 1
        fields, body = read_fields(octets)
        value = next((value for name, value in fields if name == "content-type"), "")[:KIND_MAX_CHARS]
        kind = value.partition(";")[0].strip().lower() or default_kind
        parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(value)}
        parts: tuple[Part, ...] = ()
        if kind.startswith("multipart/") and depth < DEPTH_MAX:
            inner = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            parts = self._split(body, parameters.get("boundary", "").rstrip(), inner, depth + 1)
        return Part(fields, kind, parameters, body, parts)

    def _split(self, body: bytes, boundary: str, default_kind: str, depth: int) -> tuple[Part, ...]:
        if not boundary:
            return ()
        delimiter = re.compile(
            rb"^--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*$", re.MULTILINE
        )
        parts: list[Part] = []
        opened: int | None = None
        for match in delimiter.finditer(body):
            if opened is not None and self._left > 0:
                parts.append(self.read(body[opened : max(match.start() - 1, opened)], default_kind, depth))
            opened = None if match[1] else match.end() + 1
            if opened is None or self._left <= 0:
                break
        if opened is not None and self._left > 0:  # the mail was cut, or its end forgotten
            parts.append(self.read(body[opened:], default_kind, depth))
        return tuple(parts)


def _value(lines: list[bytes]) -> str:
    joined = b"".join(lines)[: VALUE_MAX_CHARS * 4]
    return without_controls(joined.decode("utf-8", "replace").strip())[:VALUE_MAX_CHARS]


def _unbase64(body: bytes) -> bytes:
    """As much of it as can be read: RFC 2045 lets everything outside the alphabet be skipped."""
    clean = _NOT_TEXT.sub("", body.decode("ascii", "ignore")).partition("=")[0]
    clean = clean[: len(clean) - (len(clean) % 4 == 1)]
    return binascii.a2b_base64(clean + "=" * (-len(clean) % 4))


def _codec(charset: str) -> str | None:
    """The name of a codec that makes text of octets in linear time, or None."""
    charset = charset.strip()
    if not _CHARSET.fullmatch(charset):
        return None
    try:
        name = codecs.lookup(charset).name
        b"a".decode(name, "replace")  # refuses what is no text encoding
    except (LookupError, ValueError):
        return None
    return None if name.replace("-", "_") in _ODD_CODECS else name
