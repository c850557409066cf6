"""A receiver of webhooks that keeps what it got, answers as told, or hangs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from postrider.kit import json


@dataclass(frozen=True)
class Got:
    """One request as it came."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """`async with Receiver() as receiver:`; `answer` may be changed while it runs."""

    answer: Callable[[Got], tuple[int, dict[str, str], bytes]] = lambda got: (200, {}, b"ok")
    got: list[Got] = field(default_factory=list)
    hanging: set[str] = field(default_factory=set)  # paths that never answer
    port: int = 0
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Got]:
        return [got for got in self.got if got.path == path]

    async def until(self, count: int, path: str = "/hook") -> list[Got]:
        return await self.when(lambda got: len(got) >= count, path)

    async def when(self, is_enough: Callable[[list[Got]], bool], path: str = "/hook") -> list[Got]:
        """What came to a path, as soon as it is enough."""
        async with asyncio.timeout(15), self._came:
            await self._came.wait_for(lambda: is_enough(self.at(path)))
        return self.at(path)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Got(request.path, headers, await request.read())
        async with self._came:
            self.got.append(got)
            self._came.notify_all()
        if request.path in self.hanging:
            await asyncio.sleep(60)
        status, more, body = self.answer(got)
        return web.Response(status=status, headers=more, body=body)
