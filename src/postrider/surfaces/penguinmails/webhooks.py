"""Webhook endpoints: registered, listed, changed, removed, tried out, and the log of what was posted."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field
from starlette.responses import Response

from postrider.engine import webhooks
from postrider.engine.accounts import OrganizationKind
from postrider.engine.webhooks import Attempt, Changes, Endpoint
from postrider.kit.ids import RowId
from postrider.surfaces.common.body import SMALL_BODY_MAX_BYTES, read_body
from postrider.surfaces.common.errors import Refused
from postrider.surfaces.common.fields import fault
from postrider.surfaces.common.operations import Call, Operation, parse
from postrider.surfaces.penguinmails.answers import done, listed, time, time_or_none
from postrider.surfaces.penguinmails.ids import WEBHOOK, path_id, to_id
from postrider.surfaces.penguinmails.paging import Page, read_query
from postrider.surfaces.penguinmails.webhook_format import FORMAT, NAMES, SAMPLED, event_id
from postrider.surfaces.penguinmails.wire import Body

READ, WRITE = "webhooks:read", "webhooks:write"
_NO_ANSWER = (502, "EXTERNAL_SERVICE_ERROR")


def _known(value: str) -> str:
    if value not in NAMES:
        raise fault("Unknown event name")
    return value


Name = Annotated[str, AfterValidator(_known)]
Names = Annotated[list[Name], Field(min_length=1, max_length=2 * len(NAMES))]


class WebhookChanges(Body):
    """What is not there stays."""

    url: str | None = None
    events: Names | None = None
    secret: Annotated[str, Field(min_length=1)] | None = None
    description: str | None = None
    active: bool | None = None

    def changes(self) -> Changes:
        given: dict[str, Any] = self.model_dump(exclude_unset=True)
        if "active" in given:
            given["is_active"] = given.pop("active")
        return cast(Changes, given)  # the fields above are its keys


class NewWebhook(WebhookChanges):
    url: str
    events: Names


class Test(Body):
    type: Name = SAMPLED


async def register_webhook(call: Call, new: NewWebhook) -> Response:
    services, made = call.services, None if new.secret else webhooks.make_secret()
    changes = new.changes()
    if made is not None:
        changes["secret"] = made
    endpoint = await services.db.write_first(
        lambda tx: webhooks.create_endpoint(
            tx, call.caller.principal, FORMAT, sealer=services.sealer, **_reach(call), **changes
        )
    )
    return done(_shown(endpoint) | ({} if made is None else {"secret": made}), 201)


async def list_webhooks(call: Call) -> Response:
    page = read_query(call.request, Page)
    found = await call.services.db.read(webhooks.list_endpoints, call.caller.principal, FORMAT)
    if page.order == "desc":
        found.reverse()
    part = found[page.offset : page.offset + page.per_page]
    return listed([_shown(endpoint) for endpoint in part], page, len(found))


async def get_webhook(call: Call) -> Response:
    read, principal = call.services.db.read, call.caller.principal
    return done(_shown(await read(webhooks.get_endpoint, principal, FORMAT, _webhook_id(call))))


async def update_webhook(call: Call, changes: WebhookChanges) -> Response:
    services, webhook_id, given = call.services, _webhook_id(call), changes.changes()
    endpoint = await services.db.write_first(
        lambda tx: webhooks.update_endpoint(
            tx, call.caller.principal, FORMAT, webhook_id, sealer=services.sealer, **_reach(call), **given
        )
    )
    return done(_shown(endpoint))


async def delete_webhook(call: Call) -> Response:
    webhook_id = _webhook_id(call)
    await call.services.db.write_first(webhooks.delete_endpoint, call.caller.principal, FORMAT, webhook_id)
    return done({"id": to_id(WEBHOOK, webhook_id), "deleted": True})


async def test_webhook(call: Call) -> Response:
    """Raises Refused where nothing answered; an answer that is no success is told. The body may be absent."""
    services, raw = call.services, await read_body(call.request, SMALL_BODY_MAX_BYTES)
    test = parse(Test, raw) if raw else Test()
    tried = await webhooks.try_out(
        services.db,
        call.caller.principal,
        FORMAT,
        _webhook_id(call),
        word=test.type,
        outgoing=services.outgoing,
        sealer=services.sealer,
    )
    if tried.status is None:
        raise Refused(*_NO_ANSWER, f"The endpoint could not be reached: {tried.fault}.")
    return done(
        {
            "delivered": tried.is_success,
            "event_id": event_id(tried),
            "status_code": tried.status,
            "duration_ms": tried.duration_ms,
        }
    )


async def list_deliveries(call: Call) -> Response:
    page = read_query(call.request, Page)
    found, total = await call.services.db.read(
        webhooks.attempts_of,
        call.caller.principal,
        FORMAT,
        _webhook_id(call),
        limit=page.per_page,
        offset=page.offset,
        oldest_first=page.order == "asc",
    )
    return listed([_delivery(attempt) for attempt in found], page, total)


_ALL = "/api/v1/webhooks"
_ONE = f"{_ALL}/{{webhook_id}}"
OPERATIONS = (
    Operation(
        "registerWebhook", "POST", (_ALL,), "Register a webhook endpoint", WRITE,
        register_webhook, body=NewWebhook, status=201,
    ),
    Operation("listWebhooks", "GET", (_ALL,), "List endpoints", READ, list_webhooks),
    Operation("getWebhook", "GET", (_ONE,), "Fetch an endpoint", READ, get_webhook),
    Operation(
        "updateWebhook", "PATCH", (_ONE,), "Change an endpoint", WRITE, update_webhook, body=WebhookChanges
    ),
    Operation("deleteWebhook", "DELETE", (_ONE,), "Remove an endpoint", WRITE, delete_webhook),
    Operation("testWebhook", "POST", (f"{_ONE}/test",), "Send a sample event", WRITE, test_webhook),
    Operation("listWebhookDeliveries", "GET", (f"{_ONE}/deliveries",), "Delivery log", READ, list_deliveries),
)  # fmt: skip


def _webhook_id(call: Call) -> RowId:
    return path_id(WEBHOOK, call.request.path_params["webhook_id"], "webhook")


def _reach(call: Call) -> Mapping[str, bool]:
    """Where endpoints may be: in the sandbox also at http:// URLs."""
    return {
        "allow_private": call.services.outgoing.allow_private,
        "allow_plain": call.caller.organization.kind is OrganizationKind.SANDBOX,
    }


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": to_id(WEBHOOK, endpoint.id),
        "url": endpoint.url,
        "events": endpoint.events,
        "description": endpoint.description,
        "active": endpoint.is_active,
        "created_at": time(endpoint.created_at),
        "updated_at": time(endpoint.updated_at),
    }


def _delivery(attempt: Attempt) -> dict[str, Any]:
    failed = "failed" if attempt.next_at is None else "pending_retry"
    return {
        "event_id": event_id(attempt),
        "event_type": attempt.word,
        "status": "success" if attempt.is_success else failed,
        "attempt_number": attempt.number,
        "status_code": attempt.status,
        "duration_ms": attempt.duration_ms,
        "next_retry_at": time_or_none(attempt.next_at),
        "attempted_at": time(attempt.started_at),
    }
