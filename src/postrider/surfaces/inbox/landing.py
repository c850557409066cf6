"""The page at the root of the web server: what runs here, and where to go."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.inbox.page import Pages

INBOX = "/inbox"  # where the inbox is mounted: style sheet and icon are its own


def landing(services: Services, surfaces: Sequence[Surface] = ()) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for `/`; `surfaces` are named with their addresses."""
    pages = Pages(services, surfaces)

    async def page(request: Request) -> Response:
        return pages.render("landing.html", root=INBOX, services=services, surfaces=surfaces)

    return page
