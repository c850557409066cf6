"""Making, changing, copying and deleting templates, as `check` made them ready to be written."""

from typing import Any

from postrider.db.database import Tx
from postrider.engine import accounts
from postrider.engine.content.templates import store
from postrider.engine.content.templates.check import NAME_MAX_CHARS
from postrider.engine.content.templates.find import known, seen
from postrider.engine.content.templates.model import Template
from postrider.engine.errors import Forbidden, PlanLimitReached
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

WRITE, PUBLISH = "templates:write", "templates:publish"
TEMPLATES_MAX = 5_000  # of an organization
COPY_OF = "Copy of "


def create(tx: Tx, principal: Principal, columns: dict[str, Any]) -> Template:
    """`columns` as check() gives them. Raises Forbidden where others than the operator publish it,
    PlanLimitReached past TEMPLATES_MAX.
    """
    principal.require(WRITE)
    _refuse_publishing(tx, principal, columns)
    return _put(tx, principal, columns)


def update(tx: Tx, principal: Principal, template_id: RowId, columns: dict[str, Any]) -> Template:
    """Set what check() gives of this template and its changes. Raises NotFound, Forbidden."""
    principal.require(WRITE)
    was = own(tx, principal, template_id)
    if not was.is_public:
        _refuse_publishing(tx, principal, columns)
    store.change(tx, was.organization_id, template_id, {**columns, "updated_at": clock.now_ms()})
    return own(tx, principal, template_id)


def duplicate(tx: Tx, principal: Principal, template_id: RowId, *, name: str | None = None) -> Template:
    """A copy, never public; also of what the operator has published. Raises NotFound, PlanLimitReached.

    `name` is checked as check() does.
    """
    principal.require(WRITE)
    was = seen(tx, principal, template_id)
    columns = store.copied(tx, was.organization_id, was.id)
    columns["name"] = name or (COPY_OF + was.name)[:NAME_MAX_CHARS]
    return _put(tx, principal, columns)


def remove(tx: Tx, principal: Principal, template_id: RowId) -> None:
    """Mail and campaigns made from it stay: they have copies. Raises NotFound."""
    principal.require(WRITE)
    if not store.remove(tx, principal.organization_id, template_id):
        known(None)


def own(tx: Tx, principal: Principal, template_id: RowId) -> Template:
    """Raises NotFound for every other organization's, published or not: they are read only."""
    return known(store.get(tx, principal.organization_id, template_id))


def _put(tx: Tx, principal: Principal, columns: dict[str, Any]) -> Template:
    organization_id, template_id, now = principal.organization_id, new_id(), clock.now_ms()
    if store.count_own(tx, organization_id) >= TEMPLATES_MAX:
        raise PlanLimitReached(noun="templates", limit=TEMPLATES_MAX)
    facts = {
        "organization_id": organization_id,
        "id": template_id,
        "number": accounts.next_number(tx, organization_id, "template"),
        "created_by": principal.user_id,
        "created_at": now,
        "updated_at": now,
    }
    store.put(tx, {**columns, **facts})
    return own(tx, principal, template_id)


def _refuse_publishing(tx: Tx, principal: Principal, columns: dict[str, Any]) -> None:
    """What is public stands in every organization's list: only the operator's may be."""
    first = accounts.first_live(tx)
    if columns.get("is_public") and (first is None or first.id != principal.organization_id):
        raise Forbidden(scope=PUBLISH)
