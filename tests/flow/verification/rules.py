"""What a receiver does by the rules of the documents that print no code: its own, no line of ours."""

import hashlib
import hmac
import time


def verify(layout: str, body: bytes, signature: str, secret: str) -> bool:
    def signed(text: bytes) -> str:
        return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()

    if layout == "stamped":
        parts = dict(part.split("=", 1) for part in signature.split(","))
        is_fresh = abs(time.time() - int(parts["t"])) < 300
        return is_fresh and hmac.compare_digest(parts["v1"], signed(parts["t"].encode() + b"." + body))
    prefix = "sha256=" if layout == "prefixed" else ""
    return hmac.compare_digest(signature, prefix + signed(body))
