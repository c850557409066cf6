"""Links to pages of one contact or list: sealed for one use, so that no link opens another page."""

import base64
import hmac
from dataclasses import dataclass
from enum import StrEnum

from postrider.kit.ids import ID_BYTES, RowId
from postrider.kit.seal import Sealer

CHECK_BYTES = 12
_ORGANIZATION_BYTES, _TIME_BYTES = 8, 6
_PAYLOAD_BYTES = _ORGANIZATION_BYTES + 2 * ID_BYTES + _TIME_BYTES
CHARS = -(-(_PAYLOAD_BYTES + CHECK_BYTES) * 8 // 5)
_NONE = bytes(ID_BYTES)


class Use(StrEnum):
    CONFIRM = "confirm subscription"
    FORM = "sign-up form"


@dataclass(frozen=True, slots=True)
class Token:
    """`contact_id` is None for a form; `issued_at` in ms."""

    organization_id: int
    contact_id: RowId | None
    list_id: RowId | None
    issued_at: int


def make(sealer: Sealer, use: Use, token: Token) -> str:
    """CHARS characters a-z2-7."""
    payload = (
        token.organization_id.to_bytes(_ORGANIZATION_BYTES, "big")
        + (token.contact_id or _NONE)
        + (token.list_id or _NONE)
        + token.issued_at.to_bytes(_TIME_BYTES, "big")
    )
    return base64.b32encode(payload + _check(sealer, use, payload)).decode().rstrip("=").lower()


def read(sealer: Sealer, use: Use, text: str) -> Token | None:
    """None for anything this installation did not make for this use."""
    if len(text) != CHARS or not text.isascii():
        return None
    try:
        sealed = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:
        return None
    payload = sealed[:_PAYLOAD_BYTES]
    if not hmac.compare_digest(sealed[_PAYLOAD_BYTES:], _check(sealer, use, payload)):
        return None
    organization, rest = payload[:_ORGANIZATION_BYTES], payload[_ORGANIZATION_BYTES:]
    contact_id, list_id = rest[:ID_BYTES], rest[ID_BYTES : 2 * ID_BYTES]
    return Token(
        int.from_bytes(organization, "big"),
        None if contact_id == _NONE else contact_id,
        None if list_id == _NONE else list_id,
        int.from_bytes(rest[2 * ID_BYTES :], "big"),
    )


def _check(sealer: Sealer, use: Use, payload: bytes) -> bytes:
    return sealer.secret_of(payload, use.value)[:CHECK_BYTES]
