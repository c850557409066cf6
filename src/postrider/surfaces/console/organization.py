"""The organization of the key: what it is called, and how it looks to those it mails."""

from typing import Any

from starlette.responses import Response

from postrider.engine import accounts
from postrider.engine.accounts import Brand, Organization
from postrider.engine.errors import NotFound
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.fields import Wire
from postrider.surfaces.common.operations import Call, Operation, answer

READ, WRITE = "organization:read", "organization:write"


class ChangedBrand(Wire):
    name: str | None = None
    color: str | None = None


class ChangedOrganization(Wire):
    """What is left out stays as it is."""

    brand: ChangedBrand


async def get_organization(call: Call) -> Response:
    organization_id = call.caller.principal.organization_id
    organization = await call.services.db.read(accounts.organization, organization_id)
    if organization is None:
        raise NotFound(noun="organization")
    return answer({"organization": _shown(organization)})


async def change_organization(call: Call, changed: ChangedOrganization) -> Response:
    brand = Brand(changed.brand.name, changed.brand.color)
    organization = await call.services.db.write_first(accounts.change_brand, call.caller.principal, brand)
    return answer({"organization": _shown(organization)})


_ONE = "/v1/organization"
OPERATIONS: tuple[Operation, ...] = (
    Operation("getOrganization", "GET", (_ONE,), "the key's own organization", READ, get_organization),
    Operation(
        "changeOrganization", "PATCH", (_ONE,), "its name and colour on public pages", WRITE,
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
        "brand": {"name": settings.brand_name, "color": settings.brand_color},
        "created_at": clock.to_iso(organization.created_at),
    }
