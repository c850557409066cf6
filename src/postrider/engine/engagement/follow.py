"""From hits to events, a little later: evidence of scanners comes after the hit it belongs to."""

from postrider.db.database import AnyRow, Tx
from postrider.engine import journal, messages
from postrider.engine.engagement import store
from postrider.engine.engagement.intake import HitKind
from postrider.engine.journal import Event, EventKind
from postrider.kit import clock

WINDOW_MS = 2 * clock.SECOND
AT_ONCE = 500
_KINDS = {HitKind.OPEN: EventKind.OPENED, HitKind.CLICK: EventKind.CLICKED}


def due_hits(tx: Tx) -> bool:
    return bool(store.hits_before(tx, clock.now_ms() - WINDOW_MS, 1))


def record_hits(tx: Tx) -> int:
    """Record the hits whose window is over, AT_ONCE at most, and drop their rows; answers how many."""
    due = store.hits_before(tx, clock.now_ms() - WINDOW_MS, AT_ONCE)
    if not due:
        return 0
    known = messages.addresses(tx, [(hit.organization_id, hit.message_id) for hit in due])
    journal.record(tx, [_event(hit) for hit in due if hit.message_id in known])
    store.delete_hits(tx, [hit.id for hit in due])
    return len(due)


def _event(hit: AnyRow) -> Event:
    data = {"ip": hit.ip, "user_agent": hit.user_agent, "method": hit.method}
    if hit.link is not None:
        data["link"] = hit.link
    return Event(
        organization_id=hit.organization_id,
        kind=_KINDS[HitKind(hit.kind)],
        at=hit.at,
        message_id=hit.message_id,
        data=data,
        source_id=f"hit:{hit.id.hex()}",
    )
