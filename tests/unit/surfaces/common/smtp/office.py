"""A backend that keeps what it is given, a server in front of it, and a client that speaks line by line."""

import asyncio
import ssl
from dataclasses import dataclass, field

from postrider.surfaces.common.smtp.backend import Envelope, Refusal, Reply
from postrider.surfaces.common.smtp.options import SmtpOptions
from postrider.surfaces.common.smtp.server import SmtpServer

QUEUED = Reply(250, "2.0.0", "Queued")


@dataclass
class Office:
    """`anna` with `secret` may send; `gate`, when there, is awaited before a message is taken."""

    trust: bool = True
    reply: Reply = QUEUED
    error: BaseException | None = None
    gate: asyncio.Event | None = None
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[tuple[str, str, str, str | None]] = field(default_factory=list)
    submitting: asyncio.Event = field(default_factory=asyncio.Event)

    async def authenticate(
        self, username: str, password: str, peer: str, tls_server_name: str | None
    ) -> str | None:
        self.logins.append((username, password, peer, tls_server_name))
        return username if (username, password) == ("anna", "secret") else None

    async def trusted(self, peer_ip: str) -> str | None:
        return "trusted" if self.trust else None

    def check_sender(self, session: str, address: str) -> Refusal | None:
        if address == "boom@x.test":
            raise RuntimeError("boom")
        return Reply(553, "5.7.1", "Not yours") if address in ("", "other@x.test") else None

    def check_recipient(self, session: str, address: str) -> Refusal | None:
        return Reply(550, "5.1.1", "Unknown\r\nhere") if address.startswith("nobody") else None

    async def submit(self, session: str, envelope: Envelope) -> Reply:
        self.submitting.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.envelopes.append(envelope)
        return self.reply


@dataclass
class Client:
    """A raw client on asyncio's streams."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def reply(self) -> str:
        """One reply, its lines joined with \\n, without CRLF; "" when the server has hung up."""
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def say(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return await self.reply()

    async def open_data(self, sender: str = "a@x.test", recipient: str = "b@y.test") -> None:
        """Up to and including the 354."""
        self.send(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
        replies = [await self.reply() for _ in range(3)]
        assert replies[2].startswith("354"), replies

    async def starttls(self, context: ssl.SSLContext, name: str = "localhost") -> None:
        assert (await self.say("STARTTLS")).startswith("220 2.0.0")
        await self.writer.start_tls(context, server_hostname=name)

    async def closed(self) -> bool:
        """Has the server hung up?"""
        try:
            return await asyncio.wait_for(self.reader.read(), 10) == b""
        except ConnectionError:
            return True


@dataclass
class Counter:
    """Servers and clients of one test, all ended with it."""

    servers: list[SmtpServer[str]] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    port: int = 0

    async def serve(
        self, office: Office, options: SmtpOptions | None = None, context: ssl.SSLContext | None = None
    ) -> SmtpServer[str]:
        server = SmtpServer(office, options or SmtpOptions(hostname="mx.test"), context)
        self.port = await server.start("127.0.0.1", 0)
        self.servers.append(server)
        return server

    async def connect(self) -> Client:
        """Connected, the greeting not read."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def greeted(self) -> Client:
        """Connected, greeted, after EHLO."""
        client = await self.connect()
        assert (await client.reply()).startswith("220 mx.test ESMTP")
        await client.say("EHLO client.test")
        return client

    async def close(self) -> None:
        for client in self.clients:
            client.writer.transport.abort()
        for server in self.servers:
            await server.stop(0.5)
            assert server.connections == 0
