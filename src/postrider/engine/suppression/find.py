"""Looking entries up for the people who keep the list. Changes nothing, decides nothing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

from postrider.db.database import Tx
from postrider.engine.errors import Invalid, NotFound
from postrider.engine.principal import Principal
from postrider.engine.suppression import store
from postrider.engine.suppression.model import Class, Filter, Kept
from postrider.engine.suppression.rules import is_allowed
from postrider.kit.ids import RowId

READ = "suppression:read"
PAGE_MAX = 1_000
PATTERN_MAX_CHARS = 254
WILDCARDS_MAX = 4  # of a pattern: each more makes matching much slower


def browse(
    tx: Tx, principal: Principal, *, limit: int, offset: int = 0, **narrowed: Unpack[Filter]
) -> list[Kept]:
    """Newest first, at most PAGE_MAX; `before` is the id of the last one seen. Raises Invalid."""
    _check(principal, narrowed)
    limit = min(limit, PAGE_MAX)
    return _judged(
        tx, store.page(tx, principal.organization_id, limit=limit, offset=offset, narrowed=narrowed)
    )


def count(tx: Tx, principal: Principal, **narrowed: Unpack[Filter]) -> int:
    """How many entries browse would find, counted to store.COUNT_MAX."""
    _check(principal, narrowed)
    return store.count(tx, principal.organization_id, narrowed)


def get(tx: Tx, principal: Principal, suppression_id: RowId, *, classes: Sequence[Class] = ()) -> Kept:
    """One entry, of certain classes where they are named. Raises NotFound, also for a foreign one."""
    principal.require(READ)
    return _judged(tx, [one(tx, principal, suppression_id, classes)])[0]


def browse_addresses(
    tx: Tx, principal: Principal, *, limit: int, offset: int = 0, **narrowed: Unpack[Filter]
) -> list[str]:
    """The addresses that have such entries, each once, in alphabetical order; at most PAGE_MAX."""
    _check(principal, narrowed)
    limit = min(limit, PAGE_MAX)
    return store.page_addresses(tx, principal.organization_id, limit=limit, offset=offset, narrowed=narrowed)


def count_addresses(tx: Tx, principal: Principal, **narrowed: Unpack[Filter]) -> int:
    """How many addresses browse_addresses would find, counted to store.COUNT_MAX."""
    _check(principal, narrowed)
    return store.count_addresses(tx, principal.organization_id, narrowed)


def one(tx: Tx, principal: Principal, suppression_id: RowId, classes: Sequence[Class]) -> Kept:
    """Raises NotFound."""
    found = store.get(tx, principal.organization_id, suppression_id)
    if found is None or (classes and found.class_ not in classes):
        raise NotFound(noun="suppression")
    return found


def _check(principal: Principal, narrowed: Filter) -> None:
    """Raises Forbidden, or Invalid for a pattern that is too much work."""
    principal.require(READ)
    pattern = narrowed.get("pattern") or ""
    if len(pattern) > PATTERN_MAX_CHARS or pattern.count("*") > WILDCARDS_MAX or "\0" in pattern:
        shown = f"a pattern has at most {PATTERN_MAX_CHARS} characters, {WILDCARDS_MAX} of them *"
        raise Invalid(field="pattern", message=shown)


def _judged(tx: Tx, found: Sequence[Kept]) -> list[Kept]:
    """The entries, with what their addresses' allow entries make of them."""
    pairs = {(each.organization_id, each.address_key) for each in found if each.class_ is Class.BLOCK}
    entries = store.check(tx, sorted(pairs)) if pairs else {}
    return [
        replace(each, is_allowed=is_allowed(each, entries.get((each.organization_id, each.address_key), ())))
        for each in found
    ]
