"""The follower that counts. Unique means the first of its kind for a message, counted where it happened."""

from collections import Counter
from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine import messages
from postrider.engine.insight import store
from postrider.engine.journal import Event, EventKind
from postrider.kit import clock

BUCKET_MS = 15 * clock.MINUTE
NO_DOMAIN = bytes(16)
_MEASURES = {
    EventKind.ACCEPTED: "accepted",
    EventKind.SENT: "sent",
    EventKind.DELIVERED: "delivered",
    EventKind.DEFERRED: "deferred",
    EventKind.FAILED: "failed",
    EventKind.SUPPRESSED: "suppressed",
    EventKind.CANCELLED: "cancelled",
    EventKind.OPENED: "opened",
    EventKind.CLICKED: "clicked",
    EventKind.COMPLAINED: "complained",
    EventKind.UNSUBSCRIBED: "unsubscribed",
}


def count(tx: Tx, shard: int, events: Sequence[Event]) -> None:
    """Add a batch of one shard to the rollups, one row for each distinct place."""
    of_messages = [event for event in events if event.message_id is not None and _measure(event) is not None]
    if not of_messages:
        return
    known = messages.addresses(
        tx, [(event.organization_id, event.message_id or b"") for event in of_messages]
    )
    counts: Counter[store.Place] = Counter()
    for event in of_messages:
        address = known.get(event.message_id or b"")
        if address is None:
            continue
        bucket = event.at - event.at % BUCKET_MS
        counts[
            event.organization_id,
            bucket,
            _measure(event) or "",
            address.domain_id or NO_DOMAIN,
            int(address.stream),
        ] += 1
    store.add_counts(tx, shard, counts)


def _measure(event: Event) -> str | None:
    if event.kind is EventKind.BOUNCED:
        return f"bounced_{(event.data or {}).get('class', 'soft')}"
    return _MEASURES.get(event.kind)
