"""/track/o, /track/c and the pages: a pixel always, a redirect only to links of the mail, a few questions.

These answer strangers at the pace of a campaign: no store is asked for a pixel, a click reads one row unless
its message was clicked a moment ago.
"""

import time
from collections import OrderedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from postrider.engine import content, engagement
from postrider.engine.engagement import Hit, HitKind, Target
from postrider.surfaces.common.services import Services, Unavailable
from postrider.surfaces.track.consent import Confirm, SignUp
from postrider.surfaces.track.optouts import Unsubscribe
from postrider.surfaces.track.preferences import Preferences
from postrider.surfaces.track.render import page
from postrider.surfaces.track.view import ViewInBrowser

GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
TARGETS_MAX = 10_000
TARGETS_KEPT_S = 60.0
AGENT_MAX_CHARS = 400
_NO_STORE = [
    (b"cache-control", b"no-store, no-cache, must-revalidate, private"),
    (b"pragma", b"no-cache"),
    (b"x-robots-tag", b"noindex"),
]
_GIF_HEADERS = [(b"content-type", b"image/gif"), (b"content-length", str(len(GIF)).encode()), *_NO_STORE]
_NOTHING = Response(status_code=204, headers={"Cache-Control": "no-store", "X-Robots-Tag": "noindex"})


class Pixel:
    """/track/o/{token} as a bare ASGI application: the busiest address there is."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = self._services.sealer.read_message_token(scope["path_params"]["token"].removesuffix(".gif"))
        if known is not None:
            self._services.intake.add(hit_of(scope, known, HitKind.OPEN, None))
        await send({"type": "http.response.start", "status": 200, "headers": _GIF_HEADERS})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else GIF})


class Click:
    """/track/c/{token}.{link}: recorded, then on its way; 404 for anything the message did not carry.

    The hidden link leads nowhere: 204, on which a browser stays where it is.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._targets: OrderedDict[bytes, tuple[float, Target | None]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token, _, index = scope["path_params"]["token"].rpartition(".")
        known = self._services.sealer.read_message_token(token)
        if known is None or not (index.isascii() and index.isdigit() and len(index) <= 5):
            await _not_found(scope, receive, send)
            return
        if int(index) == content.HIDDEN_LINK:
            self._services.intake.add(hit_of(scope, known, HitKind.HIDDEN, None))
            await _NOTHING(scope, receive, send)
            return
        target = await self._target(*known)
        url = target.link(int(index)) if target is not None else None
        if url is None:
            await _not_found(scope, receive, send)
            return
        self._services.intake.add(hit_of(scope, known, HitKind.CLICK, int(index)))
        await RedirectResponse(url, 302, {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"})(
            scope, receive, send
        )

    async def _target(self, organization_id: int, message_id: bytes) -> Target | None:
        kept = self._targets.get(message_id)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        target = await self._services.db.read(engagement.target_of, organization_id, message_id)
        self._targets[message_id] = (time.monotonic() + TARGETS_KEPT_S, target)
        if len(self._targets) > TARGETS_MAX:
            self._targets.popitem(last=False)
        return target


def hit_of(scope: Scope, known: tuple[int, bytes], kind: HitKind, link: int | None) -> Hit:
    agent = b""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent = value
            break
    client = scope.get("client")
    return Hit(
        organization_id=known[0],
        message_id=known[1],
        kind=kind,
        link=link,
        ip=client[0] if client else "",
        user_agent=agent[:AGENT_MAX_CHARS].decode("latin-1").replace("\x00", ""),
        method=scope["method"],
    )


def make(services: Services) -> Starlette:
    return Starlette(
        routes=[
            Route("/o/{token}", Pixel(services), methods=["GET", "HEAD"]),
            Route("/c/{token}", Click(services), methods=["GET", "HEAD"]),
            Route("/u/{token}", Unsubscribe(services).__call__, methods=["GET", "POST"]),
            Route("/v/{token}", ViewInBrowser(services).__call__, methods=["GET", "HEAD"]),
            Route("/p/{token}", Preferences(services).__call__, methods=["GET", "POST"]),
            Route("/f/{token}", SignUp(services).__call__, methods=["GET", "POST"]),
            Route("/confirm/{token}", Confirm(services).__call__, methods=["GET", "POST"]),
        ],
        exception_handlers={Unavailable: _unavailable},
    )


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await page("unknown.html", status=404)(scope, receive, send)


async def _unavailable(request: Request, error: Exception) -> Response:
    return PlainTextResponse("Try again shortly", 503, {"Retry-After": "5"})
