"""The inbox as an application to mount at /inbox: its page and its JSON."""

from collections.abc import Sequence

from starlette.applications import Starlette

from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.inbox import api
from postrider.surfaces.inbox.errors import HANDLERS
from postrider.surfaces.inbox.page import Pages


def make(services: Services, surfaces: Sequence[Surface] = ()) -> Starlette:
    """`surfaces` lend the empty inbox a line that sends a first mail."""
    return Starlette(
        routes=[*api.routes(services), *Pages(services, surfaces).routes()], exception_handlers=HANDLERS
    )
