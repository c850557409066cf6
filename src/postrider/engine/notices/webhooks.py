"""A webhook's endpoint failed for so long that it was disabled: its organization is told."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from postrider.db.database import Tx
from postrider.engine.notices.model import Kind, Letterhead, Notice
from postrider.engine.notices.send import send
from postrider.engine.webhooks import Attempt
from postrider.engine.webhooks.deliver import Leased
from postrider.kit import clock


def tell_disabled(letterhead: Letterhead, tx: Tx, leased: Leased, attempts: Sequence[Attempt]) -> bool:
    """In the transaction that disabled it, after the last of `attempts`. Each time is a cause of its own."""
    endpoint, now = leased.endpoint, clock.now_ms()
    address = urlsplit(endpoint.url)  # its query, and a name before its host, may be secrets
    facts = {
        "host": address.hostname or "",
        "url": f"{address.scheme}://{address.hostname or ''}{address.path}",
        "failing_since": endpoint.failing_since or now,
        "failures": endpoint.failures + len(attempts),
        "last_answer": _said(attempts[-1]) if attempts else "none",
    }
    source_id = f"webhook-disabled:{endpoint.id.hex()}:{now}"
    return send(tx, letterhead, Notice(endpoint.organization_id, Kind.WEBHOOK_DISABLED, source_id, facts))


def _said(attempt: Attempt) -> str:
    return f"status {attempt.status}" if attempt.status is not None else attempt.fault or "no answer"
