"""Changing what a customer chooses for a sending domain. What the DNS says of it is never set here."""

from typing import TypedDict, Unpack

from postrider.db.database import Tx
from postrider.engine.domains import rules, store
from postrider.engine.domains.add import WRITE
from postrider.engine.domains.model import Domain
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId


class Switches(TypedDict, total=False):
    """What may be changed; what is left out stays. A flag that is None is as the organization has it."""

    tracking_enabled: bool | None
    open_tracking_enabled: bool | None
    click_tracking_enabled: bool | None
    unsubscribe_header_enabled: bool | None
    return_path_label: str
    hosting_provider: str | None


def update(tx: Tx, principal: Principal, domain_id: RowId, **switches: Unpack[Switches]) -> Domain:
    """The domain with its switches set. Another return path is unproved until the next check finds it.

    Raises NotFound, and Invalid for a label that is none or a provider that is no line.
    """
    principal.require(WRITE)
    domain = store.hold(tx, principal.organization_id, domain_id)
    if domain is None:
        raise NotFound(noun="domain")
    values = {name: _kept(name, value, domain) for name, value in switches.items()}
    if values.get("return_path_label", domain.return_path_label) != domain.return_path_label:
        values["return_path_ok"] = 0
    if values:
        store.change(tx, domain, **values)
    changed = store.get(tx, principal.organization_id, domain_id)
    assert changed is not None
    return changed


def _kept(name: str, value: object, domain: Domain) -> str | int | None:
    """A switch as its column has it."""
    match name, value:
        case "return_path_label", str():
            return rules.return_path_label(value, domain.name)
        case "hosting_provider", str() | None:
            return rules.hosting_provider(value)
        case _, bool() | None if name.endswith("_enabled"):
            return None if value is None else int(value)
        case _:
            raise AssertionError(f"{name} cannot be {value!r}")
