"""The guarded client: nothing leads inside, whatever a name, a spelling, a redirect or a rebinding says."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.flow.hooks import Receiver
from tests.sink.dns import DnsServer

from postrider.kit import outgoing
from postrider.kit.dns import Resolver
from postrider.kit.outgoing import ANSWER_MAX_BYTES, Answer, BadUrl, Fault, Outgoing, check_url
from postrider.surfaces.common.smtp import tls


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer() as dns:
        yield dns


@pytest.fixture
async def guarded(dns: DnsServer) -> AsyncIterator[Outgoing]:
    client = Outgoing(Resolver([dns.address]))
    yield client
    await client.close()


@pytest.fixture
async def inside(dns: DnsServer) -> AsyncIterator[Outgoing]:
    """One that may go to private addresses."""
    client = Outgoing(Resolver([dns.address]), allow_private=True)
    yield client
    await client.close()


async def post(client: Outgoing, url: str, timeout_s: float = 5.0) -> Answer:
    return await client.post(url, {"Content-Type": "application/json"}, b"{}", timeout_s)


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("A", "127.0.0.1"), ("A", "10.0.0.1"), ("A", "169.254.169.254"), ("A", "0.0.0.0"),
        ("A", "100.100.100.200"), ("AAAA", "::1"), ("AAAA", "::ffff:127.0.0.1"), ("AAAA", "fd00::1"),
        ("AAAA", "fe80::1"), ("AAAA", "64:ff9b::7f00:1"), ("AAAA", "2002:7f00:1::"), ("AAAA", "::"),
    ],
)  # fmt: skip
async def test_a_name_that_leads_inside_is_not_connected_to(
    guarded: Outgoing, dns: DnsServer, receiver: Receiver, kind: str, address: str
) -> None:
    dns.records["inside.test", kind] = [address]
    answer = await post(guarded, f"http://inside.test:{receiver.port}/hook")
    assert (answer.status, answer.fault) == (None, Fault.ADDRESS)
    assert receiver.got == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "localhost", "LOCALHOST.", "a.localhost", "[fe80::1%25lo]", "127.0.0.1.",
        "①②⑦.0.0.1", "127。0。0。1",
    ],
)  # fmt: skip
async def test_no_spelling_of_this_machine_is_connected_to(
    guarded: Outgoing, receiver: Receiver, host: str
) -> None:
    answer = await post(guarded, f"http://{host}:{receiver.port}/hook")
    assert answer.status is None
    assert answer.fault in (Fault.ADDRESS, Fault.NAME)
    assert receiver.got == []


async def test_a_name_that_was_public_when_it_was_told_and_is_private_now_is_refused(
    guarded: Outgoing, dns: DnsServer, receiver: Receiver
) -> None:
    url = f"http://rebinds.test:{receiver.port}/hook"
    check_url(url, allow_private=False, allow_plain=True)
    dns.records["rebinds.test", "A"] = ["127.0.0.1"]
    answer = await post(guarded, url)
    assert (answer.status, answer.fault, receiver.got) == (None, Fault.ADDRESS, [])


async def test_every_connection_passes_the_gate_that_sees_its_address(
    dns: DnsServer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public name reaches us only because the gate is told that 127.0.0.1 is public."""
    seen: list[str] = []

    def is_public(ip: str) -> bool:
        seen.append(ip)
        return len(seen) == 1

    monkeypatch.setattr(outgoing, "is_public", is_public)
    dns.records["public.test", "A"] = ["127.0.0.1"]
    client = Outgoing(Resolver([dns.address]))
    try:
        first = await post(client, f"http://public.test:{receiver.port}/a")
        await client.close()
        client = Outgoing(Resolver([dns.address]))
        second = await post(client, f"http://public.test:{receiver.port}/b")
    finally:
        await client.close()
    assert (first.status, second.fault, seen) == (200, Fault.ADDRESS, ["127.0.0.1"] * 2)
    assert [got.path for got in receiver.got] == ["/a"]


