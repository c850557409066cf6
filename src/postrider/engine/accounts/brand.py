"""How an organization looks to those it mails: the name and the colour of its public pages."""

import re

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.model import Organization
from postrider.engine.errors import Invalid, NotFound
from postrider.engine.principal import Principal
from postrider.kit.record import record

WRITE = "organization:write"
NAME_MAX_CHARS = 100
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@record
class Brand:
    """What is to change: None stays as it is, the empty text is what everybody has."""

    name: str | None = None
    color: str | None = None  # #rrggbb


def change_brand(tx: Tx, principal: Principal, brand: Brand) -> Organization:
    """Raises Invalid for a name that is too long or cannot be shown, or what is no colour."""
    principal.require(WRITE)
    changed = {}
    if brand.name is not None:
        changed["brand_name"] = _name(brand.name)
    if brand.color is not None:
        changed["brand_color"] = _color(brand.color)
    if changed:
        store.change_settings(tx, principal.organization_id, changed)
    organization = store.organization(tx, principal.organization_id)
    if organization is None:
        raise NotFound(noun="organization")
    return organization


def _name(text: str) -> str:
    name = text.strip()
    if len(name) > NAME_MAX_CHARS or not name.isprintable():
        message = f"name must be one line of at most {NAME_MAX_CHARS} characters"
        raise Invalid(field="name", message=message)
    return name


def _color(text: str) -> str:
    if text and not _COLOR.fullmatch(text):
        raise Invalid(field="color", message="color must be #rrggbb, or empty")
    return text.lower()
