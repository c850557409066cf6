"""The client against aiosmtpd, under asyncio and uvloop."""

import asyncio
import queue
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop
from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sink.certificate import server_context

from postrider.engine.delivery.smtp import Connection, Tls
from postrider.engine.delivery.tls import opportunistic_context
from postrider.engine.delivery.transaction import encode_data

Run = Callable[[Coroutine[Any, Any, None]], None]


class Inbox:
    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 2.0.0 taken"


def _check(server: Server, session: Session, envelope: Envelope, how: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"ann", b"s3cret"))


@pytest.fixture(scope="module")
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture(scope="module")
def port(inbox: Inbox) -> Iterator[int]:
    started: queue.Queue[tuple[int, Callable[[], object]]] = queue.Queue()
    thread = threading.Thread(target=asyncio.run, args=(_serve(inbox, started),))
    thread.start()
    number, stop = started.get(timeout=5)
    yield number
    stop()
    thread.join()


async def _serve(inbox: Inbox, started: "queue.Queue[tuple[int, Callable[[], object]]]") -> None:
    """aiosmtpd's STARTTLS needs asyncio's own loop: it has one to itself, in a thread."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    tls = server_context()

    def session() -> Server:
        return Server(
            inbox,
            hostname="127.0.0.1",
            tls_context=tls,
            require_starttls=True,
            authenticator=_check,
            auth_required=True,
            enable_SMTPUTF8=True,
            data_size_limit=1_000_000,
        )

    server = await loop.create_server(session, "127.0.0.1", 0)
    started.put((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(stopped.set)))
    await stopped.wait()
    server.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_mails_arrive_as_they_were_handed_over(run: Run, port: int, inbox: Inbox) -> None:
    mail = "From: a@x.example\r\nSubject: Grüße\r\n\r\n.\r\n..two\r\n.three\r\nend ü\r\n".encode()
    inbox.taken.clear()
    run(_deliver(port, mail))
    assert [envelope.rcpt_tos for envelope in inbox.taken] == [
        ["b@y.example"],
        ["jörg@xn--mnchen-3ya.example"],
    ]
    assert [envelope.content for envelope in inbox.taken] == [mail, mail]


async def _deliver(port: int, mail: bytes) -> None:
    context: ssl.SSLContext = opportunistic_context()
    connection = await Connection.open(
        "localhost",
        port,
        ip="127.0.0.1",
        hostname="me.example",
        tls=Tls.REQUIRED,
        ssl_context=context,
        auth=("ann", "s3cret"),
    )
    assert isinstance(connection, Connection)
    assert connection.extensions.size == 1_000_000
    send = connection.send
    first = await send("a@x.example", ["nobody@y.example", "b@y.example"], mail, body_8bit=True)
    second = await send("a@x.example", ["nobody@y.example"], mail, body_8bit=True)
    third = await send("a@x.example", ["jörg@münchen.example"], mail, body_8bit=True, smtputf8=True)
    assert [answer.code for answer in first.answers] == [550, 250]
    assert [answer.code for answer in second.answers] == [550]
    assert third.answers[0].is_accepted
    await connection.close()


PIECES = st.lists(st.sampled_from([b"a", b".", b"..", b"\r\n", b"\r\n.\r\n", b"\n", b"\r", b"\n.", b"\r."]))


@settings(deadline=None)
@given(PIECES.map(b"".join))
def test_no_mail_can_end_before_its_end(mail: bytes) -> None:
    wire = encode_data(mail)
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    inside = b"\r\n" + wire[:-3]
    for smuggled in (b"\r\n.\r\n", b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\n.\r", b"\r.\n"):
        assert smuggled not in inside


@given(st.lists(st.sampled_from([b"a", b".", b"\r\n", b"x y"])).map(b"".join))
def test_dots_are_stuffed_so_that_unstuffing_gives_the_mail(mail: bytes) -> None:
    lines = encode_data(mail).removesuffix(b".\r\n").split(b"\r\n")
    unstuffed = b"\r\n".join([line.removeprefix(b".") if line.startswith(b".") else line for line in lines])
    assert unstuffed == (mail if mail.endswith(b"\r\n") or not mail else mail + b"\r\n")
