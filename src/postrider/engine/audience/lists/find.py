"""Looking lists up. Changes nothing."""

from typing import Any, NamedTuple

from postrider.db.database import Tx
from postrider.engine.audience.lists import store
from postrider.engine.audience.model import ContactList, ListSort
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId

READ = "contacts:read"
PAGE_MAX = 1_000


class Place(NamedTuple):
    """Of a list in an order: what it is sorted by, and its id."""

    value: Any
    list_id: RowId


def get(tx: Tx, principal: Principal, list_id: RowId) -> ContactList:
    """Raises NotFound, also for a foreign one."""
    principal.require(READ)
    return known(store.get(tx, principal.organization_id, list_id))


def by_name(tx: Tx, principal: Principal, name: str) -> ContactList:
    """Raises NotFound."""
    principal.require(READ)
    return known(store.by_name(tx, principal.organization_id, name))


def by_number(tx: Tx, principal: Principal, number: int) -> ContactList:
    """Raises NotFound."""
    principal.require(READ)
    return known(store.by_number(tx, principal.organization_id, number))


def page(
    tx: Tx,
    principal: Principal,
    *,
    after: int = 0,
    limit: int = PAGE_MAX,
    offset: int = 0,
    public: bool | None = None,
) -> list[ContactList]:
    """Oldest first, those whose number is above `after`; at most PAGE_MAX."""
    principal.require(READ)
    limit = min(limit, PAGE_MAX)
    return store.page(tx, principal.organization_id, after=after, limit=limit, offset=offset, public=public)


def browse(
    tx: Tx,
    principal: Principal,
    *,
    search: str | None = None,
    sort: ListSort = ListSort.CREATED,
    descending: bool = True,
    limit: int = PAGE_MAX,
    after: Place | None = None,
) -> list[ContactList]:
    """At most PAGE_MAX lists in order, those with `search` in their names; `after` goes on from a place."""
    principal.require(READ)
    limit = min(limit, PAGE_MAX)
    return store.browse(
        tx, principal.organization_id,
        search=search, sort=sort, descending=descending, limit=limit, after=after,
    )  # fmt: skip


def count(tx: Tx, principal: Principal, *, search: str | None = None) -> int:
    """How many lists there are, with `search` in their names; change.LISTS_MAX bounds it."""
    principal.require(READ)
    return store.count(tx, principal.organization_id, search)


def known(found: ContactList | None) -> ContactList:
    if found is None:
        raise NotFound(noun="list")
    return found
