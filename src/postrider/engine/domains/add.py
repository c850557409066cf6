"""Adding a sending domain, with the key that will sign for it."""

from postrider.db.database import Tx
from postrider.engine.domains import store
from postrider.engine.domains.model import Domain, KeyState, NewKey
from postrider.engine.domains.rules import RECHECK_MS, domain_name, next_selector
from postrider.engine.errors import Conflict, PlanLimitReached
from postrider.engine.principal import Principal
from postrider.kit import clock, ids

WRITE = "domains:write"
TOKEN_CHARS = 32  # 160 bits


def add(
    tx: Tx,
    principal: Principal,
    name: str,
    *,
    key: NewKey,
    verified: bool = False,
    limit: int | None = None,
) -> Domain:
    """A new domain with `key` (from `keys.generate`, made before the transaction) active at selector pr1.

    `verified` takes the operator's word for ownership and DKIM: nobody looks by himself, until a check that
    somebody asks for has found the records. `limit` is how many the plan allows. Raises Invalid for what is
    no public host name, Conflict where the organization has it already, PlanLimitReached.
    """
    principal.require(WRITE)
    name, now, domain_id = domain_name(name), clock.now_ms(), ids.new_id()
    organization_id, token = principal.organization_id, ids.random_text(TOKEN_CHARS)
    # The insert takes the organization's next number, so that those who add at once wait: the count is exact.
    if not store.insert(
        tx,
        organization_id,
        domain_id,
        name=name,
        token=token,
        verified=verified,
        next_check_at=None if verified else now + RECHECK_MS,
        now=now,
    ):
        raise Conflict(noun="domain")
    if limit is not None and store.count(tx, organization_id) > limit:
        raise PlanLimitReached(limit=limit, noun="domains")
    selector = next_selector([])
    store.insert_key(tx, organization_id, domain_id, key, selector=selector, state=KeyState.ACTIVE, now=now)
    domain = store.get(tx, organization_id, domain_id)
    assert domain is not None
    return domain
