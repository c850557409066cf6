"""How an organization's reports are made: where days begin, what money is counted in, what earns credit."""

from typing import Any

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.model import Organization
from postrider.engine.errors import Invalid, NotFound
from postrider.engine.principal import Principal
from postrider.kit.money import InvalidAmount, parse_currency
from postrider.kit.record import record
from postrider.kit.zones import zone

WRITE = "organization:write"
WINDOW_MAX_DAYS = 90


@record
class Reporting:
    """What is to change: None stays as it is."""

    timezone: str | None = None  # IANA
    currency: str | None = None  # ISO 4217
    attribution_click_days: int | None = None  # 0: no click earns credit
    attribution_open_days: int | None = None


def change_reporting(tx: Tx, principal: Principal, reporting: Reporting) -> Organization:
    """What was recorded before stays as it is. Raises Invalid, all that is wrong in `faults`."""
    principal.require(WRITE)
    changed, faults = _checked(reporting)
    if faults:
        told = [{"field": field, "message": message} for field, message in faults.items()]
        raise Invalid(**told[0], faults=told)
    if changed:
        store.change_settings(tx, principal.organization_id, changed)
    organization = store.organization(tx, principal.organization_id)
    if organization is None:
        raise NotFound(noun="organization")
    return organization


def _checked(reporting: Reporting) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that change, and what is wrong by field."""
    changed: dict[str, Any] = {}
    faults: dict[str, str] = {}
    if reporting.timezone is not None:
        changed["timezone"] = reporting.timezone
        if zone(reporting.timezone) is None:
            faults["reporting.timezone"] = "timezone must be an IANA name such as Europe/Paris"
    if reporting.currency is not None:
        try:
            changed["currency"] = parse_currency(reporting.currency)
        except InvalidAmount as error:
            faults["reporting.currency"] = str(error)
    for name in ("attribution_click_days", "attribution_open_days"):
        days = getattr(reporting, name)
        if days is not None:
            changed[name] = days
            if not 0 <= days <= WINDOW_MAX_DAYS:
                faults[f"reporting.{name}"] = f"{name} must be 0 to {WINDOW_MAX_DAYS}"
    return changed, faults
