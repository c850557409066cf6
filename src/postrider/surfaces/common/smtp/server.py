"""An SMTP server: listens, keeps the deadlines of all its connections, stops with grace."""

import asyncio
import ssl
from functools import partial
from typing import Generic

from postrider.surfaces.common.smtp.backend import Backend, S
from postrider.surfaces.common.smtp.options import SmtpOptions
from postrider.surfaces.common.smtp.protocol import Connection
from postrider.surfaces.common.smtp.shared import Counters, Shared

BACKLOG = 1_024
SWEEP_MAX_S = 1.0  # how late a deadline may be noticed
CUT_S = 5.0  # for what was cut to come to its end


class SmtpServer(Generic[S]):
    """Without `ssl_context` STARTTLS is not offered. Runs on asyncio and uvloop alike."""

    def __init__(
        self, backend: Backend[S], options: SmtpOptions, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._shared: Shared[S] = Shared(backend, options, ssl_context)
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        # One timer for all: a timer per command would cost more than the command.
        self._sweep_s = min(SWEEP_MAX_S, options.idle_s / 4, options.data_idle_s / 4, options.backend_s / 4)

    @property
    def connections(self) -> int:
        """How many clients there are now."""
        return len(self._shared.connections)

    @property
    def counters(self) -> Counters:
        return self._shared.counters

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (`port` 0 picks a free one); may be called once for each address."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(partial(Connection, self._shared), host, port, backlog=BACKLOG)
        self._listeners.append(listener)
        if self._timer is None:
            self._timer = loop.call_later(self._sweep_s, self._sweep)
        return int(listener.sockets[0].getsockname()[1])

    async def stop(self, timeout_s: float) -> None:
        """Listen no more, 421 to the idle, let open transactions end for up to `timeout_s`, then cut them."""
        shared = self._shared
        shared.stopping = True
        for listener in self._listeners:
            listener.close()
        for connection in list(shared.connections):
            connection.drain()
        if not await self._emptied(timeout_s):
            for connection in list(shared.connections):
                connection.cut()
            await self._emptied(CUT_S)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._listeners.clear()

    async def _emptied(self, timeout_s: float) -> bool:
        shared = self._shared
        shared.empty.clear()
        if not shared.connections:
            return True
        try:
            await asyncio.wait_for(shared.empty.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._shared.connections):
            connection.expire(now)
        self._timer = loop.call_later(self._sweep_s, self._sweep)
