"""MIME as bytes (RFC 5322, 2045-2047, 2231): header fields, body encodings, multiparts, raw mail split.

Refuses CR, LF and NUL in every header value, lines past 998 octets, and never encodes or breaks a URL.
"""

import binascii
import re
import secrets
from collections.abc import Sequence
from email.errors import MessageError
from email.header import decode_header
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from postrider.kit import clock
from postrider.kit.address import Mailbox, ascii_domain

FOLD_AT = 76
LINE_MAX_OCTETS = 998  # RFC 5322 2.1.1, without CRLF
NAME_MAX_OCTETS = 77  # a field name, its colon and a space stay within a folded line
CRLF = b"\r\n"

_FIELD_NAME = re.compile(rf"[!-9;-~]{{1,{NAME_MAX_OCTETS}}}")  # RFC 5322 ftext
_RAW_FIELD_NAME = re.compile(rb"[!-9;-~]+[ \t]*:")
_BREAKS = re.compile(r"[\r\n\0]")
_PLAIN_TEXT = re.compile(r"[!-~]+(?: +[!-~]+)*")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_PARAMETER = re.compile(r"[A-Za-z0-9 !#$&+.^_`{}~()@,=\[\]-]{1,56}")
_FOLDED = re.compile(rb"\r?\n(?=[ \t])")
_NON_ASCII_MIN_SHARE = 3  # past a third, base64 is shorter than quoted-printable
_ASCII = bytes(range(128))
_WORD_OVERHEAD = len("=?UTF-8?B?" + "?=")
_WORD_DATA_OCTETS = 45  # makes 60 characters of base64: an encoded word of 72, of the 75 that are allowed
_PARAMETER_CHUNK = 48
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Field(NamedTuple):
    """A header field as it stands: its name as written, and the whole field without its last CRLF."""

    name: str
    raw: bytes


class Encoded(NamedTuple):
    """A body and the Content-Transfer-Encoding it was given."""

    encoding: bytes
    body: bytes


def check_name(name: str) -> str:
    """The field name; raises ValueError for what RFC 5322 does not allow or 77 characters do not hold."""
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"not a header name: {name[:NAME_MAX_OCTETS]!r}")
    return name


def text_field(name: str, value: str) -> bytes:
    """`Name: value`, folded at 76, in encoded words (RFC 2047) only where the text needs them."""
    check_name(name)
    check_value(value)
    if not value or (_PLAIN_TEXT.fullmatch(value) and "=?" not in value and _words_fit(value)):
        return fold(name, value)
    return fold(name, " ".join(_encoded_words(value, len(name) + 2)))


def fold(name: str, value: str) -> bytes:
    """`Name: value` folded at its spaces and nowhere else: a URL or an id of any length stays whole.

    Raises ValueError for breaks in the value and where a word alone is longer than a line may be.
    """
    check_value(value)
    line = f"{name}: {value}"
    if len(line) <= FOLD_AT:
        return line.encode()
    lines: list[str] = []
    words = value.split(" ")
    current = f"{name}: {words[0]}"
    for word in words[1:]:
        if word and len(current) + 1 + len(word) > FOLD_AT:
            lines.append(current)
            current = " " + word
        else:
            current += " " + word
    lines.append(current)
    folded = [part.encode() for part in lines]
    if max(map(len, folded)) > LINE_MAX_OCTETS:
        raise ValueError(f"a word in {name} is longer than {LINE_MAX_OCTETS} octets")
    return b"\r\n".join(folded)


def address_field(name: str, mailboxes: Sequence[Mailbox]) -> bytes:
    """`Name: mailbox, mailbox`; an address whose local part is not ASCII stands in raw UTF-8 (RFC 6532)."""
    return fold(name, ", ".join([format_mailbox(mailbox) for mailbox in mailboxes]))


def format_mailbox(mailbox: Mailbox) -> str:
    """The mailbox as a header shows it: the name as atoms, quoted or encoded; the domain as A-labels."""
    address = mailbox.address
    if not address.isascii():
        local, _, domain = address.rpartition("@")
        address = f"{local}@{ascii_domain(domain)}"
    check_value(address)
    if not mailbox.name:
        return address
    return f"{_phrase(check_value(mailbox.name))} <{address}>"


def check_value(value: str) -> str:
    """The value itself; raises ValueError for CR, LF and NUL: none may ever reach a header."""
    if _BREAKS.search(value):
        raise ValueError("line break or NUL in a header value")
    return value


