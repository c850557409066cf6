"""/console/v1: messages searched, followed, called back, sent again; queues, domains, suppressions, webhooks.

Every answer is of the key's own organization; its sandbox has keys of its own.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from postrider.engine import messages
from postrider.engine.accounts.authenticate import Caller
from postrider.engine.delivery import control
from postrider.engine.errors import NotFound, Unauthenticated
from postrider.engine.messages import queue
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.openapi import docs_routes
from postrider.surfaces.common.operations import Call, Manner, Operation, answer, make_app
from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.console import (
    alerts,
    campaigns,
    contacts,
    domains,
    imports,
    lists,
    organization,
    properties,
    streams,
    suppressions,
    templates,
    webhooks,
    wire,
)
from postrider.surfaces.console.errors import fail, refuse
from postrider.surfaces.console.keys import KEYS

LABEL = "console"
READ_QUEUES, WRITE_QUEUES = "queues:read", "queues:write"
LANES_MAX = 10_000  # of one organization in an answer; also as far as a lane's waiting mail is counted
LANE_ID_MAX_DIGITS = 18


async def list_messages(call: Call) -> Response:
    """Newest first; `next` is the `before` of the following page, null at the end."""
    filters = wire.search_of(call.request.query_params)
    organization_id = call.caller.principal.organization_id
    rows = await call.services.db.read(messages.search, organization_id, **filters)
    following = to_uuid(rows[-1].id) if len(rows) == filters["limit"] else None
    return answer({"messages": [wire.message(row) for row in rows], "next": following})


async def get_message(call: Call) -> Response:
    message_id = wire.path_id(call.request.path_params["id"])
    told = await call.services.db.read(control.journey, call.caller.principal, message_id)
    return answer({"message": wire.journey(told)})


async def cancel_message(call: Call) -> Response:
    message_id = wire.path_id(call.request.path_params["id"])
    await call.services.db.write_first(control.cancel, call.caller.principal, message_id)
    return await get_message(call)


async def requeue_message(call: Call) -> Response:
    """Answers the message as it was put back; a worker may have it a moment later."""
    message_id = wire.path_id(call.request.path_params["id"])
    await call.services.db.write_first(control.requeue, call.caller.principal, message_id)
    response = await get_message(call)
    call.services.wake()
    return response


async def list_queues(call: Call) -> Response:
    organization_id = call.caller.principal.organization_id
    lanes = await call.services.db.read(queue.overview, organization_id, LANES_MAX)
    return answer({"sites": wire.sites(lanes, LANES_MAX)})


async def pause_lane(call: Call) -> Response:
    """What a worker holds already still goes out: about a second's worth."""
    lane_id = _lane_id(call)
    if not await call.services.db.write_first(
        queue.pause_lane, call.caller.principal.organization_id, lane_id
    ):
        raise NotFound(noun="lane")
    return answer({"lane": {"id": lane_id, "paused": True}})


async def resume_lane(call: Call) -> Response:
    """A lane whose stream is paused stays so, and says so."""
    lane_id = _lane_id(call)
    if not await call.services.db.write_first(
        queue.resume_lane, call.caller.principal.organization_id, lane_id
    ):
        raise NotFound(noun="lane")
    call.services.wake()
    paused = await call.services.db.read(queue.is_paused, call.caller.principal.organization_id, lane_id)
    return answer({"lane": {"id": lane_id, "paused": paused}})


_ALL, _ONE, _LANE = "/v1/messages", "/v1/messages/{id}", "/v1/queues/lanes/{id}"
_READ, _WRITE = control.READ, control.WRITE
# fmt: off
OPERATIONS: tuple[Operation, ...] = (
    Operation("listMessages", "GET", (_ALL,), "messages, newest first, filtered", _READ, list_messages),
    Operation("getMessage", "GET", (_ONE,), "a message with its attempts and events", _READ, get_message),
    Operation("cancelMessage", "POST", (_ONE + "/cancel",), "call back what waits", _WRITE, cancel_message),
    Operation("requeueMessage", "POST", (_ONE + "/requeue",), "try once more, now", _WRITE, requeue_message),
    Operation("listQueues", "GET", ("/v1/queues",), "what waits, by site and lane", READ_QUEUES, list_queues),
    Operation("pauseLane", "POST", (_LANE + "/pause",), "let its mail wait", WRITE_QUEUES, pause_lane),
    Operation("resumeLane", "POST", (_LANE + "/resume",), "let its mail go on", WRITE_QUEUES, resume_lane),
    *domains.OPERATIONS,
    *campaigns.OPERATIONS,
    *contacts.OPERATIONS,
    *lists.OPERATIONS,
    *properties.OPERATIONS,
    *templates.OPERATIONS,
    *suppressions.OPERATIONS,
    *webhooks.OPERATIONS,
    *streams.OPERATIONS,
    *alerts.OPERATIONS,
    *organization.OPERATIONS,
    *imports.OPERATIONS,
)
# fmt: on


async def authenticate(services: Services, request: Request) -> Caller:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    caller = await services.keyring.by_key(key, LABEL)
    if caller is None:
        raise Unauthenticated
    return caller


MANNER = Manner(
    name=LABEL,
    title="Postrider console API",
    version="1",
    authenticate=authenticate,
    refuse=refuse,
    fail=fail,
    security={"bearer": {"type": "http", "scheme": "bearer"}},
)


def make(services: Services) -> Starlette:
    return make_app(services, MANNER, OPERATIONS, extra=docs_routes(MANNER, OPERATIONS))


SURFACE = Surface(name=LABEL, make=make, keys=KEYS)


def _lane_id(call: Call) -> int:
    text = call.request.path_params["id"]
    if not (text.isascii() and text.isdigit() and len(text) <= LANE_ID_MAX_DIGITS):
        raise NotFound(noun="lane")
    return int(text)
