"""Webhook endpoints: listed, added, changed, deleted, tried out; a secret is shown when it is made."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import Field, field_validator
from starlette.responses import Response

from postrider.engine import webhooks
from postrider.engine.webhooks import Changes, Endpoint
from postrider.kit import clock
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.fields import OneLine, Wire, fault
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.limits import WEBHOOKS
from postrider.surfaces.mailerlogic.webhook_format import FORMAT, NAMES, TEST

READ, WRITE = "webhooks:read", "webhooks:write"


class WebhookChanges(Wire):
    """What is not there stays. An event may be named without its `email.`; `domain_id` is the older scope."""

    url: str | None = None
    events: list[str] | None = Field(None, min_length=1, max_length=len(NAMES))
    name: OneLine | None = None
    description: str | None = None
    domain_ids: list[str] | None = None
    domain_id: str | None = None
    is_active: bool | None = None

    @field_validator("events")
    @classmethod
    def _known(cls, value: list[str] | None) -> list[str] | None:
        if value is None:
            return None
        named = [word if word in NAMES else f"email.{word}" for word in value]
        if not set(named) <= set(NAMES):
            raise fault(f"Events should be of {', '.join(NAMES)}")
        return named

    def changes(self) -> Changes:
        """What was given, in the engine's words; raises NotFound for a domain id that is none."""
        given: dict[str, Any] = self.model_dump(exclude_unset=True)
        for name in ("url", "events", "is_active"):
            if given.get(name, ...) is None:
                del given[name]
        older = given.pop("domain_id", None)
        if older is not None and not given.get("domain_ids"):
            given["domain_ids"] = [older]
        if given.get("domain_ids"):
            given["domain_ids"] = [path_id(text, "domain") for text in given["domain_ids"]]
        return cast(Changes, given)  # the fields above are its keys


class NewWebhook(WebhookChanges):
    url: str
    events: list[str] = Field(min_length=1, max_length=len(NAMES))


async def list_webhooks(call: Call) -> Response:
    found = await call.services.db.read(webhooks.list_endpoints, call.caller.principal, FORMAT)
    names = await _names(call, found)
    return answer(
        {
            "webhooks": [_shown(call, each, names) for each in found],
            "limit": _limit(call),
            "used": len(found),
        }
    )


async def create_webhook(call: Call, new: NewWebhook) -> Response:
    services, secret = call.services, webhooks.make_secret()
    changes = new.changes()
    changes["secret"] = secret
    endpoint = await services.db.write_first(
        lambda tx: webhooks.create_endpoint(
            tx,
            call.caller.principal,
            FORMAT,
            sealer=services.sealer,
            allow_private=services.outgoing.allow_private,
            limit=_limit(call),
            **changes,
        )
    )
    shown = {**_shown(call, endpoint, await _names(call, [endpoint])), "secret": secret}
    return answer({"message": "Webhook created", "webhook": shown}, 201)


async def update_webhook(call: Call, changes: WebhookChanges) -> Response:
    endpoint = await _update(call, changes.changes())
    shown = _shown(call, endpoint, await _names(call, [endpoint]))
    return answer({"message": "Webhook updated", "webhook": shown})


async def delete_webhook(call: Call) -> Response:
    await call.services.db.write_first(
        webhooks.delete_endpoint, call.caller.principal, FORMAT, _webhook_id(call)
    )
    return answer({"message": "Webhook deleted"})


async def test_webhook(call: Call) -> Response:
    """What the endpoint does is the answer, not an error."""
    services = call.services
    tried = await webhooks.try_out(
        services.db,
        call.caller.principal,
        FORMAT,
        _webhook_id(call),
        word=TEST,
        outgoing=services.outgoing,
        sealer=services.sealer,
    )
    if tried.is_success:
        message = "Test webhook delivered"
    else:
        message = f"Test webhook failed: {tried.fault or f'status {tried.status}'}"
    return answer(
        {
            "success": tried.is_success,
            "message": message,
            "status_code": tried.status,
            "response_time_ms": tried.duration_ms,
        }
    )


async def regenerate_secret(call: Call) -> Response:
    """The old one signs nothing more, not even what waits."""
    secret = webhooks.make_secret()
    endpoint = await _update(call, Changes(secret=secret))
    return answer(
        {"message": "Webhook secret regenerated", "secret": secret, "webhook": {"id": to_uuid(endpoint.id)}}
    )


_ALL = ("/api/v1/customer/webhooks",)
_ONE = "/api/v1/customer/webhooks/{webhookId}"
OPERATIONS = (
    Operation("listWebhooks", "GET", _ALL, "Webhook endpoints", READ, list_webhooks),
    Operation(
        "createWebhook", "POST", _ALL, "Add an endpoint", WRITE, create_webhook, body=NewWebhook, status=201
    ),
    Operation(
        "updateWebhook", "PUT", (_ONE,), "Change an endpoint", WRITE, update_webhook, body=WebhookChanges
    ),
    Operation("deleteWebhook", "DELETE", (_ONE,), "Remove an endpoint", WRITE, delete_webhook),
    Operation("testWebhook", "POST", (f"{_ONE}/test",), "Send a test event", WRITE, test_webhook),
    Operation(
        "regenerateWebhookSecret", "POST", (f"{_ONE}/regenerate-secret",), "New signing secret", WRITE,
        regenerate_secret,
    ),
)  # fmt: skip


def _webhook_id(call: Call) -> RowId:
    return path_id(call.request.path_params["webhookId"], "webhook")


def _limit(call: Call) -> int:
    return WEBHOOKS[call.caller.organization.plan]


async def _update(call: Call, changes: Changes) -> Endpoint:
    services, webhook_id = call.services, _webhook_id(call)
    return await services.db.write_first(
        lambda tx: webhooks.update_endpoint(
            tx,
            call.caller.principal,
            FORMAT,
            webhook_id,
            sealer=services.sealer,
            allow_private=services.outgoing.allow_private,
            **changes,
        )
    )


async def _names(call: Call, endpoints: Sequence[Endpoint]) -> dict[str, str]:
    read = call.services.db.read
    return await read(webhooks.domain_names, call.caller.principal.organization_id, endpoints)


def _shown(call: Call, endpoint: Endpoint, names: Mapping[str, str]) -> dict[str, Any]:
    """Without the secret; a domain that was deleted keeps its id and has no name any more."""
    ids = [to_uuid(bytes.fromhex(each)) for each in endpoint.domain_ids or ()]
    return {
        "id": to_uuid(endpoint.id),
        "customer_id": to_uuid(call.caller.organization.public_id),
        "domain_ids": ids or None,
        "domains": [
            {"id": to_uuid(bytes.fromhex(each)), "domain": names[each]}
            for each in endpoint.domain_ids or ()
            if each in names
        ],
        "domain_id": ids[0] if len(ids) == 1 else None,
        "name": endpoint.name,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": endpoint.events,
        "is_active": endpoint.is_active,
        "created_at": clock.to_iso(endpoint.created_at),
        "updated_at": clock.to_iso(endpoint.updated_at),
    }
