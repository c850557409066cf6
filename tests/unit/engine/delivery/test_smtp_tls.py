"""STARTTLS and AUTH: what is asked for happens, or nothing is said in clear."""

import asyncio
import base64
import ssl

import pytest
from tests.sink.certificate import server_context
from tests.unit.engine.delivery.peers import EHLO, MAIL, SHORT, Peer, connect, scripted, try_connect

from postrider.engine.delivery.smtp import Connection, Failure, Stage, Tls
from postrider.engine.delivery.tls import SESSIONS_MAX, opportunistic_context, verifying_context

STARTTLS = EHLO.replace(b"250 SIZE", b"250-STARTTLS\r\n250 SIZE")
SERVER = server_context("mx.y.example")


async def _upgrade(peer: Peer) -> None:
    await peer.hear(b"STARTTLS")
    peer.say(b"220 2.0.0 ready\r\n")
    await peer.writer.drain()
    loop = asyncio.get_running_loop()
    protocol = peer.writer.transport.get_protocol()
    secure = await loop.start_tls(peer.writer.transport, protocol, SERVER, server_side=True)
    assert secure is not None
    peer.writer = asyncio.StreamWriter(secure, protocol, peer.reader, loop)
    await peer.hear(b"EHLO me.example\r\n")
    peer.say(EHLO)


async def _secure(peer: Peer) -> None:
    await peer.greet(STARTTLS)
    await _upgrade(peer)
    await peer.envelope(b"250 ok", b"250 ok", b"354 go")
    await peer.hear_mail()
    peer.say(b"250 ok\r\n")
    await peer.hear()
    peer.writer.close()