async def test_a_redirect_is_an_answer_and_is_not_followed(inside: Outgoing, receiver: Receiver) -> None:
    for status in (301, 302, 303, 307, 308):
        receiver.answer = lambda got, status=status: (status, {"Location": "/elsewhere"}, b"")  # type: ignore[misc]
        assert (await post(inside, receiver.url())).status == status
    assert {got.path for got in receiver.got} == {"/hook"}


async def test_of_a_long_answer_only_the_beginning_is_read(inside: Outgoing, receiver: Receiver) -> None:
    receiver.answer = lambda got: (200, {}, b"x" * (20 * 1024 * 1024))
    answer = await post(inside, receiver.url())
    assert (answer.status, len(answer.body)) == (200, ANSWER_MAX_BYTES)


async def test_a_packed_answer_stays_packed(inside: Outgoing, receiver: Receiver) -> None:
    receiver.answer = lambda got: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b not gzip at all")
    assert (await post(inside, receiver.url())).body == b"\x1f\x8b not gzip at all"


async def test_cookies_are_not_kept_and_proxies_not_asked(
    inside: Outgoing, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    receiver.answer = lambda got: (200, {"Set-Cookie": "a=b"}, b"")
    assert [(await post(inside, receiver.url())).status for _ in range(2)] == [200, 200]
    assert all("cookie" not in got.headers for got in receiver.got)


async def test_who_is_slow_or_drips_is_left_in_time(inside: Outgoing, receiver: Receiver) -> None:
    receiver.hanging.add("/hook")
    answer = await post(inside, receiver.url(), timeout_s=0.2)
    assert (answer.status, answer.fault) == (None, Fault.TIMEOUT)
    assert answer.duration_ms < 2_000

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer = await post(inside, f"http://127.0.0.1:{port}/", timeout_s=0.3)
    server.close()
    assert (answer.status, answer.fault) == (None, Fault.TIMEOUT)
    await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "said",
    [
        b"", b"\r\n\r\n", b"220 mail.example.test ESMTP\r\n", b"HTTP/1.1 999999 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\x00\xff" * 1_000,
    ],
)  # fmt: skip
async def test_what_is_not_http_is_a_fault(inside: Outgoing, said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer = await post(inside, f"http://127.0.0.1:{port}/", timeout_s=3)
    server.close()
    assert answer.status is None
    assert answer.fault in (Fault.PROTOCOL, Fault.CONNECTION)


async def test_nobody_there_no_name_and_no_tls_are_told_apart(
    inside: Outgoing, dns: DnsServer, receiver: Receiver
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert (await post(inside, f"http://127.0.0.1:{taken.getsockname()[1]}/")).fault is Fault.CONNECTION
    assert (await post(inside, "http://nowhere.test/")).fault is Fault.NAME
    assert (await post(inside, f"https://127.0.0.1:{receiver.port}/")).fault is Fault.TLS


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(inside: Outgoing, tmp_path: Any) -> None:
    files = tls.ensure_self_signed(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    answer = await post(inside, f"https://localhost:{runner.addresses[0][1]}/")
    await runner.cleanup()
    assert (answer.status, answer.fault) == (None, Fault.TLS)


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "//example.com", "ftp://example.com", "file:///etc/passwd", "https://", "https:///x",
        "https://a:b@example.com", "https://@example.com", "https://example.com:0", "https://example.com:x",
        "https://[::1", "https://exa mple.com", "https://example.com/\n", "https://exämple.com",
        "https://example.com/" + "a" * 2_000, "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_url_for_posts_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        check_url(url, allow_private=True)


def test_plain_http_is_for_closed_networks_and_where_it_is_allowed() -> None:
    with pytest.raises(BadUrl):
        check_url("http://example.com", allow_private=False)
    check_url("http://example.com", allow_private=False, allow_plain=True)
    check_url("http://10.0.0.1:8080/x?y=z", allow_private=True)
    check_url("https://example.com:8443/hook", allow_private=False)
    with pytest.raises(BadUrl):
        check_url("https://10.0.0.1/", allow_private=False)
