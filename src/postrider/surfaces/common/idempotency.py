"""Reading `Idempotency-Key`: a repeat of a request under the same key gets the first one's answer."""

from starlette.requests import Request

from postrider.engine.errors import Invalid
from postrider.kit import seal

HEADER = "Idempotency-Key"
KEY_MAX_CHARS = 256


def read_key(request: Request, scope: str) -> str | None:
    """The caller's key within `scope` (the surface's operation), or None; raises Invalid."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_MAX_CHARS or not key.isprintable():
        raise Invalid(field=HEADER, message=f"{HEADER} must have 1 to {KEY_MAX_CHARS} printable characters")
    return f"{scope}:{key}"


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """What a request is recognised by; `path` is the canonical one where an operation has several."""
    return seal.fingerprint(method.encode(), path.encode(), body)