def _certificate() -> str:
    """The PEM that SERVER shows, by a handshake in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = SERVER.wrap_bio(to_server, to_client, server_side=True)
    client = opportunistic_context().wrap_bio(to_client, to_server, server_hostname="mx.y.example")
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    certificate = client.getpeercert(binary_form=True)
    assert certificate is not None
    return ssl.DER_cert_to_PEM_cert(certificate)


async def _open(
    port: int, context: ssl.SSLContext, tls: Tls, host: str = "mx.y.example"
) -> Connection | Failure:
    return await Connection.open(
        host, port, ip="127.0.0.1", hostname="me.example", tls=tls, ssl_context=context, timeouts=SHORT
    )


async def test_the_dialogue_is_encrypted_and_extensions_are_asked_again() -> None:
    async with scripted(_secure) as server:
        connection = await connect(server, tls=Tls.OPPORTUNISTIC, ssl_context=opportunistic_context())
        result = await connection.send("a@x.example", ["b@y.example"], MAIL)
        assert connection.tls is not None
        assert connection.tls.startswith("TLSv1.3 TLS_")
        assert not connection.extensions.starttls
        await connection.close()
    assert result.answers[0].is_accepted


async def test_a_session_is_resumed_on_the_next_connection() -> None:
    sessions: dict[str, ssl.SSLSession] = {}
    context = opportunistic_context(sessions)
    resumed = []
    async with scripted(_secure, _secure) as server:
        for _ in range(2):
            opened = await _open(server.port, context, Tls.REQUIRED)
            assert isinstance(opened, Connection)
            await opened.send("a@x.example", ["b@y.example"], MAIL)
            resumed.append(opened.is_tls_resumed)
            await opened.close()
    assert resumed == [False, True]
    assert list(sessions) == ["mx.y.example"]


async def test_a_verified_peer_must_show_its_name() -> None:
    context = verifying_context(ca_pem=_certificate())
    async with scripted(_secure, _secure) as server:
        right = await _open(server.port, context, Tls.REQUIRED)
        assert isinstance(right, Connection)
        await right.close()
        wrong = await _open(server.port, context, Tls.REQUIRED, host="other.example")
    assert isinstance(wrong, Failure)
    assert wrong.stage is Stage.STARTTLS
    assert "ostname mismatch" in wrong.text


async def test_an_unknown_authority_is_a_failure() -> None:
    async with scripted(_secure) as server:
        failure = await _open(server.port, verifying_context(), Tls.REQUIRED)
    assert isinstance(failure, Failure)
    assert failure.text == "TLS handshake failed: self-signed certificate"


async def test_required_tls_says_nothing_more_to_a_peer_stripped_of_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(EHLO)
        assert await peer.hear() == b""

    async with scripted(script) as server:
        failure = await _open(server.port, opportunistic_context(), Tls.REQUIRED)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.code, failure.enhanced) == (Stage.STARTTLS, None, "4.7.10")


@pytest.mark.parametrize("tls", [Tls.OPPORTUNISTIC, Tls.REQUIRED])
async def test_a_refused_starttls_is_passed_over_only_where_it_is_optional(tls: Tls) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(STARTTLS)
        await peer.hear(b"STARTTLS")
        peer.say(b"454 4.7.0 not now\r\n")
        await peer.hear()

    async with scripted(script) as server:
        opened = await _open(server.port, opportunistic_context(), tls)
        if isinstance(opened, Connection):
            opened.abort()
    assert isinstance(opened, Connection) == (tls is Tls.OPPORTUNISTIC)


async def test_a_failed_handshake_says_so() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(STARTTLS)
        await peer.hear(b"STARTTLS")
        peer.say(b"220 go\r\n")
        await peer.writer.drain()
        await peer.reader.read(100)
        peer.say(b"this is no TLS record\r\n")
        await peer.reader.read()

    async with scripted(script) as server:
        failure = await _open(server.port, opportunistic_context(), Tls.OPPORTUNISTIC)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.code) == (Stage.STARTTLS, None)
    assert failure.text.startswith("TLS handshake failed")


@pytest.mark.parametrize("injected", [b"250 mx\r\n", b"250-unfinished"])
async def test_what_is_said_in_clear_before_the_handshake_is_never_believed(injected: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(STARTTLS)
        await peer.hear(b"STARTTLS")
        peer.say(b"220 go\r\n" + injected)
        await peer.hear()

    async with scripted(script) as server:
        failure = await _open(server.port, opportunistic_context(), Tls.OPPORTUNISTIC)
    assert isinstance(failure, Failure)
    assert failure.text == "data injected before the TLS handshake"


def test_the_store_of_sessions_is_bounded() -> None:
    class Session:
        has_ticket = True

    context = opportunistic_context()
    for number in range(SESSIONS_MAX + 5):
        context.remember(str(number), Session())  # type: ignore[arg-type]
    assert len(context.sessions) == SESSIONS_MAX
    assert "4" not in context.sessions


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        (b"AUTH LOGIN PLAIN", [b"AUTH PLAIN " + base64.b64encode(b"\0ann\0s3cret")]),
        (b"AUTH=LOGIN", [b"AUTH LOGIN", base64.b64encode(b"ann"), base64.b64encode(b"s3cret")]),
    ],
)
async def test_the_client_logs_in_and_keeps_the_secret(offer: bytes, said: list[bytes]) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"250-mx\r\n250 " + offer + b"\r\n")
        for number, line in enumerate(said, 1):
            assert await peer.hear() == line + b"\r\n"
            peer.say(b"235 2.7.0 welcome\r\n" if number == len(said) else b"334 VXNlcm5hbWU6\r\n")
        await peer.hear()

    async with scripted(script) as server:
        connection = await connect(server, auth=("ann", "s3cret"))
        connection.abort()
    shown = "\n".join(connection.transcript)
    assert "235 2.7.0 welcome" in shown
    for secret in ("s3cret", *[line.decode().split()[-1] for line in said if b"AUTH LOGIN" not in line]):
        assert secret not in shown


@pytest.mark.parametrize(
    ("offer", "code"), [(b"250-mx\r\n250 AUTH PLAIN\r\n", 535), (b"250-mx\r\n250 AUTH GSSAPI\r\n", None)]
)
async def test_a_login_that_fails_is_a_failure(offer: bytes, code: int | None) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(offer)
        if await peer.hear():
            peer.say(b"535 5.7.8 wrong\r\n")

    async with scripted(script) as server:
        failure = await try_connect(server, auth=("ann", "s3cret"))
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.code) == (Stage.AUTH, code)
