"""/track/v/{token}: a mail as a page, as far as it offers that and is still kept; asking changes nothing.

Made for one reader by a link that only his mail has: nothing between may keep it, no search engine lists it.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from postrider.engine import content
from postrider.engine.content import View
from postrider.engine.errors import TemplateFault
from postrider.surfaces.common.frame import Image, frame_of, open_policy
from postrider.surfaces.common.services import Services
from postrider.surfaces.track.render import page

_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": open_policy(framed_by="'none'"),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


class ViewInBrowser:
    """404 for what no mail names, 410 for a mail whose body has gone."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Response:
        token = request.path_params["token"]
        known = self._services.sealer.read_message_token(token)
        view = None if known is None else await self._services.db.read(content.view_of, *known)
        if view is None:
            return page("unknown.html", status=404)
        if view.parts is None:
            return page("gone.html", status=410, sender=view.sender, color=view.color)
        try:
            document = await asyncio.to_thread(_document, view, self._services.base_url, token)
        except TemplateFault:  # then its mail was not composed either
            return page("unknown.html", status=404)
        return HTMLResponse(document, headers=_HEADERS)


def _document(view: View, base_url: str, token: str) -> bytes:
    images = {file.cid.strip("<>"): Image(file.content_type, file.body) for file in view.images if file.cid}
    return frame_of(view.html(tracking_url=base_url, token=token), images).encode("utf-8", "replace")
