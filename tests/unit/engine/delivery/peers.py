"""Far ends for the client: a server that follows a script, on 127.0.0.1."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from postrider.engine.delivery.smtp import Connection, Failure, Timeouts, Tls

EHLO = b"250-mx.y.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000\r\n"
SHORT = Timeouts(
    connect=2, greeting=0.3, ehlo=0.3, tls=1, auth=0.3, command=0.3, block=0.3, end=0.3, quit=0.3
)
MAIL = b"From: a@x.example\r\nSubject: hi\r\n\r\nbody\r\n"


@dataclass
class Peer:
    """One accepted connection; `heard` holds every line the client wrote."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[bytes] = field(default_factory=list)

    def say(self, text: bytes) -> None:
        self.writer.write(text)

    async def hear(self, prefix: bytes = b"") -> bytes:
        """The next line; it must begin with `prefix`."""
        line = await self.reader.readline()
        self.heard.append(line)
        assert line.startswith(prefix), (prefix, self.heard)
        return line

    async def hear_mail(self) -> bytes:
        mail = await self.reader.readuntil(b"\r\n.\r\n")
        self.heard.append(mail)
        return mail

    async def greet(self, extensions: bytes = EHLO) -> None:
        self.say(b"220 mx.y.example ESMTP\r\n")
        await self.hear(b"EHLO me.example\r\n")
        self.say(extensions)

    async def envelope(self, *replies: bytes) -> None:
        """Hear MAIL, RCPT, DATA as they come in one write, and answer them together."""
        for _ in replies:
            await self.hear()
        self.say(b"".join(reply + b"\r\n" for reply in replies))


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class Scripted:
    port: int
    peers: list[Peer] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)


@asynccontextmanager
async def scripted(
    *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Scripted]:
    """A server whose n-th connection plays the n-th script, and hangs up at its end."""
    found = Scripted(0)
    waiting = list(scripts)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        found.peers.append(peer)
        try:
            await waiting.pop(0)(peer)
            await writer.drain()
        except (AssertionError, IndexError) as fault:
            found.faults.append(fault)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            writer.close()

    server = await asyncio.start_server(accept, host, port, ssl=tls, limit=1 << 26)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await asyncio.sleep(0.01)  # the last connection_lost
    assert not found.faults, found.faults


async def connect(server: Scripted, **options: object) -> Connection:
    opened = await try_connect(server, **options)
    assert isinstance(opened, Connection), opened
    return opened


async def try_connect(server: Scripted, **options: object) -> Connection | Failure:
    given: dict[str, object] = {"tls": Tls.NEVER, "timeouts": SHORT, **options}
    return await Connection.open("127.0.0.1", server.port, hostname="me.example", **given)  # type: ignore[arg-type]
