"""The surface as the composition root mounts it: all its operations, its keys, a line of curl that works."""

from dataclasses import replace
from typing import Any

from starlette.applications import Starlette

from postrider.surfaces.common.openapi import docs_routes
from postrider.surfaces.common.operations import Manner, make_app
from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.nudgecampaign import (
    api_keys,
    auth,
    campaigns,
    errors,
    openapi,
    organization,
    sessions,
)
from postrider.surfaces.nudgecampaign.frame import reads_json
from postrider.surfaces.nudgecampaign.keys import KEYS
from postrider.surfaces.nudgecampaign.limits import Allowance
from postrider.surfaces.nudgecampaign.resources import Resource

MANNER = Manner(
    name=auth.LABEL,
    title="NudgeCampaign API on Postrider",
    version="2.0.0",
    authenticate=auth.authenticate,
    refuse=errors.refuse,
    fail=errors.fail,
    security=auth.SECURITY,
)
LISTS: dict[str, Resource[Any]] = {
    "listApiKeys": api_keys.API_KEY,
    "listOrganizationUsers": organization.USER,
    "listCampaigns": campaigns.CAMPAIGN,
}
OPERATIONS = openapi.with_documents(
    MANNER,
    [
        reads_json(operation)
        for operation in (
            *sessions.OPERATIONS,
            *campaigns.OPERATIONS,
            *organization.OPERATIONS,
            *api_keys.OPERATIONS,
        )
    ],
    LISTS,
)


def make(services: Services) -> Starlette:
    manner = replace(MANNER, finish=Allowance().stamp)
    return make_app(services, manner, OPERATIONS, extra=docs_routes(manner, OPERATIONS))


def curl(base_url: str, key: str, domain: str) -> str:
    """One line that shows the organization as it is pasted."""
    return f"curl -sS {base_url}/nudgecampaign/v2/organization -H 'X-API-Key: {key}'"


SURFACE = Surface(name="nudgecampaign", make=make, keys=KEYS, hosts=("nudgecampaign.localhost",), curl=curl)
