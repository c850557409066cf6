"""The status of contacts, as the entries on their addresses have it. Whoever changes one leaves a mark."""

from postrider.db.database import Tx
from postrider.engine import suppression
from postrider.engine.audience import contacts
from postrider.engine.audience.follow import store
from postrider.engine.audience.model import Status
from postrider.kit import clock

PROJECTED_AT_ONCE = 300


def has_changes(tx: Tx) -> bool:
    """A read, so that idle nodes write nothing."""
    return bool(suppression.changes(tx, 1))


def project(tx: Tx) -> int:
    """Take up PROJECTED_AT_ONCE marks and set the status of their contacts; answers how many marks.

    The marks go first: an entry that is made meanwhile leaves a new one.
    """
    changed = suppression.changes(tx, PROJECTED_AT_ONCE)
    if not changed:
        return 0
    suppression.forget_changes(tx, changed)
    found = store.statuses(tx, changed)
    if not found:
        return len(changed)
    entries = suppression.check(tx, [(organization_id, key) for organization_id, _, key, _ in found])
    moved = []
    for organization_id, contact_id, key, status in found:
        standing = contacts.status_of(entries.get((organization_id, key), ()))
        is_pending = status is Status.PENDING
        now = standing or (Status.PENDING if is_pending else Status.SUBSCRIBED)
        if now is not status:
            moved.append((organization_id, contact_id, now))
    if moved:
        store.set_statuses(tx, moved, clock.now_ms())
    return len(changed)
