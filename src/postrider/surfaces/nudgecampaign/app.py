"""The surface as the composition root mounts it: all its operations, its keys, a line of curl that works."""

from dataclasses import replace
from typing import Any

from starlette.applications import Starlette

from postrider.kit import json
from postrider.surfaces.common.openapi import docs_routes
from postrider.surfaces.common.operations import Manner, Operation, make_app
from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.nudgecampaign import (
    activity,
    analytics,
    api_keys,
    auth,
    campaign_analytics,
    campaigns,
    contacts,
    conversions,
    errors,
    lists,
    openapi,
    organization,
    sessions,
    templates,
    transfers,
    webhooks,
)
from postrider.surfaces.nudgecampaign.frame import reads_json
from postrider.surfaces.nudgecampaign.keys import KEYS
from postrider.surfaces.nudgecampaign.limits import Allowance
from postrider.surfaces.nudgecampaign.resources import Resource
from postrider.surfaces.nudgecampaign.webhook_format import FORMAT

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
    "listContacts": contacts.CONTACT,
    "listLists": lists.LIST,
    "listTemplates": templates.TEMPLATE,
    "listWebhooks": webhooks.WEBHOOK,
    "listWebhookLogs": webhooks.LOG,
    "getContactActivity": activity.ACTIVITY,
}
OPERATIONS: tuple[Operation, ...] = (
    *map(
        reads_json,
        (
            *sessions.OPERATIONS,
            *campaigns.OPERATIONS,
            *campaign_analytics.OPERATIONS,
            *organization.OPERATIONS,
            *api_keys.OPERATIONS,
            *webhooks.OPERATIONS,
            *activity.OPERATIONS,
            *transfers.OPERATIONS,
            *contacts.OPERATIONS,
            *lists.OPERATIONS,
            *analytics.OPERATIONS,
            *conversions.OPERATIONS,
            *templates.OPERATIONS,
        ),
    ),
    *openapi.operations(lambda: DOCUMENT),
)
DOCUMENT: dict[str, Any] = openapi.describe_v3_0(MANNER, OPERATIONS, LISTS)


def make(services: Services) -> Starlette:
    manner = replace(MANNER, finish=Allowance().stamp)
    return make_app(services, manner, OPERATIONS, extra=docs_routes(manner, OPERATIONS))


def curl(base_url: str, key: str, domain: str) -> str:
    """One line that makes a draft as it is pasted; its test copy takes another, with the draft's id."""
    campaign = {
        "name": "It works",
        "subject": "It works",
        "from_email": f"hello@{domain}",
        "html_content": "<h1>It works</h1>",
    }
    return (
        f"curl -sS {base_url}/nudgecampaign/v2/campaigns -H 'X-API-Key: {key}' "
        f"-H 'Content-Type: application/json' -d '{json.dumps(campaign)}'"
    )


SURFACE = Surface(
    name="nudgecampaign",
    make=make,
    keys=KEYS,
    hosts=("nudgecampaign.localhost",),
    curl=curl,
    webhooks=FORMAT,
)
