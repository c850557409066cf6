"""Load: Postfix's smtp-source, submission with STARTTLS and AUTH, and HTTP over kept connections, each timed.

Every generator stops at the first answer that is not a success: a figure made of refusals is none.
"""

import asyncio
import base64
import itertools
import ssl
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field

import uvloop

from bench.peers import DOMAIN

SENDER = f"sender@{DOMAIN}"
RECIPIENT = "user@far.test"
PAYLOAD_BYTES = 4096
LOAD_TIMEOUT_S = 600.0
RESPONSE_MAX_BYTES = 1_000_000


class BadAnswer(Exception):
    """The server did not take what it was given."""


@dataclass(slots=True)
class Load:
    """What a generator saw: how long it took in all, and each answer's latency."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # of the answers, where they were asked for

    @property
    def rate(self) -> float:
        return len(self.latencies_ms) / self.seconds

    def percentile(self, percent: float) -> float:
        """In ms; nearest rank."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def smtp_source(port: int, count: int, connections: int) -> float:
    """Seconds until smtp-source has its last 250: kept connections, distinct recipients, 4 KB payload."""
    command = ["/usr/sbin/smtp-source", "-d", "-N", "-s", str(connections), "-m", str(count)]
    command += ["-l", str(PAYLOAD_BYTES), "-f", SENDER, "-t", RECIPIENT, f"127.0.0.1:{port}"]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_TIMEOUT_S)
    if done.returncode:
        raise BadAnswer(f"smtp-source: {done.stderr.strip()[-500:]}")
    return time.monotonic() - started


def submit(port: int, username: str, password: str, count: int, connections: int) -> Load:
    """Mails over STARTTLS and AUTH PLAIN on kept connections; MAIL, RCPT and DATA go out together."""
    return _timed(lambda load: _submit(load, port, _plain(username, password), count, connections))


def http(port: int, requests: Iterator[bytes], connections: int, *, keep_bodies: bool = False) -> Load:
    """Whole requests as bytes, each sent when the connection's previous answer is complete."""
    return _timed(lambda load: http_into(load, port, requests, connections, keep_bodies=keep_bodies))


async def http_into(
    load: Load, port: int, requests: Iterator[bytes], connections: int, *, keep_bodies: bool = False
) -> None:
    """As http, within a running loop, so that two loads can run side by side."""
    async with asyncio.timeout(LOAD_TIMEOUT_S), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_http_connection(load, port, requests, keep_bodies=keep_bodies))


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{_head(headers)}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def get(path: str, headers: dict[str, str] | None = None) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{_head(headers or {})}\r\n".encode()


def _head(headers: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _timed(run: Callable[[Load], Coroutine[None, None, None]]) -> Load:
    load = Load()
    started = time.monotonic()
    uvloop.run(run(load))
    load.seconds = time.monotonic() - started
    return load


async def _http_connection(load: Load, port: int, requests: Iterator[bytes], *, keep_bodies: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=RESPONSE_MAX_BYTES)
    for request in requests:
        started = time.monotonic()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_content_length(head))
        load.latencies_ms.append((time.monotonic() - started) * 1000)
        if head[9:10] not in b"23":
            raise BadAnswer((head[:64] + body[:500]).decode("utf-8", "replace"))
        if keep_bodies:
            load.bodies.append(body)
    writer.close()


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def _submit(load: Load, port: int, auth: bytes, count: int, connections: int) -> None:
    numbers = iter(range(count))
    async with asyncio.timeout(LOAD_TIMEOUT_S), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_submit_connection(load, port, auth, numbers))


async def _submit_connection(load: Load, port: int, auth: bytes, numbers: Iterator[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await _reply(reader, b"220")
    writer.write(b"EHLO load.test\r\n")
    await _reply(reader, b"250")
    writer.write(b"STARTTLS\r\n")
    await _reply(reader, b"220")
    await writer.start_tls(_trusting())
    writer.write(b"EHLO load.test\r\n")
    await _reply(reader, b"250")
    writer.write(b"AUTH PLAIN " + auth + b"\r\n")
    await _reply(reader, b"235")
    for number in numbers:
        started = time.monotonic()
        writer.write(b"MAIL FROM:<%b>\r\nRCPT TO:<%d%b>\r\nDATA\r\n" % (_SENDER, number, _RECIPIENT))
        for code in (b"250", b"250", b"354"):
            await _reply(reader, code)
        writer.write(_MAIL % (number, number))
        await _reply(reader, b"250")
        load.latencies_ms.append((time.monotonic() - started) * 1000)
    writer.close()


async def _reply(reader: asyncio.StreamReader, code: bytes) -> None:
    line = await reader.readuntil(b"\r\n")
    while line[3:4] == b"-":
        line = await reader.readuntil(b"\r\n")
    if not line.startswith(code):
        raise BadAnswer(line.decode("utf-8", "replace"))


def _plain(username: str, password: str) -> bytes:
    return base64.b64encode(f"\0{username}\0{password}".encode())


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the server signed for itself
    return context


def _text(octets: int) -> bytes:
    line = b"X" * 70 + b"\r\n"
    return b"".join(itertools.repeat(line, octets // len(line)))


_SENDER, _RECIPIENT = SENDER.encode(), RECIPIENT.encode()
_MAIL = (
    b"From: <%b>\r\nTo: <%%d%b>\r\nSubject: load\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
    b"Message-Id: <%%d@load.test>\r\n\r\n%b.\r\n" % (_SENDER, _RECIPIENT, _text(PAYLOAD_BYTES))
)
