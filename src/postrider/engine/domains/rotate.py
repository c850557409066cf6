"""Changing the key that signs: first the next one is published beside it, then signing goes over to it."""

from dataclasses import replace

from postrider.db.database import Tx
from postrider.engine.domains import judge, store
from postrider.engine.domains.add import WRITE
from postrider.engine.domains.model import Checks, DkimKey, KeyState, NewKey
from postrider.engine.domains.rules import RETIRED_KEPT_MS, next_selector
from postrider.engine.domains.verify import NOT_ASKED, apply_checks, signing_checks
from postrider.engine.errors import NotAllowedNow, NotFound
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

KEYS_MAX = 12  # of one domain, the retired ones that are still published included


def rotate(tx: Tx, principal: Principal, domain_id: RowId, *, key: NewKey) -> DkimKey:
    """Add `key` (from `keys.generate`, before the transaction) at a new selector: published, not signing.

    Keys retired for 30 days are forgotten. Raises NotFound, and NotAllowedNow where a next key waits already
    or the domain has KEYS_MAX.
    """
    principal.require(WRITE)
    organization_id, now = principal.organization_id, clock.now_ms()
    if store.get(tx, organization_id, domain_id) is None:
        raise NotFound(noun="domain")
    selector = next_selector(store.keys(tx, organization_id, domain_id))
    store.forget_retired(tx, organization_id, domain_id, before=now - RETIRED_KEPT_MS)
    kept = store.keys(tx, organization_id, domain_id)
    if len(kept) >= KEYS_MAX:
        raise NotAllowedNow(message="The domain has too many keys; retired ones are forgotten in time.")
    waits = any(known.state is KeyState.NEXT for known in kept)
    if waits or not store.insert_key(
        tx, organization_id, domain_id, key, selector=selector, state=KeyState.NEXT, now=now
    ):
        raise NotAllowedNow(message="The domain has a next key already; publish and activate it first.")
    return _key(tx, organization_id, domain_id, key.id)


def activate(tx: Tx, principal: Principal, domain_id: RowId, checks: Checks) -> DkimKey:
    """Sign with the next key from now on; the one of its algorithm that signed stays published, retired.

    `checks` must have found its record, or receivers would refuse what it signs; what else they say is kept,
    DKIM judged by the keys that sign now. An Ed25519 key signs beside an RSA key, not in its place: few
    receivers know it (RFC 8463 3). Raises NotAllowedNow.
    """
    principal.require(WRITE)
    organization_id = principal.organization_id
    keys = store.keys(tx, organization_id, domain_id)
    coming = next((key for key in keys if key.state is KeyState.NEXT), None)
    if coming is None:
        raise NotAllowedNow(message="The domain has no next key.")
    found = checks.keys.get(coming.id, NOT_ASKED)
    if not found.ok:
        raise NotAllowedNow(message=f"The next key is not published yet. {found.reason}")
    now = clock.now_ms()
    if not store.activate_key(tx, organization_id, coming, now):
        raise NotAllowedNow(message="The domain has no next key.")
    signing = signing_checks(store.keys(tx, organization_id, domain_id), checks.keys)
    apply_checks(tx, principal, domain_id, replace(checks, dkim=judge.dkim(signing)), now)
    return _key(tx, organization_id, domain_id, coming.id)


def _key(tx: Tx, organization_id: int, domain_id: RowId, key_id: RowId) -> DkimKey:
    return next(key for key in store.keys(tx, organization_id, domain_id) if key.id == key_id)
