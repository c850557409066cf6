"""/inbox/api: captured mail listed, read, downloaded, waited for and deleted; what tests of mail ask."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from postrider.engine.delivery import control
from postrider.engine.delivery.control import Captured
from postrider.engine.errors import NotFound
from postrider.kit import json
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.frame import Image, frame_of
from postrider.surfaces.common.services import Services
from postrider.surfaces.inbox import policy, wire
from postrider.surfaces.inbox.parse import Mail, parse
from postrider.surfaces.inbox.viewer import Viewer, viewer_of
from postrider.surfaces.inbox.watch import Watch

PARSED_HERE_MAX_BYTES = 64 * 1024  # larger ones are read in a thread
CLEAR_ROUNDS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Look:
    """One request of somebody who may look."""

    services: Services
    watch: Watch
    viewer: Viewer
    request: Request


Answer = Callable[[Look], Awaitable[Response]]


async def list_mails(look: Look) -> Response:
    """Newest first; `next` is the `before` of the following page; `total` counts all, whatever the filter.

    With `wait` it answers when there is something to list, or with nothing after so many seconds.
    """
    query, viewer = look.request.query_params, look.viewer
    limit, wait_s = wire.limit_of(query), wire.seconds_of(query, "wait", 0.0)
    mails = await look.watch.mails(
        viewer, look.request, wire.filters_of(query), limit=limit, timeout_s=wait_s
    )
    total = await look.services.db.read(control.count_captured, viewer.organization_ids)
    following = to_uuid(mails[-1].id) if len(mails) == limit else None
    return _json({"mails": [wire.summary(mail) for mail in mails], "next": following, "total": total})


async def wait(look: Look) -> Response:
    """The newest mail that matches, in full, as soon as there is one; 404 after `timeout` seconds."""
    query = look.request.query_params
    timeout_s = wire.seconds_of(query, "timeout", wire.TIMEOUT_DEFAULT_S)
    mails = await look.watch.mails(
        look.viewer, look.request, wire.filters_of(query), limit=1, timeout_s=timeout_s
    )
    if not mails:
        raise NotFound(noun="mail yet")
    return await _in_full(look, mails[0].id)


async def get_mail(look: Look) -> Response:
    return await _in_full(look, _asked(look))


async def get_frame(look: Look) -> Response:
    """The HTML alone, for a sandboxed frame; `?images=1` lets it ask foreign hosts for its pictures."""
    _, body = await _found(look, _asked(look))
    parsed = await _parse(body)
    if parsed.html is None:
        raise NotFound(noun="HTML part")
    named = [part for part in parsed.parts if part.content_id]
    images = {part.content_id or "": Image(part.content_type, part.body) for part in named}
    document = await asyncio.to_thread(frame_of, parsed.html, images)
    allowed = look.request.query_params.get("images") == "1"
    headers = policy.FRAME_WITH_IMAGES if allowed else policy.FRAME
    return HTMLResponse(document.encode("utf-8", "replace"), headers=headers)


async def get_raw(look: Look) -> Response:
    """The bytes as they would have been sent."""
    mail, body = await _found(look, _asked(look))
    headers = {**policy.DOWNLOAD, "Content-Disposition": f'attachment; filename="{to_uuid(mail.id)}.eml"'}
    return Response(body, headers=headers, media_type="message/rfc822")


async def get_part(look: Look) -> Response:
    _, body = await _found(look, _asked(look))
    wanted = look.request.path_params["number"]
    for part in (await _parse(body)).parts:
        if str(part.number) == wanted:
            disposition = f"attachment; filename*=UTF-8''{quote(part.filename, safe='')}"
            described = {"Content-Disposition": disposition, "Content-Type": part.content_type}
            return Response(part.body, headers=policy.DOWNLOAD | described)
    raise NotFound(noun="part")


async def get_delivery(look: Look) -> Response:
    """What was tried and what happened since, openings and clicks included."""
    mail, _ = await _found(look, _asked(look))
    principal = look.viewer.principal_of(mail.organization_id)
    return _json(wire.delivery(await look.services.db.read(control.journey, principal, mail.message_id)))


async def delete_mail(look: Look) -> Response:
    look.viewer.principal.require(control.WRITE)
    ids = [_asked(look)]
    if not await look.services.db.write_first(control.delete_captured, look.viewer.organization_ids, ids):
        raise NotFound(noun="mail")
    return _json({"deleted": 1})


async def delete_all(look: Look) -> Response:
    look.viewer.principal.require(control.WRITE)
    deleted = 0
    for _ in range(CLEAR_ROUNDS_MAX):
        gone = await look.services.db.write_first(control.clear_captured, look.viewer.organization_ids)
        deleted += gone
        if not gone:
            break
    return _json({"deleted": deleted})


TABLE: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "/api/mails", list_mails),
    ("DELETE", "/api/mails", delete_all),
    ("GET", "/api/wait", wait),
    ("GET", "/api/mails/{id}", get_mail),
    ("DELETE", "/api/mails/{id}", delete_mail),
    ("GET", "/api/mails/{id}/html", get_frame),
    ("GET", "/api/mails/{id}/raw", get_raw),
    ("GET", "/api/mails/{id}/delivery", get_delivery),
    ("GET", "/api/mails/{id}/parts/{number}", get_part),
)


def routes(services: Services) -> list[Route]:
    watch = Watch(services)
    return [
        Route(path, _endpoint(services, watch, answer), methods=[method]) for method, path, answer in TABLE
    ]


def _endpoint(services: Services, watch: Watch, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        viewer = await viewer_of(services, request)
        viewer.principal.require(control.READ)
        return await answer(Look(services, watch, viewer, request))

    return endpoint


def _asked(look: Look) -> bytes:
    return wire.path_id(look.request.path_params["id"])


async def _found(look: Look, captured_id: bytes) -> tuple[Captured, bytes]:
    found = await look.services.db.read(control.one_captured, look.viewer.organization_ids, captured_id)
    if found is None:
        raise NotFound(noun="mail")
    return found


async def _in_full(look: Look, captured_id: bytes) -> Response:
    mail, body = await _found(look, captured_id)
    url = f"{look.request.scope.get('root_path', '')}/api/mails/{to_uuid(mail.id)}"
    return _json({"mail": wire.in_full(mail, await _parse(body), url)})


async def _parse(body: bytes) -> Mail:
    if len(body) <= PARSED_HERE_MAX_BYTES:
        return parse(body)
    return await asyncio.to_thread(parse, body)


def _json(value: dict[str, Any]) -> Response:
    return Response(json.dump_bytes(value), headers=policy.PRIVATE, media_type="application/json")
