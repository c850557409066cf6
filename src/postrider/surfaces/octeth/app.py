"""The surface as the composition root mounts it: commands and paths, keys, a line of curl that works."""

from starlette.applications import Starlette

from postrider.kit import json
from postrider.surfaces.common.openapi import docs_routes
from postrider.surfaces.common.operations import Manner, Operation, make_app
from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.octeth import (
    auth,
    domains,
    errors,
    events,
    sender_keys,
    sending,
    smtp,
    statistics,
    suppressions,
    users,
    webhooks,
)
from postrider.surfaces.octeth.command import Command, dispatcher
from postrider.surfaces.octeth.keys import KEYS, SENDER_LABEL, USER_LABEL
from postrider.surfaces.octeth.limits import Allowance
from postrider.surfaces.octeth.openapi import described
from postrider.surfaces.octeth.webhook_format import FORMAT

COMMANDS: tuple[Command, ...] = (
    *users.COMMANDS,
    *domains.COMMANDS,
    *sender_keys.COMMANDS,
    *smtp.COMMANDS,
    *suppressions.COMMANDS,
    *events.COMMANDS,
    *statistics.COMMANDS,
    *webhooks.COMMANDS,
)
OPERATIONS: tuple[Operation, ...] = (
    Operation("command", "POST", (errors.COMMAND_PATH,), "Any command", None, dispatcher(COMMANDS)),
    *users.OPERATIONS,
    *sending.OPERATIONS,
    *events.OPERATIONS,
    *webhooks.OPERATIONS,
)
DESCRIBED = described(COMMANDS, users.REST, webhooks.REST, OPERATIONS)


def make(services: Services) -> Starlette:
    manner = Manner(
        name=USER_LABEL,
        title="Octeth Email Gateway API on Postrider",
        version="1.0.0",
        authenticate=auth.authenticate,
        refuse=errors.refuse,
        fail=errors.fail,
        finish=Allowance().stamp,
        security=auth.SECURITY,
    )
    return make_app(services, manner, OPERATIONS, extra=docs_routes(manner, DESCRIBED))


def curl(base_url: str, key: str, domain: str) -> str:
    """One line that sends a mail as it is pasted, with the key of a sender domain."""
    mail = {
        "From": {"email": f"hello@{domain}", "name": "Hello"},
        "To": [{"email": "you@example.com", "name": "You"}],
        "Subject": "It works",
        "ContentType": "html",
        "HtmlContent": "<h1>It works</h1>",
    }
    return (
        f"curl -sS {base_url}/octeth/api/v1/email -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d '{json.dumps(mail)}'"
    )


SURFACE = Surface(
    name="octeth",
    make=make,
    keys=KEYS,
    hosts=("octeth.localhost",),
    curl=curl,
    webhooks=FORMAT,
    curl_key=SENDER_LABEL,
)
