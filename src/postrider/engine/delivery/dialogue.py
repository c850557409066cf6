"""One TCP connection that asks and hears: replies in, bytes out, each wait limited. It knows no commands."""

import asyncio
from dataclasses import dataclass
from typing import cast

from postrider.engine.delivery.replies import MalformedReply, Reply, ReplyReader

UNREAD_REPLIES_MAX = 128
CHUNK_BYTES = 256 * 1024
TIMED_OUT = "timed out"
CLOSED = "connection closed by the peer"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait at each stage (RFC 5321 4.5.3.2)."""

    connect: float = 30
    greeting: float = 300
    ehlo: float = 300
    tls: float = 60
    auth: float = 120
    command: float = 300  # RSET, MAIL, RCPT, DATA; for the whole of a pipelined group
    block: float = 180  # for the peer to take 256 kB
    end: float = 600  # from the last byte of the mail to its answer
    quit: float = 2


class Dialogue(asyncio.Protocol):
    """`lost` says why it is over, or is None; nothing here raises for what the peer does."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost: str | None = None
        self._reader = ReplyReader()
        self._replies: list[Reply] = []
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = 0
        self._is_paused = self._awaits_room = self._is_gone = False
        self._loop = asyncio.get_running_loop()

    @property
    def has_unread(self) -> bool:
        return bool(self._replies) or not self._reader.is_between_replies

    def write(self, data: bytes | memoryview) -> None:
        if self.lost is None and self.transport is not None:
            self.transport.write(data)

    async def hear(self, count: int, seconds: float) -> list[Reply]:
        """The next `count` replies; fewer where the connection is lost (a time-out loses it)."""
        if len(self._replies) < count and self.lost is None:
            await self._wait(count, seconds)
        heard = self._replies[:count]
        del self._replies[:count]
        return heard

    async def write_all(self, data: bytes, seconds: float) -> bool:
        """Write as fast as the peer reads, `seconds` a block; False where it answers or leaves midway."""
        if len(data) <= CHUNK_BYTES:
            self.write(data)
            return self.lost is None
        view = memoryview(data)
        for at in range(0, len(data), CHUNK_BYTES):
            if self._is_paused:
                self._awaits_room = True
                await self._wait(1, seconds)
                self._awaits_room = False
            if self.lost is not None or self._replies or self._is_paused:
                return False
            self.write(view[at : at + CHUNK_BYTES])
        return True

    @property
    def peer_ip(self) -> str | None:
        peer = self.transport.get_extra_info("peername") if self.transport is not None else None
        return str(peer[0]) if peer else None

    async def close(self, seconds: float) -> None:
        """Disconnect once all that was written is on its way; with TLS that takes the peer's goodbye."""
        if self.lost is None:
            self.lost = "closed"
        if self.transport is not None and not self._is_gone:
            self.transport.close()
            await self._wait(UNREAD_REPLIES_MAX + 1, seconds)

    def abort(self, reason: str) -> None:
        if self.lost is None:
            self.lost = reason
        if self.transport is not None:
            self.transport.abort()
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it

    def data_received(self, data: bytes) -> None:
        try:
            self._replies += self._reader.feed(data)
        except MalformedReply as error:
            self.abort(str(error))
            return
        if len(self._replies) > UNREAD_REPLIES_MAX:
            self.abort("more replies than commands")
        elif len(self._replies) >= self._wanted:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_gone = True
        if self.lost is None:
            self.lost = CLOSED if exc is None else f"{CLOSED}: {exc}"
        self._wake()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._awaits_room:
            self._wake()

    async def _wait(self, count: int, seconds: float) -> None:
        assert self._waiter is None, "one speaker to a connection"
        self._waiter, self._wanted = self._loop.create_future(), count
        timer = self._loop.call_later(seconds, self.abort, TIMED_OUT)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
