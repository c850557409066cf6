"""Seals: secrets at rest bound to their row, tokens in links, keys and passwords that are only ever compared.

The master key is 32 random bytes made on first start and kept in DATA_DIR with mode 600; every use derives
its own key from it (HKDF), so that no two uses share one.
"""

import base64
import binascii
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MASTER_KEY_BYTES = 32
NONCE_BYTES = 12
TOKEN_MAX_CHARS = 512


class Sealer:
    """Everything this installation seals, from one master key."""

    def __init__(self, master_key: bytes) -> None:
        assert len(master_key) == MASTER_KEY_BYTES
        self._rows = AESGCM(_derive(master_key, b"rows"))
        self._tokens = AESSIV(_derive(master_key, b"tokens", 64))
        self._hash_key = _derive(master_key, b"hashes")

    def seal(self, secret: bytes, row_id: bytes) -> bytes:
        """AES-GCM with the row's id as associated data: a sealed secret is worthless in any other row."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._rows.encrypt(nonce, secret, row_id)

    def unseal(self, sealed: bytes, row_id: bytes) -> bytes:
        return self._rows.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row_id)

    def token(self, payload: bytes) -> str:
        """URL-safe text that only this installation can make or read (AES-SIV, RFC 5297)."""
        return base64.urlsafe_b64encode(self._tokens.encrypt(payload, None)).rstrip(b"=").decode()

    def read_token(self, token: str) -> bytes | None:
        """The payload, or None for anything this installation did not make."""
        if len(token) > TOKEN_MAX_CHARS:
            return None
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            return self._tokens.decrypt(raw, None)
        except (binascii.Error, UnicodeEncodeError, ValueError, InvalidTag):
            return None

    def hash_key(self, key: str) -> bytes:
        """HMAC-SHA256 of a generated key or password: they are random, so no slow hash is needed."""
        return hmac.digest(self._hash_key, key.encode(), "sha256")


def load_or_make_master_key(path: Path) -> bytes:
    """The key in `path`, made with mode 600 where there is none yet."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return base64.b64decode(path.read_text())
    with os.fdopen(descriptor, "w") as file:
        file.write(base64.b64encode(os.urandom(MASTER_KEY_BYTES)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return base64.b64decode(path.read_text())


def fingerprint(*parts: bytes) -> bytes:
    """SHA-256 over length-prefixed parts: equal only for equal lists of parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _derive(master_key: bytes, use: bytes, length: int = 32) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=b"postrider " + use).derive(master_key)
