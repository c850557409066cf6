"""Webhooks of sender domains, one event each: by commands of the user, and on /api/v1 by the domain's key.

All webhooks of a domain are signed with one key, which GetWebhooks tells.
"""

from typing import Any
from urllib.parse import urlsplit

from postrider.engine import domains, webhooks
from postrider.engine.domains import Domain
from postrider.engine.errors import DomainNotVerified, Invalid, NotFound
from postrider.engine.webhooks import Endpoint
from postrider.kit.outgoing import check_url
from postrider.surfaces.common.operations import Call, Operation
from postrider.surfaces.octeth.command import Command, Parameter, Payload, Values
from postrider.surfaces.octeth.domains import domain_id, found_domain
from postrider.surfaces.octeth.errors import Code, Faulty, Form, documented
from postrider.surfaces.octeth.parameters import NUMBER, Kind
from postrider.surfaces.octeth.sender_command import (
    BAD_KEY,
    BAD_KEY_CODE,
    RATE_CODE,
    SENDER_ERRORS,
    served_to_sender,
)
from postrider.surfaces.octeth.vocabulary import EVENT_ALIASES, PAST_EVENTS
from postrider.surfaces.octeth.webhook_format import FORMAT, NAMES

READ, WRITE = "webhooks:read", "webhooks:write"
SIGNS_WEBHOOKS = "octeth webhooks"  # the use that a domain's signing key is derived for
ACTIVE, INACTIVE = "Active", "Inactive"
_LINK_LOCAL = ".local"  # RFC 6762: names that no public resolver knows


def _event(value: Any) -> str:
    """Canonical, of any spelling."""
    word = str(value).strip().lower()
    word = EVENT_ALIASES.get(word, word)
    if word not in NAMES:
        raise ValueError("no event")
    return word


def _url(value: Any) -> str:
    """An http or https URL, wherever it leads."""
    url = value.strip() if isinstance(value, str) else ""
    check_url(url, allow_private=True)
    return url


EVENT, URL = Kind(_event, str), Kind(_url, str)


async def add_webhook(call: Call, values: Values) -> Payload:
    return await _add(call, await found_domain(call, values), values)


async def get_webhooks(call: Call, values: Values) -> Payload:
    domain = await found_domain(call, values)
    shown = [
        {
            "WebhookID": str(endpoint.number),
            "URL": endpoint.url,
            "WebhookURL": endpoint.url,
            "Events": endpoint.events,
            "Event": endpoint.events[0],
        }
        for endpoint in await _of_domain(call, domain)
    ]
    return {"SigningKey": signing_key(call, domain), "Webhooks": shown}


async def delete_webhook(call: Call, values: Values) -> Payload:
    try:
        domain = await found_domain(call, values)
    except NotFound:
        raise Faulty(Form.NUMBER, [documented(2, DELETE_CODES)]) from None
    await _delete(call, domain, values["WebhookID"])
    return {}


async def add_own(call: Call, values: Values) -> Payload:
    domain = await _own_domain(call)
    if not domain.is_verified:
        raise DomainNotVerified(domain=domain.name)
    return await _add(call, domain, values)


async def list_own(call: Call, values: Values) -> Payload:
    shown = [
        {
            "WebhookID": str(endpoint.number),
            "Event": PAST_EVENTS[endpoint.events[0]],
            "URL": endpoint.url,
            "WebhookURL": endpoint.url,
            "Status": ACTIVE if endpoint.is_active else INACTIVE,
        }
        for endpoint in await _of_domain(call, await _own_domain(call))
    ]
    return {"Webhooks": shown}


async def delete_own(call: Call, values: Values) -> Payload:
    await _delete(call, await _own_domain(call), values["WebhookID"])
    return {"Message": "Webhook successfully deleted."}


def signing_key(call: Call, domain: Domain) -> str:
    """64 hex digits in upper case."""
    return call.services.sealer.secret_of(domain.id, SIGNS_WEBHOOKS).hex().upper()


