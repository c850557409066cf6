"""Looking tags up. Changes nothing."""

from postrider.db.database import Tx
from postrider.engine.audience.model import Tag
from postrider.engine.audience.tags import store
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal

READ = "contacts:read"
PAGE_MAX = 10_000


def list_tags(tx: Tx, principal: Principal, *, limit: int = PAGE_MAX, offset: int = 0) -> list[Tag]:
    """By name, with how many contacts carry each; at most PAGE_MAX."""
    principal.require(READ)
    return store.page(tx, principal.organization_id, limit=min(limit, PAGE_MAX), offset=offset)


def by_name(tx: Tx, principal: Principal, name: str) -> Tag:
    """Raises NotFound."""
    principal.require(READ)
    for tag in store.find(tx, principal.organization_id, [name]):
        return tag
    raise NotFound(noun="tag")
