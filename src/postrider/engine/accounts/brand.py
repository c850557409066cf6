"""What an organization is to those it mails: name, colour, postal address, and how often it may mail them."""

import re
from typing import Any

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.model import Organization
from postrider.engine.errors import Invalid, NotFound
from postrider.engine.principal import Principal
from postrider.kit.record import record

WRITE = "organization:write"
NAME_MAX_CHARS = 100
ADDRESS_MAX_CHARS = 300
ADDRESS_MAX_LINES = 8
CAP_MAX = 100
CAP_MAX_DAYS = 90
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@record
class Brand:
    """What is to change: None stays as it is, the empty text is what everybody has."""

    name: str | None = None
    color: str | None = None  # #rrggbb
    postal_address: str | None = None  # lines


@record
class FrequencyCap:
    """What is to change: how many mails to many an address gets (0: any number), within how many days."""

    count: int | None = None
    days: int | None = None


def change_brand(tx: Tx, principal: Principal, brand: Brand, cap: FrequencyCap | None = None) -> Organization:
    """Raises Invalid for what is too long or cannot be shown, and numbers out of range: all in `faults`."""
    principal.require(WRITE)
    changed, faults = _checked(brand, cap or FrequencyCap())
    if faults:
        told = [{"field": field, "message": message} for field, message in faults.items()]
        raise Invalid(**told[0], faults=told)
    if changed:
        store.change_settings(tx, principal.organization_id, changed)
    organization = store.organization(tx, principal.organization_id)
    if organization is None:
        raise NotFound(noun="organization")
    return organization


def _checked(brand: Brand, cap: FrequencyCap) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that change, and what is wrong by field."""
    changed: dict[str, Any] = {}
    faults: dict[str, str] = {}
    if brand.name is not None:
        changed["brand_name"] = name = brand.name.strip()
        if len(name) > NAME_MAX_CHARS or not name.isprintable():
            faults["name"] = f"name must be one line of at most {NAME_MAX_CHARS} characters"
    if brand.color is not None:
        changed["brand_color"] = brand.color.lower()
        if brand.color and not _COLOR.fullmatch(brand.color):
            faults["color"] = "color must be #rrggbb, or empty"
    if brand.postal_address is not None:
        lines = [line.strip() for line in brand.postal_address.splitlines() if line.strip()]
        changed["postal_address"] = address = "\n".join(lines)
        is_fit = len(lines) <= ADDRESS_MAX_LINES and all(line.isprintable() for line in lines)
        if len(address) > ADDRESS_MAX_CHARS or not is_fit:
            limits = f"{ADDRESS_MAX_LINES} lines and {ADDRESS_MAX_CHARS} characters"
            faults["postal_address"] = f"postal_address must be text of at most {limits}"
    if cap.count is not None:
        changed["frequency_cap_count"] = cap.count
        if not 0 <= cap.count <= CAP_MAX:
            faults["frequency_cap.count"] = f"count must be 0 (no cap) to {CAP_MAX}"
    if cap.days is not None:
        changed["frequency_cap_days"] = cap.days
        if not 1 <= cap.days <= CAP_MAX_DAYS:
            faults["frequency_cap.days"] = f"days must be 1 to {CAP_MAX_DAYS}"
    return changed, faults
