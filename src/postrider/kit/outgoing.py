"""HTTP to addresses that customers name: the one client that may leave for them, guarded.

It goes to the public internet only, checked for the very address of each connection, so that no name,
spelling or rebinding leads inside. It follows no redirect, keeps no cookie, asks no proxy and reads no long
answer. What the far end or the network does is a value.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from ipaddress import ip_address
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from postrider.kit.dns import Resolver
from postrider.kit.networks import is_public
from postrider.kit.record import record

URL_MAX_CHARS = 2_000
ANSWER_MAX_BYTES = 64 * 1024
HEADERS_MAX = 20  # of an answer, that are kept
HEADER_MAX_CHARS = 200  # of a name or a value
CONNECT_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 15.0
CONNECTIONS_MAX = 2_000
ADDRESSES_MAX = 8  # of one name that are tried
LOCALHOST = ("127.0.0.1", "::1")


class Fault(StrEnum):
    """Why there is no answer, as it is told to the customer: nothing of the inside shows in it."""

    ADDRESS = "the address is not on the public internet"
    NAME = "the host name does not resolve"
    TIMEOUT = "no answer in time"
    TLS = "the TLS certificate or handshake is not valid"
    CONNECTION = "the connection failed"
    PROTOCOL = "the answer is not HTTP"


@record
class Answer:
    """What came of one request: a status with the first ANSWER_MAX_BYTES of its body, or a fault.

    `headers` are the first HEADERS_MAX, as they were spelled, but for cookies.
    """

    status: int | None
    body: bytes
    duration_ms: int
    fault: Fault | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class BadUrl(ValueError):
    """A URL that nothing is sent to; its text says why."""


class _NotPublic(OSError):
    pass


def check_url(url: str, *, allow_private: bool, allow_plain: bool = False) -> None:
    """Raises BadUrl for what is refused before any look-up.

    That is: another scheme than https (or http, where `allow_plain` or `allow_private`), credentials in it,
    and, without `allow_private`, an address or localhost that leads inside. Names are seen to on connecting.
    """
    if len(url) > URL_MAX_CHARS or not url.isascii() or not url.isprintable() or " " in url:
        raise BadUrl(f"a URL has at most {URL_MAX_CHARS} printable ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadUrl("this is not a URL") from None
    if parts.scheme not in (("https", "http") if allow_plain or allow_private else ("https",)):
        raise BadUrl("the URL must start with https://")
    if not host or port == 0:
        raise BadUrl("the URL has no host")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("the URL must not carry credentials")
    if not allow_private and not _may_be_public(host):
        raise BadUrl(str(Fault.ADDRESS))


class Outgoing:
    """One client for the process. `allow_private` lets it go inside: for tests and closed networks."""

    def __init__(self, resolver: Resolver, *, allow_private: bool = False) -> None:
        self.allow_private = allow_private
        self._names = _Names(resolver)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """POST it and read the answer, all within `timeout_s`; never raises for what the network does."""
        started = time.monotonic()
        status: int | None = None
        read = b""
        fault: Fault | None = None
        said: Mapping[str, str] = {}
        try:
            check_url(url, allow_private=self.allow_private, allow_plain=True)
            async with (
                asyncio.timeout(timeout_s),
                self._client().post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                read = await _read(response)
                status, said = response.status, _headers(response)
        except (OSError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            fault = _fault(error)
        return Answer(status, read, int((time.monotonic() - started) * 1000), fault, said)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._names,
                use_dns_cache=False,  # the resolver has one
                socket_factory=self._socket,
                limit=CONNECTIONS_MAX,
                keepalive_timeout=KEEP_ALIVE_S,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,  # a small answer must not become a large one
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            )
        return self._session

    def _socket(self, found: Any) -> socket.socket:
        """The last gate: every connection is made through it, with the address it goes to."""
        family, kind, protocol, _, address = found
        if not self.allow_private and not is_public(_literal(address)):
            raise _NotPublic(str(Fault.ADDRESS))
        return socket.socket(family, kind, protocol)


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    said = ((name, value) for name, value in response.headers.items() if name.lower() != "set-cookie")
    first = islice(said, HEADERS_MAX)
    return {_plain(name)[:HEADER_MAX_CHARS]: _plain(value)[:HEADER_MAX_CHARS] for name, value in first}


def _plain(text: str) -> str:
    """Without the halves of characters that stand for octets that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()


class _Names(AbstractResolver):
    """Host names by the installation's resolvers; localhost is this machine, whatever a server says."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._addresses(host)
        if not addresses:
            raise OSError(f"{host}: {Fault.NAME}")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses[:ADDRESSES_MAX]
        ]

    async def close(self) -> None:
        return None

    async def _addresses(self, host: str) -> list[str]:
        if _is_localhost(host):
            return list(LOCALHOST)
        v4, v6 = await asyncio.gather(self._resolver.a(host), self._resolver.aaaa(host))
        return [*v4.records, *v6.records]


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of the body; a connection with more to come is closed rather than read to its end."""
    read = bytearray()
    while len(read) < ANSWER_MAX_BYTES:
        part = await response.content.read(ANSWER_MAX_BYTES - len(read))
        if not part:
            return bytes(read)
        read += part
    response.close()
    return bytes(read)


def _fault(error: Exception) -> Fault:
    match error:
        case BadUrl() | _NotPublic():
            return Fault.ADDRESS
        case aiohttp.ClientConnectorDNSError():
            return Fault.NAME
        case TimeoutError():
            return Fault.TIMEOUT
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Fault.TLS
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, _NotPublic):
            return Fault.ADDRESS
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
            return Fault.CONNECTION
        case aiohttp.InvalidURL():
            return Fault.NAME
        case _:
            return Fault.PROTOCOL


def _may_be_public(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return not _is_localhost(host)
    return is_public(host)


def _is_localhost(host: str) -> bool:
    """RFC 6761 6.3."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _literal(address: Any) -> str:
    """The IP address of a socket's address, with its scope, which no public one has."""
    host = str(address[0])
    return f"{host}%{address[3]}" if len(address) > 3 and address[3] else host
