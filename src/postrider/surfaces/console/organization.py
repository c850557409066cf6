"""The organization of the key: what it is called, how it looks to those it mails, how often it may."""

from typing import Any

from starlette.responses import Response

from postrider.engine import accounts
from postrider.engine.accounts import Brand, FrequencyCap, Organization, Reporting
from postrider.engine.errors import Invalid, NotFound
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.fields import Wire
from postrider.surfaces.common.operations import Call, Operation, answer

READ, WRITE = "organization:read", "organization:write"


class ChangedBrand(Wire):
    name: str | None = None
    color: str | None = None
    postal_address: str | None = None


class ChangedCap(Wire):
    count: int | None = None
    days: int | None = None


class ChangedReporting(Wire):
    timezone: str | None = None
    currency: str | None = None
    attribution_click_days: int | None = None
    attribution_open_days: int | None = None


class ChangedOrganization(Wire):
    """What is left out stays as it is."""

    brand: ChangedBrand | None = None
    frequency_cap: ChangedCap | None = None
    reporting: ChangedReporting | None = None


async def get_organization(call: Call) -> Response:
    organization_id = call.caller.principal.organization_id
    organization = await call.services.db.read(accounts.organization, organization_id)
    if organization is None:
        raise NotFound(noun="organization")
    return answer({"organization": _shown(organization)})


async def change_organization(call: Call, changed: ChangedOrganization) -> Response:
    if changed.brand is None and changed.frequency_cap is None and changed.reporting is None:
        raise Invalid(field="brand", message="brand, frequency_cap or reporting is required")
    look, often = changed.brand or ChangedBrand(), changed.frequency_cap or ChangedCap()
    reporting = Reporting(**(changed.reporting or ChangedReporting()).model_dump())
    brand = Brand(look.name, look.color, look.postal_address)
    cap = FrequencyCap(often.count, often.days)
    principal = call.caller.principal

    def write(tx: Any) -> Organization:
        accounts.change_brand(tx, principal, brand, cap)
        return accounts.change_reporting(tx, principal, reporting)

    organization = await call.services.db.write_first(write)
    return answer({"organization": _shown(organization)})


_ONE = "/v1/organization"
OPERATIONS: tuple[Operation, ...] = (
    Operation("getOrganization", "GET", (_ONE,), "the key's own organization", READ, get_organization),
    Operation(
        "changeOrganization", "PATCH", (_ONE,), "what recipients see of it, and how often", WRITE,
        change_organization, body=ChangedOrganization,
    ),
)  # fmt: skip


def _shown(organization: Organization) -> dict[str, Any]:
    settings = organization.settings
    return {
        "id": to_uuid(organization.public_id),
        "name": organization.name,
        "kind": organization.kind.value,
        "status": organization.status.value,
        "plan": organization.plan,
        "brand": {
            "name": settings.brand_name,
            "color": settings.brand_color,
            "postal_address": settings.postal_address,
        },
        "frequency_cap": {"count": settings.frequency_cap_count, "days": settings.frequency_cap_days},
        "reporting": {
            "timezone": settings.timezone,
            "currency": settings.currency,
            "attribution_click_days": settings.attribution_click_days,
            "attribution_open_days": settings.attribution_open_days,
        },
        "created_at": clock.to_iso(organization.created_at),
    }
