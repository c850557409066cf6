"""The surface as the composition root mounts it: all its operations, its keys, a line of curl that works."""

from starlette.applications import Starlette

from postrider.kit import json
from postrider.surfaces.common.openapi import docs_routes
from postrider.surfaces.common.operations import Manner, Operation, make_app
from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.penguinmails import (
    analytics,
    api_keys,
    auth,
    bulk,
    campaigns,
    contacts,
    emails,
    errors,
    goals,
    sessions,
    webhooks,
)
from postrider.surfaces.penguinmails.keys import KEYS
from postrider.surfaces.penguinmails.limits import Allowance
from postrider.surfaces.penguinmails.webhook_format import FORMAT

OPERATIONS: tuple[Operation, ...] = (
    *sessions.OPERATIONS,
    *emails.OPERATIONS,
    *api_keys.OPERATIONS,
    *webhooks.OPERATIONS,
    *contacts.OPERATIONS,
    *analytics.OPERATIONS,
    *goals.OPERATIONS,
    *campaigns.OPERATIONS,
    *bulk.OPERATIONS,
)


def make(services: Services) -> Starlette:
    manner = Manner(
        name=auth.LABEL,
        title="PenguinMails API on Postrider",
        version="1.0.0",
        authenticate=auth.authenticate,
        refuse=errors.refuse,
        fail=errors.fail,
        finish=Allowance().stamp,
        security=auth.SECURITY,
    )
    return make_app(services, manner, OPERATIONS, extra=docs_routes(manner, OPERATIONS))


def curl(base_url: str, key: str, domain: str) -> str:
    """One line that sends a mail as it is pasted."""
    mail = {
        "from": {"name": "Postrider", "email": f"hello@{domain}"},
        "to": "you@example.com",
        "subject": "It works, {{name}}",
        "content": "<h1>It works, {{name}}</h1>",
        "personalization": {"name": "Ann"},
    }
    return (
        f"curl -sS {base_url}/penguinmails/api/v1/emails/send -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d '{json.dumps(mail)}'"
    )


SURFACE = Surface(
    name="penguinmails",
    make=make,
    keys=KEYS,
    hosts=("penguinmails.localhost",),
    curl=curl,
    webhooks=FORMAT,
)
