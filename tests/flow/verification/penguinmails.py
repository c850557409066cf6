import hashlib
import hmac


def verify_webhook_signature(payload: str, signature: str, secret: str) -> bool:
    """Verify webhook signature for security."""
    expected_signature = hmac.new(secret.encode("utf-8"), payload.encode("utf-8"), hashlib.sha256).hexdigest()

    # Timing-safe comparison
    return hmac.compare_digest(f"sha256={expected_signature}", signature)
