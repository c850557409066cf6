"""Webhooks: registered, listed, changed, removed, tried out, and the log of what was posted."""

from typing import Any, cast

from starlette.responses import Response

from postrider.engine import webhooks
from postrider.engine.webhooks import Changes, Endpoint, posted
from postrider.engine.webhooks.posted import Posted
from postrider.kit import json
from postrider.kit.ids import RowId
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.nudgecampaign import frame
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.query import read_query, read_view
from postrider.surfaces.nudgecampaign.resources import Filter, Resource, Sort, View, one_of, shown_at
from postrider.surfaces.nudgecampaign.webhook_format import FORMAT, NAMES
from postrider.surfaces.nudgecampaign.wire import NewWebhook, Rehearsal, WebhookChanges

READ, WRITE = "webhooks:read", "webhooks:write"
SUCCESS, FAILED = "success", "failed"
WEBHOOK: Resource[Endpoint] = Resource(
    type="webhook",
    noun=Noun.WEBHOOK,
    row_id=lambda endpoint: endpoint.id,
    attributes={
        "url": lambda endpoint: endpoint.url,
        "events": lambda endpoint: endpoint.events,
        "description": lambda endpoint: endpoint.description,
        "active": lambda endpoint: endpoint.is_active,
        "created_at": lambda endpoint: shown_at(endpoint.created_at),
        "updated_at": lambda endpoint: shown_at(endpoint.updated_at),
    },
    sorts={"created_at": Sort(int, lambda endpoint: endpoint.created_at)},
    order="created_at",
)
LOG: Resource[Posted] = Resource(
    type="webhook_log",
    noun=Noun.WEBHOOK_LOG,
    row_id=lambda line: line.attempt.id,
    attributes={
        "webhook_id": lambda line: show(Noun.WEBHOOK, line.attempt.endpoint_id),
        "event_type": lambda line: line.attempt.word,
        "status": lambda line: SUCCESS if line.attempt.is_success else FAILED,
        "status_code": lambda line: line.attempt.status,
        "duration_ms": lambda line: line.attempt.duration_ms,
        "timestamp": lambda line: shown_at(line.attempt.started_at),
        "request": lambda line: {
            "headers": line.headers or {},
            "body": None if line.body is None else json.loads(line.body),
        },
        "response": lambda line: {
            "headers": json.loads(line.attempt.answer_headers or "{}"),
            "body": line.attempt.answer or "",
        },
    },
    sorts={"timestamp": Sort(int, lambda line: line.attempt.started_at)},
    order="-timestamp",
    filters={
        "filter[status]": Filter("succeeded", lambda text: one_of((SUCCESS, FAILED))(text) == SUCCESS),
        "filter[event_type]": Filter("word", one_of(NAMES)),
    },
    is_flat=True,
)


async def list_webhooks(call: Call) -> Response:
    query = read_query(call.request, WEBHOOK)
    found = await call.services.db.read(webhooks.list_endpoints, call.caller.principal, FORMAT)
    return frame.many(call.request, query, query.cut(found))


async def create_webhook(call: Call, new: NewWebhook) -> Response:
    """The secret is told here and never again."""
    services, changes = call.services, _changes(new)
    changes["secret"] = secret = webhooks.make_secret()
    endpoint = await services.db.write_first(
        lambda tx: webhooks.create_endpoint(
            tx,
            call.caller.principal,
            FORMAT,
            sealer=services.sealer,
            allow_private=services.outgoing.allow_private,
            allow_plain=True,
            **changes,
        )
    )
    shown = WEBHOOK.shown(endpoint, View())
    shown["attributes"]["secret"] = secret
    return answer({"data": shown}, 201)


async def get_webhook(call: Call) -> Response:
    view, read = read_view(call.request, WEBHOOK), call.services.db.read
    endpoint = await read(webhooks.get_endpoint, call.caller.principal, FORMAT, _webhook_id(call))
    return frame.one(WEBHOOK, endpoint, view)


async def update_webhook(call: Call, changes: WebhookChanges) -> Response:
    services, webhook_id = call.services, _webhook_id(call)
    endpoint = await services.db.write_first(
        lambda tx: webhooks.update_endpoint(
            tx,
            call.caller.principal,
            FORMAT,
            webhook_id,
            sealer=services.sealer,
            allow_private=services.outgoing.allow_private,
            allow_plain=True,
            **_changes(changes),
        )
    )
    return frame.one(WEBHOOK, endpoint, View())


async def delete_webhook(call: Call) -> Response:
    await call.services.db.write_first(
        webhooks.delete_endpoint, call.caller.principal, FORMAT, _webhook_id(call)
    )
    return frame.nothing()


async def test_webhook(call: Call, asked: Rehearsal) -> Response:
    """What the receiver does is the answer, not an error."""
    services, webhook_id = call.services, _webhook_id(call)
    tried = await webhooks.try_out(
        services.db,
        call.caller.principal,
        FORMAT,
        webhook_id,
        word=asked.event,
        outgoing=services.outgoing,
        sealer=services.sealer,
    )
    lines = await _lines(call, webhook_id, [tried])
    return frame.one(LOG, lines[0], View())


async def list_logs(call: Call) -> Response:
    query, webhook_id = read_query(call.request, LOG), _webhook_id(call)
    found, total = await call.services.db.read(
        posted.page,
        call.caller.principal,
        FORMAT,
        webhook_id,
        limit=query.size + 1,
        after=query.after and query.after.id,
        oldest_first=not query.order.is_descending,
        **query.filters,
    )
    return frame.many(call.request, query, query.page(await _lines(call, webhook_id, found), total))


_ALL, _ONE = ("/v2/webhooks",), ("/v2/webhooks/{webhook_id}",)
OPERATIONS = (
    Operation("listWebhooks", "GET", _ALL, "Webhooks", READ, list_webhooks),
    Operation(
        "createWebhook", "POST", _ALL, "Register a webhook", WRITE, create_webhook,
        body=NewWebhook, status=201,
    ),
    Operation("getWebhook", "GET", _ONE, "One webhook", READ, get_webhook),
    Operation("updateWebhook", "PUT", _ONE, "Change a webhook", WRITE, update_webhook, body=WebhookChanges),
    Operation("deleteWebhook", "DELETE", _ONE, "Delete a webhook", WRITE, delete_webhook, status=204),
    Operation(
        "testWebhook", "POST", (f"{_ONE[0]}/test",), "Send a sample event", WRITE, test_webhook,
        body=Rehearsal,
    ),
    Operation("listWebhookLogs", "GET", (f"{_ONE[0]}/logs",), "What was posted", READ, list_logs),
)  # fmt: skip


def _webhook_id(call: Call) -> RowId:
    return path_id(Noun.WEBHOOK, call.request.path_params["webhook_id"])


def _changes(body: WebhookChanges) -> Changes:
    """What the body sets, in the engine's words."""
    given: dict[str, Any] = body.model_dump(exclude_unset=True)
    if "active" in given:
        given["is_active"] = given.pop("active")
    return cast(Changes, given)  # the fields of the body are its keys


async def _lines(call: Call, webhook_id: RowId, attempts: list[webhooks.Attempt]) -> list[Posted]:
    """With what was sent; who may write needs no scope of its own to be told of a test."""
    place, services = (call.caller.principal.organization_id, webhook_id), call.services
    return await services.db.read(posted.posted, place, FORMAT, services.sealer, attempts)