DELETE_CODES = {
    1: Code("Missing required parameter: WebhookID or DomainID"),
    2: Code("Invalid DomainID or DomainID not found"),
    3: Code("Domain validation failed"),
    4: Code("Webhook not found or user does not have permission to access it"),
}
_BAD_URL = "Webhook URL must be a valid HTTP or HTTPS URL."
_BAD_HOST = "Webhook URL must not point at a local or private host."
COMMANDS = (
    Command(
        "addWebhook", "EmailGateway.AddWebhook", "Register a webhook for one event of a domain", WRITE,
        add_webhook,
        (domain_id(4), Parameter("Event", EVENT, 2, 3), Parameter("WebhookURL", URL, 5, 6)), Form.LIST,
        {
            1: Code("Missing required parameter DomainID"),
            2: Code("Missing required parameter Event"),
            3: Code("Invalid event type specified"),
            4: Code("Domain not found or access denied"),
            5: Code("Missing required parameter WebhookURL"),
            6: Code(_BAD_URL),
            7: Code(_BAD_HOST),
        },
        {NotFound: 4, Invalid: 7},
    ),
    Command(
        "getWebhooks", "EmailGateway.GetWebhooks", "A domain's webhooks and its signing key", READ,
        get_webhooks, (domain_id(2),),
        codes={
            1: Code("Missing required parameter DomainID"),
            2: Code("Invalid domain or domain does not belong to the user"),
        },
        refusals={NotFound: 2},
    ),
    Command(
        "deleteWebhook", "EmailGateway.DeleteWebhook", "Delete a webhook of a domain", WRITE, delete_webhook,
        (Parameter("WebhookID", NUMBER, 1, 4), domain_id(2)),
        codes=DELETE_CODES, refusals={NotFound: 4},
    ),
)  # fmt: skip
_ADD = Command(
    "createWebhookPublic", "webhooks", "Register a webhook for one event of the key's domain", WRITE, add_own,
    (Parameter("Event", EVENT, 2, 3), Parameter("WebhookURL", URL, 5, 6)), Form.ERRORS,
    {
        2: Code("Event is missing", 422),
        3: Code("Invalid Event value", 422),
        5: Code("WebhookURL is missing", 422),
        6: Code(_BAD_URL, 422),
        7: Code(_BAD_HOST, 422),
        13: BAD_KEY_CODE,
        429: RATE_CODE,
    },
    {NotFound: BAD_KEY, DomainNotVerified: BAD_KEY, Invalid: 7},
    SENDER_ERRORS,
)  # fmt: skip
_LIST = Command(
    "listWebhooksPublic", "webhooks", "The webhooks of the key's domain", READ, list_own, (), Form.ERRORS,
    {2: Code("Invalid user account", 404), 13: BAD_KEY_CODE, 429: RATE_CODE}, {NotFound: BAD_KEY},
    SENDER_ERRORS,
)  # fmt: skip
_DELETE = Command(
    "deleteWebhookPublic", "webhooks", "Delete a webhook of the key's domain", WRITE, delete_own,
    (Parameter("WebhookID", NUMBER, 1, 4),), Form.ERRORS,
    {
        1: Code("WebhookID is missing", 422),
        2: Code("Invalid user account", 404),
        4: Code("Invalid WebhookID", 404),
        13: BAD_KEY_CODE,
        429: RATE_CODE,
    },
    {NotFound: 4},
    SENDER_ERRORS,
)  # fmt: skip
REST = (_ADD, _LIST, _DELETE)
# Who adds a webhook for an account that may not is told that the key is not valid (contract: its errors).
_SERVED = (("POST", _ADD, BAD_KEY), ("GET", _LIST, 2), ("DELETE", _DELETE, 2))
OPERATIONS = tuple(
    Operation(
        command.id, method, ("/api/v1/webhooks",), command.summary, None,
        served_to_sender(command, no_key=BAD_KEY, no_account=no_account),
    )
    for method, command, no_account in _SERVED
)  # fmt: skip


async def _own_domain(call: Call) -> Domain:
    """The domain of the key that asks; raises NotFound."""
    principal = call.caller.principal
    if principal.domain_id is None:
        raise NotFound(noun="domain")
    return await call.services.db.read(domains.get, principal, principal.domain_id)


async def _add(call: Call, domain: Domain, values: Values) -> Payload:
    services, url = call.services, values["WebhookURL"]
    if not services.outgoing.allow_private and (urlsplit(url).hostname or "").endswith(_LINK_LOCAL):
        raise Invalid(field="url", message=_BAD_HOST)
    endpoint = await services.db.write_first(
        lambda tx: webhooks.create_endpoint(
            tx,
            call.caller.principal,
            FORMAT,
            sealer=services.sealer,
            allow_private=services.outgoing.allow_private,
            allow_plain=True,
            url=url,
            events=[values["Event"]],
            domain_ids=[domain.id],
            secret=signing_key(call, domain),
        )
    )
    return {"NewWebhookID": str(endpoint.number)}


async def _of_domain(call: Call, domain: Domain) -> list[Endpoint]:
    found = await call.services.db.read(webhooks.list_endpoints, call.caller.principal, FORMAT)
    return [endpoint for endpoint in found if endpoint.domain_ids == [domain.id.hex()]]


async def _delete(call: Call, domain: Domain, number: int) -> None:
    """Raises NotFound for a number that is not one of the domain's."""
    for endpoint in await _of_domain(call, domain):
        if endpoint.number == number:
            principal = call.caller.principal
            await call.services.db.write_first(webhooks.delete_endpoint, principal, FORMAT, endpoint.id)
            return
    raise NotFound(noun="webhook")
