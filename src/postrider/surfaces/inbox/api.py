"""/inbox/api: captured mail listed, read, downloaded, waited for and deleted; what tests of mail ask."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from postrider.engine.delivery import control
from postrider.engine.delivery.control import Captured
from postrider.engine.errors import Busy, NotFound
from postrider.kit import clock, json
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.services import Services
from postrider.surfaces.inbox import policy, wire
from postrider.surfaces.inbox.html import Image, frame_of
from postrider.surfaces.inbox.parse import Mail, parse
from postrider.surfaces.inbox.viewer import Viewer, viewer_of

WAITS_MAX = 64  # at one time, in this process
POLL_S = 0.1
LATE_MS = 10 * clock.SECOND  # a mail may become visible this long after its id was made
PARSED_HERE_MAX_BYTES = 64 * 1024  # larger ones are read in a thread
CLEAR_ROUNDS_MAX = 1_000

Answer = Callable[[Services, Viewer, Request], Awaitable[Response]]


async def list_mails(services: Services, viewer: Viewer, request: Request) -> Response:
    """Newest first; `next` is the `before` of the following page; `total` counts all, whatever the filter."""
    filters, limit = wire.filters_of(request.query_params), wire.limit_of(request.query_params)
    mails = await services.db.read(control.list_captured, viewer.organization_ids, limit=limit, **filters)
    total = await services.db.read(control.count_captured, viewer.organization_ids)
    after = to_uuid(mails[-1].id) if len(mails) == limit else None
    return _json({"mails": [wire.summary(mail) for mail in mails], "next": after, "total": total})


async def get_mail(services: Services, viewer: Viewer, request: Request) -> Response:
    mail, parsed = await _parsed(services, viewer, request)
    return _json({"mail": wire.in_full(mail, parsed, _url(request, mail))})


async def get_frame(services: Services, viewer: Viewer, request: Request) -> Response:
    """The HTML alone, for a sandboxed frame; `?images=1` lets it ask foreign hosts for its pictures."""
    _, parsed = await _parsed(services, viewer, request)
    if parsed.html is None:
        raise NotFound(noun="HTML part")
    named = [part for part in parsed.parts if part.content_id]
    images = {part.content_id or "": Image(part.content_type, part.body) for part in named}
    document = await asyncio.to_thread(frame_of, parsed.html, images)
    allowed = request.query_params.get("images") == "1"
    body = document.encode("utf-8", "replace")
    return HTMLResponse(body, headers=policy.FRAME_WITH_IMAGES if allowed else policy.FRAME)


async def get_raw(services: Services, viewer: Viewer, request: Request) -> Response:
    """The bytes as they would have been sent."""
    mail, body = await _found(services, viewer, request)
    headers = {**policy.DOWNLOAD, "Content-Disposition": f'attachment; filename="{to_uuid(mail.id)}.eml"'}
    return Response(body, headers=headers, media_type="message/rfc822")


async def get_part(services: Services, viewer: Viewer, request: Request) -> Response:
    _, parsed = await _parsed(services, viewer, request)
    wanted = request.path_params["number"]
    for part in parsed.parts:
        if str(part.number) == wanted:
            disposition = f"attachment; filename*=UTF-8''{quote(part.filename, safe='')}"
            described = {"Content-Disposition": disposition, "Content-Type": part.content_type}
            return Response(part.body, headers=policy.DOWNLOAD | described)
    raise NotFound(noun="part")


async def get_delivery(services: Services, viewer: Viewer, request: Request) -> Response:
    """What was tried and what happened since, openings and clicks included."""
    mail, _ = await _found(services, viewer, request)
    principal = viewer.principal_of(mail.organization_id)
    return _json(wire.delivery(await services.db.read(control.journey, principal, mail.message_id)))


async def delete_mail(services: Services, viewer: Viewer, request: Request) -> Response:
    viewer.principal.require(control.WRITE)
    captured_id = wire.path_id(request.path_params["id"])
    if not await services.db.write_first(control.delete_captured, viewer.organization_ids, [captured_id]):
        raise NotFound(noun="mail")
    return _json({"deleted": 1})


async def delete_all(services: Services, viewer: Viewer, request: Request) -> Response:
    viewer.principal.require(control.WRITE)
    deleted = 0
    for _ in range(CLEAR_ROUNDS_MAX):
        gone = await services.db.write_first(control.clear_captured, viewer.organization_ids)
        deleted += gone
        if not gone:
            break
    return _json({"deleted": deleted})


class Wait:
    """Answers as soon as a matching mail is there: the newest, in full; NotFound after `timeout` seconds."""

    def __init__(self) -> None:
        self._waiting = 0

    async def __call__(self, services: Services, viewer: Viewer, request: Request) -> Response:
        filters, timeout = wire.filters_of(request.query_params), wire.timeout_of(request.query_params)
        if self._waiting >= WAITS_MAX:
            raise Busy
        self._waiting += 1
        try:
            mail = await self._wait(services, viewer, request, filters, timeout)
        finally:
            self._waiting -= 1
        found = await services.db.read(control.one_captured, viewer.organization_ids, mail.id)
        if found is None:  # deleted meanwhile
            raise NotFound(noun="mail")
        return _json({"mail": wire.in_full(mail, await _parse(found[1]), _url(request, mail))})

    async def _wait(
        self, services: Services, viewer: Viewer, request: Request, filters: dict[str, Any], timeout: float
    ) -> Captured:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while True:
            looked_at = clock.now_ms()
            mails = await services.db.read(control.list_captured, viewer.organization_ids, limit=1, **filters)
            if mails:
                return mails[0]
            if loop.time() >= end or await request.is_disconnected():
                raise NotFound(noun="mail yet")
            # What was not there need not be looked through again.
            floor = wire.first_id_at(looked_at - LATE_MS)
            filters["after"] = max(filters["after"] or floor, floor)
            await asyncio.sleep(POLL_S)


def routes(services: Services) -> list[Route]:
    table: tuple[tuple[str, str, Answer], ...] = (
        ("GET", "/api/mails", list_mails),
        ("DELETE", "/api/mails", delete_all),
        ("GET", "/api/wait", Wait()),
        ("GET", "/api/mails/{id}", get_mail),
        ("DELETE", "/api/mails/{id}", delete_mail),
        ("GET", "/api/mails/{id}/html", get_frame),
        ("GET", "/api/mails/{id}/raw", get_raw),
        ("GET", "/api/mails/{id}/delivery", get_delivery),
        ("GET", "/api/mails/{id}/parts/{number}", get_part),
    )
    return [Route(path, _endpoint(services, answer), methods=[method]) for method, path, answer in table]


def _endpoint(services: Services, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        viewer = await viewer_of(services, request)
        viewer.principal.require(control.READ)
        return await answer(services, viewer, request)

    return endpoint


async def _found(services: Services, viewer: Viewer, request: Request) -> tuple[Captured, bytes]:
    captured_id = wire.path_id(request.path_params["id"])
    found = await services.db.read(control.one_captured, viewer.organization_ids, captured_id)
    if found is None:
        raise NotFound(noun="mail")
    return found


async def _parsed(services: Services, viewer: Viewer, request: Request) -> tuple[Captured, Mail]:
    mail, body = await _found(services, viewer, request)
    return mail, await _parse(body)


async def _parse(body: bytes) -> Mail:
    if len(body) <= PARSED_HERE_MAX_BYTES:
        return parse(body)
    return await asyncio.to_thread(parse, body)


def _url(request: Request, mail: Captured) -> str:
    return f"{request.scope.get('root_path', '')}/api/mails/{to_uuid(mail.id)}"


def _json(value: dict[str, Any]) -> Response:
    return Response(json.dump_bytes(value), headers=policy.PRIVATE, media_type="application/json")
