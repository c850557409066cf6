"""Webhooks of every surface: what was posted, what came of it, and posting it again with the same bytes."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from postrider.engine.errors import Invalid
from postrider.engine.webhooks import Attempt, Endpoint, Outcome, Rendered, replay
from postrider.engine.webhooks.endpoints import READ, WRITE
from postrider.kit import clock, json
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.console import wire

PARAMETERS = frozenset({"webhook_id", "event_id", "outcome", "before", "limit"})
_OUTCOMES = {outcome.name.lower(): outcome for outcome in Outcome}


async def list_webhooks(call: Call) -> Response:
    """Of every surface, oldest first; there are at most a hundred."""
    found = await call.services.db.read(replay.endpoints_of, call.caller.principal)
    return answer({"webhooks": [_webhook(endpoint) for endpoint in found]})


async def list_attempts(call: Call) -> Response:
    """Newest first; `next` is the `before` of the following page, null at the end."""
    query = call.request.query_params
    wire.known_only(query, PARAMETERS)
    limit, narrowed = wire.limit_of(query), _narrowed(query)
    found = await call.services.db.read(
        lambda tx: replay.browse(tx, call.caller.principal, limit=limit, **narrowed)
    )
    following = to_uuid(found[-1].id) if len(found) == limit else None
    return answer({"attempts": [_attempt(attempt) for attempt in found], "next": following})


async def get_attempt(call: Call) -> Response:
    found = await call.services.db.read(replay.attempt_of, call.caller.principal, _attempt_id(call))
    return answer({"attempt": _in_full(*found)})


async def replay_attempt(call: Call) -> Response:
    """Answers the attempt as it was; the one that follows is listed once it was made."""
    found = await call.services.db.write_first(replay.replay, call.caller.principal, _attempt_id(call))
    return answer({"attempt": _attempt(found)})


async def replay_failed(call: Call) -> Response:
    query = call.request.query_params
    wire.known_only(query, frozenset({"since", "after"}))
    since, after = wire.time_of(query, "since"), wire.row_id_of(query, "after")
    if since is None:
        raise Invalid(field="since", message="since is required")
    endpoint_id = wire.path_id(call.request.path_params["id"], "webhook")
    done = await call.services.db.write_first(
        replay.replay_failed, call.caller.principal, endpoint_id, since=since, after=after
    )
    return answer({"replayed": done.count, "next": None if done.next is None else to_uuid(done.next)})


_HOOKS, _ALL, _ONE = "/v1/webhooks", "/v1/webhook-attempts", "/v1/webhook-attempts/{id}"
# fmt: off
OPERATIONS: tuple[Operation, ...] = (
    Operation("listWebhooks", "GET", (_HOOKS,), "webhooks of every surface", READ, list_webhooks),
    Operation("replayFailed", "POST", (_HOOKS + "/{id}/replay",), "post what failed", WRITE, replay_failed),
    Operation("listWebhookAttempts", "GET", (_ALL,), "what was posted, newest first", READ, list_attempts),
    Operation("getWebhookAttempt", "GET", (_ONE,), "a post with its body and answer", READ, get_attempt),
    Operation("replayWebhookAttempt", "POST", (_ONE + "/replay",), "post it again", WRITE, replay_attempt),
)
# fmt: on


def _attempt_id(call: Call) -> RowId:
    return wire.path_id(call.request.path_params["id"], replay.ATTEMPT_NOUN)


def _narrowed(query: Mapping[str, str]) -> dict[str, Any]:
    """The filters as `replay.browse` takes them; raises Invalid."""
    return {
        "before": wire.row_id_of(query, "before"),
        "endpoint_id": wire.row_id_of(query, "webhook_id"),
        "event_id": wire.row_id_of(query, "event_id"),
        "outcomes": wire.words_of(query, "outcome", _OUTCOMES),
    }


def _webhook(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": to_uuid(endpoint.id),
        "number": endpoint.number,
        "format": endpoint.format,
        "url": endpoint.url,
        "name": endpoint.name,
        "description": endpoint.description,
        "events": endpoint.events,
        "domain_ids": [to_uuid(bytes.fromhex(each)) for each in endpoint.domain_ids or ()] or None,
        "state": endpoint.state.name.lower(),
        "failures": endpoint.failures,
        "failing_since": wire.time(endpoint.failing_since),
        "created_at": clock.to_iso(endpoint.created_at),
        "updated_at": clock.to_iso(endpoint.updated_at),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": to_uuid(attempt.id),
        "webhook_id": to_uuid(attempt.endpoint_id),
        "event_id": to_uuid(attempt.event_id),
        "event": attempt.word,
        "number": attempt.number,
        "outcome": attempt.outcome.name.lower(),
        "started_at": clock.to_iso(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "fault": attempt.fault,
        "answer": attempt.answer,
        "answer_headers": attempt.answer_headers and json.loads(attempt.answer_headers),
        "next_at": wire.time(attempt.next_at),
    }


def _in_full(attempt: Attempt, endpoint: Endpoint, rendered: Rendered | None) -> dict[str, Any]:
    sent = rendered and {"headers": rendered.headers, "body": rendered.body.decode("utf-8", "replace")}
    return {**_attempt(attempt), "webhook": _webhook(endpoint), "request": sent}
