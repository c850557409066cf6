"""DKIM signatures (RFC 6376, RFC 8463), relaxed/relaxed, RSA and Ed25519. It signs; it never verifies.

A signature is made in two steps, because raw RSA (250 us) lets go of the interpreter's lock: `prepare` where
the mail is composed, `Key.sign` in a thread, `Unsigned.complete` when it is back.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from postrider.engine.content.model import Mail
from postrider.engine.domains.model import Algorithm

FOLD_CHARS = 72
SIGNED = frozenset(
    b"from to cc reply-to subject date message-id mime-version content-type content-transfer-encoding"
    b" list-unsubscribe list-unsubscribe-post feedback-id in-reply-to references".split()
)
_WSP_RUN = re.compile(rb"[ \t]+")


PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Key:
    """A domain's key, parsed; `domain` in A-labels. Keep it: parsing costs as much as a small message."""

    domain: str
    selector: str
    algorithm: Algorithm
    private_key: PrivateKey = field(repr=False)
    opening: bytes = field(init=False, repr=False)  # of the header, equal for every mail

    def __post_init__(self) -> None:
        opening = (
            f"DKIM-Signature: v=1; a={self.algorithm}; c=relaxed/relaxed; d={self.domain}; s={self.selector};"
        )
        object.__setattr__(self, "opening", opening.encode("ascii") + b"\r\n t=")

    def sign(self, data: bytes) -> bytes:
        """The raw signature of `Unsigned.data`; safe in any thread."""
        if isinstance(self.private_key, rsa.RSAPrivateKey):
            return self.private_key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.private_key.sign(hashlib.sha256(data).digest())  # RFC 8463 3: over the hash


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A signature header but for its `b=`, and the bytes that `key.sign` is to sign."""

    key: Key
    data: bytes
    header: bytes

    def complete(self, signature: bytes) -> bytes:
        """The header line "DKIM-Signature: …", folded, without CRLF at its end."""
        text = base64.b64encode(signature)
        return self.header + b"\r\n ".join(
            [text[at : at + FOLD_CHARS] for at in range(0, len(text), FOLD_CHARS)]
        )


def load_key(pkcs8_der: bytes, *, domain: str, selector: str) -> Key:
    """The key of a PKCS#8 DER as `domains.keys` made it; raises ValueError for anything else.

    An RSA key is not validated again: it costs 29 ms, and the key was made here.
    """
    private = serialization.load_der_private_key(pkcs8_der, None, unsafe_skip_rsa_key_validation=True)
    match private:
        case rsa.RSAPrivateKey():
            return Key(domain, selector, Algorithm.RSA, private)
        case ed25519.Ed25519PrivateKey():
            return Key(domain, selector, Algorithm.ED25519, private)
        case _:
            raise ValueError("neither an RSA nor an Ed25519 key")


def sign(mail: Mail, keys: Sequence[Key], *, now_s: int, body_hash: bytes | None = None) -> list[bytes]:
    """One DKIM-Signature line for each key, to stand before the mail's headers."""
    unsigned = prepare(mail, keys, now_s=now_s, body_hash=body_hash)
    return [each.complete(each.key.sign(each.data)) for each in unsigned]


def prepare(mail: Mail, keys: Sequence[Key], *, now_s: int, body_hash: bytes | None = None) -> list[Unsigned]:
    """Everything but the raw signatures; `body_hash` where an equal body was hashed before."""
    names, canonical = signature_input(mail.headers)
    closing = b"; h=%b;\r\n bh=%b;\r\n b=" % (names, hash_body(mail.body) if body_hash is None else body_hash)
    prepared = []
    for key in keys:
        header = key.opening + str(now_s).encode("ascii") + closing
        # The header is written so that relaxing it is only to unfold it and to lower its name.
        own = b"dkim-signature:" + header[16:].replace(b"\r\n", b"")
        prepared.append(Unsigned(key, canonical + own, header))
    return prepared


def hash_body(body: bytes) -> bytes:
    """The `bh=` of a body with CRLF line ends: base64 of the SHA-256 of its relaxed form."""
    return base64.b64encode(hashlib.sha256(_relax_body(body)).digest())


def signature_input(headers: Sequence[tuple[str, bytes]]) -> tuple[bytes, bytes]:
    """The `h=` value and the relaxed header lines it names.

    Repeated fields are taken from the last up (RFC 6376 5.4.2). From is named once more than it occurs, so
    that a second one cannot be added on the way.
    """
    names, lines = [], []
    for name, line in reversed(headers):
        lower = _signed_name(name)
        if lower:
            names.append(lower)
            lines.append(lower + b":" + _relax_value(line[len(lower) + 1 :]) + b"\r\n")
    names.append(b"from")
    return b":".join(names), b"".join(lines)


@lru_cache(maxsize=1_024)
def _signed_name(name: str) -> bytes:
    """The name in lower case, or nothing for a field that is not signed."""
    lower = name.lower().encode("ascii", "replace")
    return lower if lower in SIGNED else b""


def _relax_value(value: bytes) -> bytes:
    if b"\x0b" in value or b"\x0c" in value:  # white space to bytes.split, but not to RFC 6376
        return _WSP_RUN.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return b" ".join(value.split())


def _relax_body(body: bytes) -> bytes:
    """RFC 6376 3.4.4, by whole-body replacements: each is one pass in C, a regex pays by the match."""
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    if b"\t" in body:
        body = body.replace(b"\t", b" ")
    while b"  " in body:  # halves the longest run: at most log2(len(body)) rounds
        body = body.replace(b"  ", b" ")
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    if body.endswith(b"\r\n\r\n") or body == b"\r\n":
        body = body.rstrip(b"\r\n")
        return body + b"\r\n" if body else b""
    return body