def date_field(at_ms: int) -> bytes:
    """`Date: …` in UTC (RFC 5322 3.3)."""
    return _date_field(at_ms // 1000)


def parameter(name: str, value: str) -> bytes:
    """`name="value"`, or RFC 2231 continuations, one a line, for long or non-ASCII values."""
    check_value(value)
    if _PLAIN_PARAMETER.fullmatch(value):
        return f'{name}="{value}"'.encode()
    chunks = _percent_chunks(quote(value, safe="!#$&+.^_`{}~-", errors="replace"))
    if len(chunks) == 1:
        return f"{name}*=utf-8''{chunks[0]}".encode()
    first = f"{name}*0*=utf-8''{chunks[0]}"
    rest = [f"{name}*{number}*={chunk}" for number, chunk in enumerate(chunks[1:], 1)]
    return ";\r\n ".join([first, *rest]).encode()


def crlf(data: bytes) -> bytes:
    """Every line end as CRLF: bare CR and bare LF become line ends too."""
    breaks = data.count(b"\r\n")
    if data.count(b"\n") == breaks and data.count(b"\r") == breaks:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def encode_text(data: bytes) -> Encoded:
    """Text with CRLF line ends as 7bit where it fits, else in the shorter of quoted-printable and base64."""
    if data.isascii():
        if fits_7bit(data):
            return Encoded(b"7bit", data)
        return Encoded(b"quoted-printable", quoted_printable(data))
    if len(data.translate(None, _ASCII)) * _NON_ASCII_MIN_SHARE > len(data):
        return Encoded(b"base64", base64(data))
    return Encoded(b"quoted-printable", quoted_printable(data))


def fits_7bit(data: bytes) -> bool:
    """Whether the text may go as it is: ASCII, no NUL, no line too long, none that starts with `From `."""
    return (
        data.isascii()
        and max(map(len, data.split(CRLF))) <= LINE_MAX_OCTETS
        and b"\0" not in data
        and b"\nFrom " not in data
        and not data.startswith(b"From ")
    )


def quoted_printable(data: bytes) -> bytes:
    """Quoted-printable (RFC 2045 6.7) of text with CRLF line ends; `From ` never starts a line."""
    # binascii takes its soft line break from the first line end it sees, so there must be one.
    encoded = binascii.b2a_qp(data + CRLF, istext=True)[:-2]
    if b"From " in encoded:
        encoded = re.sub(rb"(?m)^From ", b"=46rom ", encoded)
    return encoded


def base64(data: bytes) -> bytes:
    """Base64 in lines of 76."""
    encoded = binascii.b2a_base64(data, newline=False)
    return CRLF.join([encoded[at : at + FOLD_AT] for at in range(0, len(encoded), FOLD_AT)])


def make_boundary() -> bytes:
    """128 random bits: stands in no body by chance, and `=_` keeps it out of encoded ones altogether."""
    return b"=_" + secrets.token_hex(16).encode()


def multipart(boundary: bytes, parts: Sequence[bytes]) -> bytes:
    """The body of a multipart: each part is its header lines, an empty line and its body."""
    opened = b"".join([b"--" + boundary + CRLF + part + CRLF for part in parts])
    return opened + b"--" + boundary + b"--\r\n"


def split_message(raw: bytes) -> tuple[list[Field], bytes]:
    """Header fields with their exact bytes, and the body, of mail with CRLF line ends. ValueError."""
    head, _, body = (b"", b"", raw[2:]) if raw.startswith(CRLF) else raw.partition(b"\r\n\r\n")
    return split_fields(head), body


def split_fields(head: bytes) -> list[Field]:
    """The fields of a header block without its empty line."""
    fields: list[Field] = []
    for line in head.removesuffix(CRLF).split(CRLF):
        if line[:1] in (b" ", b"\t") and fields:
            name, raw = fields[-1]
            fields[-1] = Field(name, raw + CRLF + line)
            continue
        match = _RAW_FIELD_NAME.match(line)
        if match is not None:
            fields.append(Field(match.group()[:-1].rstrip().decode("ascii"), line))
        elif line:
            raise ValueError("a line of the header is no field")
    return fields


def unfold(raw: bytes) -> str:
    """The value of a raw field: unfolded, stripped, not decoded. Bytes that are not UTF-8 become U+FFFD."""
    value = raw.partition(b":")[2]
    if b"\n" in value:
        value = _FOLDED.sub(b"", value)
    return value.decode("utf-8", "replace").strip()


def decode_words(text: str) -> str:
    """The text with its encoded words (RFC 2047) read; text with none, or unreadable ones, as it is."""
    if "=?" not in text:
        return text
    try:
        return "".join(
            part if isinstance(part, str) else part.decode(charset or "latin-1", "replace")
            for part, charset in decode_header(text)
        )
    except (MessageError, LookupError, ValueError):
        return text


def _words_fit(value: str) -> bool:
    room = LINE_MAX_OCTETS - NAME_MAX_OCTETS - 2
    return len(value) <= room or max(map(len, value.split(" "))) <= room


def _phrase(name: str) -> str:
    if "=?" not in name and name.isascii():
        if _PLAIN_PHRASE.fullmatch(name):
            return name
        if name.isprintable():
            escaped = name.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
    return " ".join(_encoded_words(name, 0))


def _encoded_words(text: str, used: int) -> list[str]:
    """Encoded words of at most 72 characters; none splits a character; the first shares its line."""
    words: list[str] = []
    room = min(_WORD_DATA_OCTETS, max((FOLD_AT - used - _WORD_OVERHEAD) // 4 * 3, 4))
    chunk = b""
    for char in text:
        octets = char.encode()
        if len(chunk) + len(octets) > room:
            words.append(_encoded_word(chunk))
            chunk, room = b"", _WORD_DATA_OCTETS
        chunk += octets
    words.append(_encoded_word(chunk))
    return words


def _encoded_word(data: bytes) -> str:
    return f"=?UTF-8?B?{binascii.b2a_base64(data, newline=False).decode()}?="


@lru_cache(maxsize=256)
def _date_field(at_s: int) -> bytes:
    at = clock.to_datetime(at_s * 1000)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"Date: {day}, {at.day:02d} {month} {at.year:04d} {at:%H:%M:%S} +0000".encode()


def _percent_chunks(text: str) -> list[str]:
    chunks: list[str] = []
    at = 0
    while at < len(text):
        end = at + _PARAMETER_CHUNK
        cut = text.rfind("%", end - 2, end)  # a %XX is not split
        end = cut if cut >= 0 and end < len(text) else end
        chunks.append(text[at:end])
        at = end
    return chunks or [""]
