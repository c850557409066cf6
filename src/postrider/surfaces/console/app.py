"""/console/v1: messages searched, followed, called back and sent once more; queues seen, paused and resumed.

Every answer is of the key's own organization; its sandbox has keys of its own.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from postrider.engine import messages
from postrider.engine.delivery import control
from postrider.engine.errors import NotFound, Unauthenticated
from postrider.engine.messages import queue
from postrider.engine.principal import Principal
from postrider.kit import json
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.console import wire
from postrider.surfaces.console.errors import HANDLERS
from postrider.surfaces.console.keys import KEYS

LABEL = "console"
LANES_MAX = 10_000  # of one organization in an answer; also as far as a lane's waiting mail is counted
LANE_ID_MAX_DIGITS = 18

Operation = Callable[[Services, Principal, Request], Awaitable[dict[str, Any]]]


async def list_messages(services: Services, principal: Principal, request: Request) -> dict[str, Any]:
    """Newest first; `next` is the `before` of the following page, null at the end."""
    principal.require(control.READ)
    filters = wire.search_of(request.query_params)
    rows = await services.db.read(messages.search, principal.organization_id, **filters)
    more = len(rows) == filters["limit"]
    return {"messages": [wire.message(row) for row in rows], "next": to_uuid(rows[-1].id) if more else None}


async def get_message(services: Services, principal: Principal, request: Request) -> dict[str, Any]:
    message_id = wire.path_id(request.path_params["id"])
    return {"message": wire.journey(await services.db.read(control.journey, principal, message_id))}


async def cancel_message(services: Services, principal: Principal, request: Request) -> dict[str, Any]:
    message_id = wire.path_id(request.path_params["id"])
    await services.db.write_first(control.cancel, principal, message_id)
    return await get_message(services, principal, request)


async def requeue_message(services: Services, principal: Principal, request: Request) -> dict[str, Any]:
    message_id = wire.path_id(request.path_params["id"])
    await services.db.write_first(control.requeue, principal, message_id)
    answer = await get_message(services, principal, request)
    services.wake()
    return answer


async def list_queues(services: Services, principal: Principal, request: Request) -> dict[str, Any]:
    principal.require("queues:read")
    lanes = await services.db.read(queue.overview, principal.organization_id, LANES_MAX)
    return {"sites": wire.sites(lanes, LANES_MAX)}


async def pause_lane(services: Services, principal: Principal, request: Request) -> dict[str, Any]:
    """What a worker holds already still goes out: about a second's worth."""
    principal.require("queues:write")
    lane_id = _lane_id(request)
    if not await services.db.write_first(queue.pause_lane, principal.organization_id, lane_id):
        raise NotFound(noun="lane")
    return {"lane": {"id": lane_id, "paused": True}}


async def resume_lane(services: Services, principal: Principal, request: Request) -> dict[str, Any]:
    principal.require("queues:write")
    lane_id = _lane_id(request)
    if not await services.db.write_first(queue.resume_lane, principal.organization_id, lane_id):
        raise NotFound(noun="lane")
    services.wake()
    return {"lane": {"id": lane_id, "paused": False}}


OPERATIONS: tuple[tuple[str, str, Operation], ...] = (
    ("GET", "/v1/messages", list_messages),
    ("GET", "/v1/messages/{id}", get_message),
    ("POST", "/v1/messages/{id}/cancel", cancel_message),
    ("POST", "/v1/messages/{id}/requeue", requeue_message),
    ("GET", "/v1/queues", list_queues),
    ("POST", "/v1/queues/lanes/{id}/pause", pause_lane),
    ("POST", "/v1/queues/lanes/{id}/resume", resume_lane),
)


def make(services: Services) -> Starlette:
    routes = [
        Route(path, _endpoint(services, operation), methods=[method])
        for method, path, operation in OPERATIONS
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS)


SURFACE = Surface(name="console", make=make, keys=KEYS)


def _endpoint(services: Services, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        principal = await _principal(services, request)
        answer = await operation(services, principal, request)
        return Response(json.dump_bytes(answer), media_type="application/json", headers=_HEADERS)

    return endpoint


_HEADERS = {"Cache-Control": "no-store"}


async def _principal(services: Services, request: Request) -> Principal:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    caller = await services.keyring.by_key(key, LABEL)
    if caller is None:
        raise Unauthenticated
    return caller.principal


def _lane_id(request: Request) -> int:
    text = request.path_params["id"]
    if not (text.isascii() and text.isdigit() and len(text) <= LANE_ID_MAX_DIGITS):
        raise NotFound(noun="lane")
    return int(text)
