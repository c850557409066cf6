"""/track/u/{token}: asked on GET, done on POST, with a way back; a POST of List-Unsubscribe is RFC 8058's."""

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from postrider.engine import engagement
from postrider.engine.engagement import Back, Visit
from postrider.engine.suppression import Source
from postrider.surfaces.common.body import read_body
from postrider.surfaces.common.services import Services
from postrider.surfaces.track.render import page

FORM_MAX_BYTES = 4_096
ACTION, RESUBSCRIBE = "action", "resubscribe"


class Unsubscribe:
    """GET and HEAD change nothing: programs that follow every link of a mail unsubscribe nobody."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Response:
        db = self._services.db
        known = self._services.sealer.read_message_token(request.path_params["token"])
        visit = None if known is None else await db.read(engagement.visit_of, *known)
        if known is None or visit is None:
            return page("unknown.html", status=404)
        if request.method != "POST":
            return _shown("done.html" if visit.is_out else "ask.html", visit)
        ip = request.client.host if request.client else ""
        form = parse_qs((await read_body(request, FORM_MAX_BYTES)).decode("utf-8", "replace"))
        if form.get("List-Unsubscribe") == ["One-Click"]:
            await db.write_first(engagement.unsubscribe, *known, source=Source.ONE_CLICK.value, ip=ip)
            return PlainTextResponse("Unsubscribed")
        if form.get(ACTION) == [RESUBSCRIBE]:
            back = await db.write_first(engagement.resubscribe, *known)
            return _shown("back.html" if back is Back.SUBSCRIBED else "still.html", visit)
        await db.write_first(engagement.unsubscribe, *known, source=Source.LINK.value, ip=ip)
        return _shown("done.html", visit)


def _shown(name: str, visit: Visit) -> Response:
    return page(name, recipient=visit.recipient, sender=visit.sender, color=visit.color)
