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

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MASTER_KEY_BYTES = 32
NONCE_BYTES = 12
MESSAGE_ID_BYTES = 16
CHECK_BYTES = 12
TOKEN_MIN_CHARS = 40
TOKEN_MAX_CHARS = 58


class Sealer:
    """Everything this installation seals, from one master key."""

    def __init__(self, master_key: bytes) -> None:
        assert len(master_key) == MASTER_KEY_BYTES
        self._rows = AESGCM(_derive(master_key, b"rows"))
        self._token_keys = _derive(master_key, b"token check"), _derive(master_key, b"token mask")
        self._hash_key = _derive(master_key, b"hashes")
        self._secret_key = _derive(master_key, b"secrets of rows")
        self.signing_key = _derive(master_key, b"signed tokens")  # of access and refresh tokens

    def seal(self, secret: bytes, row_id: bytes) -> bytes:
        """AES-GCM with the row's id as associated data: a sealed secret is worthless in any other row."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._rows.encrypt(nonce, secret, row_id)

    def unseal(self, sealed: bytes, row_id: bytes) -> bytes:
        return self._rows.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row_id)

    def secret_of(self, row_id: bytes, use: str) -> bytes:
        """32 bytes that stand nowhere: always the same for a row and a use, and told by nothing else."""
        return hmac.digest(self._secret_key, fingerprint(row_id, use.encode()), "sha256")

    def message_token(self, organization_id: int, message_id: bytes) -> str:
        """A message's seal: only this installation can make or read it; 47 characters for most organizations.

        A synthetic-IV construction (as RFC 5297's, with keyed BLAKE2b for both halves): the payload's check
        value of 12 octets also decides its mask. Lower-case base32, so that it may stand in a local part:
        servers change the case there, and `unsubscribe+` leaves 52 of its 64 octets (RFC 5321 4.5.3.1.1).
        """
        number = organization_id.to_bytes((organization_id.bit_length() + 7) // 8 or 1, "big")
        payload = message_id + number
        check = self._check(payload)
        return base64.b32encode(check + self._mask(check, payload)).decode().rstrip("=").lower()

    def read_message_token(self, token: str) -> tuple[int, bytes] | None:
        """(organization, message id), or None for anything this installation did not make."""
        if not TOKEN_MIN_CHARS <= len(token) <= TOKEN_MAX_CHARS:
            return None
        try:
            sealed = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        except (binascii.Error, ValueError):
            return None
        check, masked = sealed[:CHECK_BYTES], sealed[CHECK_BYTES:]
        payload = self._mask(check, masked)
        if not hmac.compare_digest(check, self._check(payload)):
            return None
        return int.from_bytes(payload[MESSAGE_ID_BYTES:], "big"), payload[:MESSAGE_ID_BYTES]

    def _check(self, payload: bytes) -> bytes:
        return hashlib.blake2b(payload, key=self._token_keys[0], digest_size=CHECK_BYTES).digest()

    def _mask(self, check: bytes, payload: bytes) -> bytes:
        """XOR with a stream that only `check` and the key decide; its own inverse."""
        size = len(payload)
        stream = hashlib.blake2b(check, key=self._token_keys[1], digest_size=size).digest()
        return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")

    @property
    def fingerprint(self) -> str:
        """Tells master keys apart without telling the key."""
        return hmac.digest(self._hash_key, b"which master key", "sha256").hex()[:32]

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


def _derive(master_key: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"postrider " + use).derive(master_key)
