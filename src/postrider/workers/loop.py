"""The loop every worker shares: do a round, wait for a wake or a while, survive faults, stop when asked."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from postrider.db.database import Unavailable

FAULT_PAUSE_S = 1.0
FAULT_PAUSE_MAX_S = 5.0  # far shorter than a lease: it must be renewed once the store is back
_log = structlog.get_logger("worker")


class Loop:
    """Runs `once` until stopped; `once` answers whether there is more to do at once.

    Between two rounds it rests `rest_s` at least, so that wakes close together make one round of them.
    """

    def __init__(
        self, name: str, once: Callable[[], Awaitable[bool]], *, idle_s: float, rest_s: float = 0.0
    ) -> None:
        self.name = name
        self._once = once
        self._idle_s = idle_s
        self._rest_s = rest_s
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        self.stopping = False
        self.faults = 0

    def wake(self) -> None:
        """There may be work: do not sit the idle time out."""
        self._woken.set()

    def stop(self) -> None:
        self.stopping = True
        self._stopped.set()
        self._woken.set()

    async def run(self) -> None:
        pause_s = FAULT_PAUSE_S
        while not self.stopping:
            self._woken.clear()
            try:
                more = await self._once()
                pause_s = FAULT_PAUSE_S
            except Unavailable as lost:
                _log.warning("store_unavailable", loop=self.name, reason=str(lost))
                more, pause_s = False, await self._rest(pause_s)
            except Exception:
                self.faults += 1
                _log.exception("worker_fault", loop=self.name)
                more, pause_s = False, await self._rest(pause_s)
            if not more and not self.stopping:
                await _wait(self._woken, self._idle_s)
                await asyncio.sleep(self._rest_s)

    async def _rest(self, pause_s: float) -> float:
        """Work that comes meanwhile waits, an end does not."""
        await _wait(self._stopped, pause_s)
        return min(pause_s * 2, FAULT_PAUSE_MAX_S)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
