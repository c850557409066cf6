"""Makes a mail fit a peer that lacks 8BITMIME (RFC 6152) or SMTPUTF8 (RFC 6531); sign it after, never before.

It refuses what would have to be invented: an address without an ASCII form, a signed part in other bytes.
"""

import base64
import binascii
import re
from dataclasses import replace
from email.message import Message

from postrider.engine.content.model import Mail
from postrider.engine.delivery.extensions import NO_8BITMIME, NO_SMTPUTF8, Extensions
from postrider.engine.delivery.replies import Answer
from postrider.kit.address import InvalidAddress, ascii_domain

DEPTH_MAX = 20
_DOMAIN = re.compile(r"(?<=@)[^\s<>,;:\"()\[\]]+")
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_UNFOLD = re.compile(rb"\r\n(?=[ \t])")

Headers = list[tuple[str, bytes]]


class _Unconvertible(Exception):
    """A part must stay as it is."""


def downgrade(mail: Mail, extensions: Extensions) -> Mail | Answer:
    """The mail as this peer can take it, unchanged where it can; or the permanent refusal (5.6.7, 5.6.3).

    8-bit text becomes quoted-printable, other 8-bit parts base64. Addresses in headers get A-label domains.
    """
    if mail.needs_smtputf8 and not extensions.smtputf8:
        headers = [(name, _ascii_domains(line)) for name, line in mail.headers]
        if not all(line.isascii() for _, line in headers):
            return NO_SMTPUTF8
        mail = replace(mail, headers=headers, needs_smtputf8=False)
    if mail.needs_8bitmime and not extensions.eightbitmime:
        try:
            headers, body = _to_7bit(mail.headers, mail.body, depth=0)
        except _Unconvertible:
            return NO_8BITMIME
        mail = replace(mail, headers=headers, body=body, needs_8bitmime=False)
    return mail


def _ascii_domains(line: bytes) -> bytes:
    if line.isascii():
        return line
    try:
        text = line.decode("utf-8")
        return _DOMAIN.sub(lambda found: ascii_domain(found[0]), text).encode("utf-8")
    except (UnicodeDecodeError, InvalidAddress):
        return line


def _to_7bit(headers: Headers, body: bytes, *, depth: int) -> tuple[Headers, bytes]:
    """One entity (RFC 2046): a multipart by its parts, anything else by encoding its body."""
    if body.isascii():
        return headers, body
    kind = _content_type(headers)
    maintype = kind.get_content_maintype()
    if kind.get_content_type() == "multipart/signed" or maintype == "message" or depth > DEPTH_MAX:
        raise _Unconvertible
    if _header(headers, b"content-transfer-encoding").strip().lower() not in (
        b"",
        b"7bit",
        b"8bit",
        b"binary",
    ):
        raise _Unconvertible  # says it is encoded, and is not
    if maintype == "multipart":
        return _with_encoding(headers, b"7bit"), _parts_to_7bit(
            body, kind.get_boundary() or "", depth=depth + 1
        )
    if maintype == "text":
        return _with_encoding(headers, b"quoted-printable"), _quoted_printable(body)
    return _with_encoding(headers, b"base64"), base64.encodebytes(body).replace(b"\n", b"\r\n")


def _content_type(headers: Headers) -> Message:
    """The stdlib's reading of the Content-Type and its parameters; text/plain where there is none."""
    message = Message()
    if value := _header(headers, b"content-type"):
        message["Content-Type"] = _UNFOLD.sub(b"", value).decode("utf-8", "replace").strip()
    return message


def _parts_to_7bit(body: bytes, boundary: str, *, depth: int) -> bytes:
    """What stands between two delimiter lines is an entity; what stands around them all is for nobody."""
    delimiter = re.escape(boundary.encode("utf-8", "replace"))
    pieces = re.split(rb"((?:\A|(?<=\n))--" + delimiter + rb"(?:--)?[ \t]*(?:\r\n|\Z))", body)
    if not boundary or len(pieces) < 5:
        raise _Unconvertible
    for at in range(2, len(pieces) - 2, 2):
        pieces[at] = _part_to_7bit(pieces[at], depth=depth)
    pieces[0] = pieces[0] if pieces[0].isascii() else b""
    pieces[-1] = pieces[-1] if pieces[-1].isascii() else b""
    return b"".join(pieces)


def _part_to_7bit(part: bytes, *, depth: int) -> bytes:
    if part.isascii():
        return part
    content = part.removesuffix(b"\r\n")  # belongs to the delimiter that follows
    head, _, body = (b"", b"", content[2:]) if content.startswith(b"\r\n") else content.partition(b"\r\n\r\n")
    lines = [line for line in _FIELD_END.split(head) if line]
    headers, body = _to_7bit([(_name(line), line) for line in lines], body, depth=depth)
    return b"".join([line + b"\r\n" for _, line in headers]) + b"\r\n" + body.removesuffix(b"\r\n") + b"\r\n"


def _quoted_printable(body: bytes) -> bytes:
    """RFC 2045 6.7; binascii takes its soft line ends from the first line end it sees."""
    return binascii.b2a_qp(b"\r\n" + body, istext=True)[2:]


def _with_encoding(headers: Headers, encoding: bytes) -> Headers:
    kept = [(name, line) for name, line in headers if name.lower() != "content-transfer-encoding"]
    return [*kept, ("Content-Transfer-Encoding", b"Content-Transfer-Encoding: " + encoding)]


def _header(headers: Headers, name: bytes) -> bytes:
    for _, line in headers:
        if line[: len(name) + 1].lower() == name + b":":
            return line[len(name) + 1 :]
    return b""


def _name(line: bytes) -> str:
    return line.partition(b":")[0].strip().decode("ascii", "replace")
