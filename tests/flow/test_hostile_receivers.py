"""Receivers of webhooks that hang, drip, flood, redirect inside or fail: none harms another, nor the node."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.factories import Running, running_node
from tests.flow.hooks import Receiver
from tests.flow.world import post, until

from postrider.engine.webhooks import replay
from postrider.engine.webhooks.deliver import ANSWER_MAX_CHARS, POSTS_AT_ONCE

MAILS = 60
ARRIVED_MAX_S = 10.0  # of all posts to the receiver that behaves: far less than any time-out here
FLOOD_BYTES = 10 * 1024 * 1024
PART = b"x" * 65_536
GROWTH_MAX_BYTES = 100 * 1024 * 1024  # a tenth of what the floods of one round would take
SETTLES_MAX_S = 20.0


class Hostile:
    """A server that answers by path; `asked` counts requests by path, `flooded` the bytes that were taken."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.flooded = 0
        self._held: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Hostile":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._held:
            writer.close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._held.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            self.asked[path] += 1
            await self._answer(path, writer)
        writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        match path:
            case "/hang":
                await asyncio.sleep(120)
            case "/drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.1)
            case "/flood":
                writer.write(b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n" % FLOOD_BYTES)
                for _ in range(FLOOD_BYTES // len(PART)):
                    writer.write(PART)
                    await writer.drain()
                    self.flooded += len(PART)
            case "/redirect":
                inside = f"HTTP/1.1 307 Go\r\nLocation: {self.url('/inside')}\r\nContent-Length: 0\r\n\r\n"
                writer.write(inside.encode())
            case _:
                writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno")


@pytest.fixture
async def running(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running:
        yield running


async def test_hostile_receivers_harm_nobody(running: Running) -> None:
    paths = ("/hang", "/drip", "/flood", "/redirect", "/fail")
    async with Hostile() as hostile, Receiver() as receiver:
        for url in (*map(hostile.url, paths), receiver.url()):
            made = await post(running, "customer/webhooks", {"url": url, "events": ["email.delivered"]})
            assert made.status_code in (200, 201), made.text
        before = resident_bytes()
        for _ in range(MAILS):
            answer = await post(running, "send", {"to": "ann@example.com", "subject": "Hi", "text": "Hi"})
            assert answer.status_code == 200, "sending goes on"
        async with asyncio.timeout(ARRIVED_MAX_S):
            await receiver.until(MAILS)
        await until(lambda: flooded(running), "the floods were answered", timeout_s=SETTLES_MAX_S)
        assert resident_bytes() - before < GROWTH_MAX_BYTES
        assert hostile.flooded < hostile.asked["/flood"] * FLOOD_BYTES, (
            "what comes after the beginning is left"
        )
        assert hostile.asked["/inside"] == 0
        assert {path: hostile.asked[path] >= 1 for path in paths} == dict.fromkeys(paths, True)
        assert hostile.asked["/hang"] <= POSTS_AT_ONCE
        assert len(receiver.got) == MAILS, "each once"


async def flooded(running: Running) -> bool:
    """Whether a post to /flood was settled, with no more of its answer than the log keeps."""

    attempts = await running.database.read(lambda tx: replay.browse(tx, running.principal, limit=200))
    endpoints = await running.database.read(replay.endpoints_of, running.principal)
    ids = {each.id for each in endpoints if each.url.endswith("/flood")}
    answers = [attempt.answer or "" for attempt in attempts if attempt.endpoint_id in ids]
    return bool(answers) and max(map(len, answers)) <= ANSWER_MAX_CHARS


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
