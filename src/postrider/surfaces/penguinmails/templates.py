"""What content.template_id names: a template of the organization by its name, or by its id, `tpl_…`."""

from typing import Any

from postrider.engine.content import templates
from postrider.engine.content.templates import Template
from postrider.engine.principal import Principal
from postrider.surfaces.common.operations import Call
from postrider.surfaces.penguinmails.ids import TEMPLATE, from_id


async def template_of(call: Call, named: str | None) -> Template | None:
    """None where nothing is named. Raises NotFound: of several with one name the oldest is meant."""
    if named is None:
        return None
    return await call.services.db.read(find, call.caller.principal, named)


def find(tx: Any, principal: Principal, named: str) -> Template:
    """As template_of."""
    row_id = from_id(TEMPLATE, named)
    return (
        templates.by_name(tx, principal, named) if row_id is None else templates.seen(tx, principal, row_id)
    )
