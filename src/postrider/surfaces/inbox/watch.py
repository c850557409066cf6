"""Waiting for captured mail: looks again every POLL_S until some matches. Refuses more than WAITS_MAX."""

import asyncio
from typing import Any

from starlette.requests import Request

from postrider.engine.delivery import control
from postrider.engine.delivery.control import Captured
from postrider.engine.errors import Busy
from postrider.kit import clock
from postrider.surfaces.common.services import Services
from postrider.surfaces.inbox.viewer import Viewer
from postrider.surfaces.inbox.wire import first_id_at

WAITS_MAX = 64  # at one time, in this process
POLL_S = 0.1
LATE_MS = 10 * clock.SECOND  # a mail may become visible this long after its id was made


class Watch:
    """One for the process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting = 0

    async def mails(
        self, viewer: Viewer, request: Request, filters: dict[str, Any], *, limit: int, timeout_s: float
    ) -> list[Captured]:
        """The newest that match, as soon as there are any; none after `timeout_s`, or when nobody listens."""
        found = await self._look(viewer, filters, limit)
        if found or not timeout_s:
            return found
        if self._waiting >= WAITS_MAX:
            raise Busy
        self._waiting += 1
        try:
            return await self._wait(viewer, request, dict(filters), limit, timeout_s)
        finally:
            self._waiting -= 1

    async def _wait(
        self, viewer: Viewer, request: Request, filters: dict[str, Any], limit: int, timeout_s: float
    ) -> list[Captured]:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        looked_at = clock.now_ms()
        while loop.time() < end and not await request.is_disconnected():
            await asyncio.sleep(POLL_S)
            # What was not there need not be looked through again.
            floor = first_id_at(looked_at - LATE_MS)
            filters["after"] = max(filters["after"] or floor, floor)
            looked_at = clock.now_ms()
            if found := await self._look(viewer, filters, limit):
                return found
        return []

    async def _look(self, viewer: Viewer, filters: dict[str, Any], limit: int) -> list[Captured]:
        return await self._services.db.read(
            control.list_captured, viewer.organization_ids, limit=limit, **filters
        )
