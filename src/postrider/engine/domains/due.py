"""Checks that time brings: domains of all organizations whose next look is due, taken in small portions.

A portion is put off while it is looked at, so two nodes never look at one domain; what is not settled by then
is due again. Who comes late with his result is not heard.
"""

from postrider.db.database import Tx
from postrider.engine.domains import store
from postrider.engine.domains.model import Checks, DkimKey, Domain
from postrider.engine.domains.verify import apply_checks
from postrider.engine.principal import Principal
from postrider.kit import clock

LEASE_MS = 5 * clock.MINUTE  # a portion's look-ups end within the resolver's time-out, a few seconds


def has_due(tx: Tx) -> bool:
    """Whether there is anything to claim: a read, so that idle nodes write nothing."""
    return store.has_due(tx, clock.now_ms())


def claim_due(tx: Tx, limit: int) -> list[tuple[Domain, list[DkimKey]]]:
    """Up to `limit` domains with their keys, longest overdue first; ours for LEASE_MS."""
    now = clock.now_ms()
    claimed = store.claim_due(tx, limit, now=now, until=now + LEASE_MS)
    return [(domain, store.keys(tx, domain.organization_id, domain.id)) for domain in claimed]


def settle_due(tx: Tx, claimed: Domain, checks: Checks) -> Domain | None:
    """Keep what a check of a claimed domain said; None where others removed or checked it meanwhile."""
    held = store.hold(tx, claimed.organization_id, claimed.id)
    if held is None or held.next_check_at != claimed.next_check_at:
        return None
    return apply_checks(tx, Principal(claimed.organization_id), claimed.id, checks, clock.now_ms())
