"""Looking templates up: one's own, and those that the operator has published. Changes nothing."""

from collections.abc import Iterable

from postrider.db.database import Tx
from postrider.engine import accounts
from postrider.engine.content.templates import store
from postrider.engine.content.templates.model import Filter, Page, Place, Sort, Template
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId

READ = "templates:read"
PAGE_MAX = 200
PAGE_MAX_BYTES = 8 * 1024 * 1024  # of the templates of one page together, the first of them aside
EVERY = Filter()


def get(tx: Tx, principal: Principal, template_id: RowId) -> Template:
    """Raises NotFound, also for what another organization has and the operator has not published."""
    principal.require(READ)
    return seen(tx, principal, template_id)


def browse(
    tx: Tx,
    principal: Principal,
    asked: Filter = EVERY,
    *,
    sort: Sort = Sort.CREATED,
    descending: bool = True,
    limit: int = PAGE_MAX,
    after: Place | None = None,
) -> Page:
    """At most PAGE_MAX templates in order, as many as PAGE_MAX_BYTES hold; `after` goes on from a place."""
    principal.require(READ)
    limit = min(limit, PAGE_MAX)
    found = store.browse(
        tx, principal.organization_id, asked, operator=_operator(tx), sort=sort, descending=descending,
        limit=limit + 1, after=after,
    )  # fmt: skip
    keys: list[store.Key] = []
    size = 0
    for key, size_bytes in found[:limit]:
        size += size_bytes
        if keys and size > PAGE_MAX_BYTES:
            break
        keys.append(key)
    return Page(store.many(tx, keys), len(keys) < len(found))


def count(tx: Tx, principal: Principal, asked: Filter = EVERY) -> int:
    """How many there are; save.TEMPLATES_MAX bounds it."""
    principal.require(READ)
    return store.count(tx, principal.organization_id, asked, operator=_operator(tx))


def seen(tx: Tx, principal: Principal, template_id: RowId) -> Template:
    """As get, without its scope: whoever may send may send what his organization sees. Raises NotFound."""
    return known(store.get(tx, principal.organization_id, template_id, operator=_operator(tx)))


def many(tx: Tx, principal: Principal, ids: Iterable[RowId]) -> list[Template]:
    """As seen, of several in one query; those there are not are left out."""
    own, wanted = principal.organization_id, list(ids)
    owners = {own, _operator(tx)} - {None} if wanted else set()
    found = store.many(tx, [(owner, each) for each in wanted for owner in owners if owner is not None])
    return [each for each in found if each.organization_id == own or each.is_public]


def by_number(tx: Tx, principal: Principal, number: int) -> Template:
    """One of the organization's own, for senders: asks no scope. Raises NotFound."""
    return known(store.by_number(tx, principal.organization_id, number))


def by_name(tx: Tx, principal: Principal, name: str) -> Template:
    """The organization's oldest of that name, so that a new one changes no mail; for senders: asks no scope.

    Raises NotFound.
    """
    return known(store.by_name(tx, principal.organization_id, name))


def known(found: Template | None) -> Template:
    if found is None:
        raise NotFound(noun="template")
    return found


def _operator(tx: Tx) -> int | None:
    first = accounts.first_live(tx)
    return None if first is None else first.id
