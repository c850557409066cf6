"""The client against peers that keep to SMTP, and against many that do not."""

import asyncio

import pytest
from tests.unit.engine.delivery.peers import EHLO, MAIL, SHORT, Peer, connect, scripted, try_connect

from postrider.engine.delivery.smtp import Connection, Failure, Stage, Tls

OK = (b"250 2.1.0 Ok", b"250 2.1.5 Ok", b"354 Go")


async def _take(peer: Peer, reply: bytes = b"250 2.0.0 queued\r\n") -> bytes:
    await peer.envelope(*OK)
    mail = await peer.hear_mail()
    peer.say(reply)
    return mail


async def _polite(peer: Peer) -> None:
    await peer.greet()
    await _take(peer)
    await peer.hear(b"QUIT")
    peer.say(b"221 bye\r\n")


async def test_a_mail_is_accepted_and_the_transcript_tells_how() -> None:
    async with scripted(_polite) as server:
        connection = await connect(server)
        result = await connection.send("a@x.example", ["b@y.example"], MAIL)
        await connection.close()
    assert result.answers[0].is_accepted
    assert result.is_reusable
    assert result.is_body_sent
    assert connection.ip == "127.0.0.1"
    assert connection.transcript[:2] == ["S: 220 mx.y.example ESMTP", "C: EHLO me.example"]
    assert result.transcript == [
        f"C: MAIL FROM:<a@x.example> SIZE={len(MAIL) + 3}",
        "S: 250 2.1.0 Ok",
        "C: RCPT TO:<b@y.example>",
        "S: 250 2.1.5 Ok",
        "C: DATA",
        "S: 354 Go",
        "C: .",
        "S: 250 2.0.0 queued",
    ]


async def test_envelope_and_data_are_written_at_once_where_pipelining_is_offered() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        group = await peer.reader.readuntil(b"DATA\r\n")  # before a single reply
        assert group.count(b"\r\n") == 4
        peer.say(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n")
        await peer.hear_mail()
        peer.say(b"250 ok\r\n")

    async with scripted(script) as server:
        connection = await connect(server)
        result = await connection.send("a@x.example", ["b@y.example", "c@y.example"], MAIL)
        connection.abort()
    assert [(answer.stage, answer.code) for answer in result.answers] == [(Stage.END, 250), (Stage.RCPT, 550)]


async def test_commands_wait_for_their_reply_without_pipelining() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"250 mx.y.example\r\n")
        for reply in (b"250 ok\r\n", b"550 5.1.1 no\r\n", b"251 will forward\r\n", b"354 go\r\n"):
            await peer.hear()
            await asyncio.sleep(0.02)
            assert not peer.reader._buffer  # type: ignore[attr-defined]
            peer.say(reply)
        await peer.hear_mail()
        peer.say(b"250 ok\r\n")

    async with scripted(script) as server:
        connection = await connect(server)
        result = await connection.send("", ["b@y.example", "c@y.example"], [b"From: a\r\n\r\n", b"x"])
        connection.abort()
    assert server.peers[0].heard[1] == b"MAIL FROM:<>\r\n"
    assert [answer.is_accepted for answer in result.answers] == [False, True]


async def test_without_pipelining_nothing_follows_a_refusal() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"250 mx.y.example\r\n")
        for reply in (b"250 ok\r\n", b"550 5.1.1 no\r\n", b"250 reset\r\n", b"450 not you\r\n"):
            await peer.hear()
            peer.say(reply)

    async with scripted(script) as server:
        connection = await connect(server)
        first = await connection.send("a@x.example", ["b@y.example"], MAIL)
        second = await connection.send("a@x.example", ["b@y.example"], MAIL)
        connection.abort()
    verbs = [line[:4] for line in server.peers[0].heard]
    assert verbs == [b"EHLO", b"MAIL", b"RCPT", b"RSET", b"MAIL"]
    assert (first.answers[0].stage, second.answers[0].stage) == (Stage.RCPT, Stage.MAIL)
    assert not first.is_body_sent
    assert "C: DATA" not in first.transcript


async def test_a_connection_is_used_again_after_a_refused_recipient() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.envelope(b"250 ok", b"550 5.1.1 no", b"554 5.5.1 no valid recipients")
        await peer.envelope(b"250 reset", *OK)
        await peer.hear_mail()
        peer.say(b"250 ok\r\n")
        await _take(peer)

    async with scripted(script) as server:
        connection = await connect(server)
        results = [await connection.send("a@x.example", ["b@y.example"], MAIL) for _ in range(3)]
        connection.abort()
    assert [result.answers[0].code for result in results] == [550, 250, 250]
    assert [line for line in server.peers[0].heard if line == b"RSET\r\n"] == [b"RSET\r\n"]


async def test_data_that_is_asked_for_in_vain_ends_with_a_lone_dot() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.envelope(b"250 ok", b"550 5.1.1 no", b"354 go on then")
        await peer.hear(b".\r\n")
        peer.say(b"554 5.5.1 nobody to take it\r\n")
        await peer.envelope(b"250 reset", *OK)
        await peer.hear_mail()
        peer.say(b"250 ok\r\n")

    async with scripted(script) as server:
        connection = await connect(server)
        refused = await connection.send("a@x.example", ["b@y.example"], MAIL)
        taken = await connection.send("a@x.example", ["b@y.example"], MAIL)
        connection.abort()
    assert (refused.answers[0].stage, refused.answers[0].code, refused.is_body_sent) == (
        Stage.RCPT,
        550,
        False,
    )
    assert taken.answers[0].is_accepted


@pytest.mark.parametrize(
    ("replies", "stage", "code"),
    [
        ([b"451 4.3.0 busy", b"503 no", b"503 no"], Stage.MAIL, 451),
        ([b"250 ok", b"250 ok", b"451 4.3.0 later"], Stage.DATA, 451),
        ([b"250 ok", b"250 ok", b"250 what"], Stage.DATA, None),
        ([b"354 what", b"250 ok", b"354 go"], Stage.MAIL, None),
        ([b"421 4.3.2 closing"], Stage.MAIL, 421),
        ([b"250 ok", b"421 4.3.2 closing"], Stage.RCPT, 421),
        ([b"250 ok"], Stage.RCPT, None),
        ([b"250 ok", b"250 ok"], Stage.DATA, None),
        ([b"mumble"], Stage.MAIL, None),
    ],
)
async def test_the_first_refusal_decides(replies: list[bytes], stage: Stage, code: int | None) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.reader.readuntil(b"DATA\r\n")
        peer.say(b"".join(reply + b"\r\n" for reply in replies))

    async with scripted(script) as server:
        connection = await connect(server)
        result = await connection.send("a@x.example", ["b@y.example"], MAIL)
        connection.abort()
    assert (result.answers[0].stage, result.answers[0].code) == (stage, code)
    assert not result.answers[0].is_accepted


@pytest.mark.parametrize(
    "reply", [b"421 4.3.2 closing\r\n", b"354 again\r\n", b"", b"250 ok\r\n250 and more\r\n"]
)
async def test_a_connection_with_an_odd_end_is_not_used_again(reply: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await _take(peer, reply)
        await peer.hear()

    async with scripted(script) as server:
        connection = await connect(server)
        result = await connection.send("a@x.example", ["b@y.example"], MAIL)
        assert not result.is_reusable
        assert not connection.is_open
        assert result.answers[0].stage is Stage.END
        again = await connection.send("a@x.example", ["b@y.example"], MAIL)
    assert (again.answers[0].stage, again.answers[0].code) == (Stage.MAIL, None)


async def test_a_peer_that_vanishes_within_the_mail_leaves_the_outcome_open() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.envelope(*OK)
        await peer.reader.readexactly(1_000)
        peer.writer.transport.abort()

    async with scripted(script) as server:
        connection = await connect(server)
        result = await connection.send("a@x.example", ["b@y.example"], MAIL + b"x" * 50_000)
    assert (result.answers[0].stage, result.answers[0].code) == (Stage.END, None)
    assert result.is_body_sent


async def test_a_peer_that_answers_within_a_large_mail_is_believed() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"250 PIPELINING\r\n".replace(b"250 ", b"250-x\r\n250 "))
        await peer.envelope(*OK)
        await peer.reader.readexactly(1_000)
        peer.say(b"552 5.3.4 far too large\r\n")
        await peer.writer.drain()
        await asyncio.sleep(0.1)

    async with scripted(script) as server:
        connection = await connect(server)
        result = await connection.send("a@x.example", ["b@y.example"], MAIL + b"x" * 60_000_000)
    assert (result.answers[0].stage, result.answers[0].code) == (Stage.END, 552)
    assert not result.is_reusable


async def test_a_large_mail_arrives_whole() -> None:
    received: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.greet(b"250-x\r\n250 PIPELINING\r\n")
        received.append(await _take(peer))

    body = MAIL + b".dot " * 15 + b"\r\n" + b"0123456789\r\n" * 300_000
    async with scripted(script) as server:
        connection = await connect(server)
        result = await connection.send("a@x.example", ["b@y.example"], body)
        connection.abort()
    assert result.answers[0].is_accepted
    assert received[0] == body.replace(b"\r\n.", b"\r\n..") + b".\r\n"


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.EHLO, Stage.RCPT, Stage.END])
async def test_a_silent_peer_is_given_up(stage: Stage) -> None:
    async def script(peer: Peer) -> None:
        if stage is not Stage.GREETING:
            await peer.greet(b"" if stage is Stage.EHLO else EHLO)
        if stage is Stage.RCPT:
            await peer.reader.readuntil(b"DATA\r\n")
            peer.say(b"250 ok\r\n")
        if stage is Stage.END:
            await _take(peer, b"")
        await peer.reader.read()

    async with scripted(script) as server:
        opened = await try_connect(server)
        if isinstance(opened, Connection):
            opened_answer = (await opened.send("a@x.example", ["b@y.example"], MAIL)).answers[0]
        else:
            opened_answer = opened
    assert (opened_answer.stage, opened_answer.code, opened_answer.text) == (stage, None, "timed out")


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        (b"554 5.7.1 no mail from you\r\n", 554),
        (b"421 too busy\r\n", 421),
        (b"", None),
        (b"HTTP/1.1 400 Bad Request\r\n", None),
        (b"250 not a greeting\r\n", None),
        (b"220-" + b"x" * 1_900 + b"\r\n", None),
    ],
)
async def test_a_peer_that_does_not_greet_is_a_failure(greeting: bytes, code: int | None) -> None:
    async def script(peer: Peer) -> None:
        peer.say(greeting)

    async with scripted(script) as server:
        failure = await try_connect(server)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.code) == (Stage.GREETING, code)


async def test_nobody_listening_is_a_failure() -> None:
    async with scripted() as server:
        pass
    failure = await try_connect(server)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.text) == (Stage.CONNECT, "Connection refused")


async def test_an_old_server_is_greeted_with_helo() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"502 5.5.1 what?\r\n")
        await peer.hear(b"HELO me.example\r\n")
        peer.say(b"250 mx\r\n")
        await peer.hear()

    async with scripted(script) as server:
        connection = await connect(server)
        assert not connection.extensions.pipelining
        connection.abort()


async def test_a_peer_that_says_goodbye_between_mails_is_noticed() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await _take(peer)
        await asyncio.sleep(0.02)
        peer.say(b"421 4.4.2 idle too long\r\n")

    async with scripted(script) as server:
        connection = await connect(server)
        await connection.send("a@x.example", ["b@y.example"], MAIL)
        assert connection.is_open
        await asyncio.sleep(0.06)
        assert not connection.is_open
        connection.abort()


async def test_a_cancelled_send_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.envelope(*OK)
        await peer.reader.read()

    async with scripted(script) as server:
        connection = await connect(server)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connection.send("a@x.example", ["b@y.example"], MAIL)
        assert not connection.is_open


async def test_what_the_peer_cannot_take_is_refused_without_asking_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"250-mx\r\n250 SIZE 100\r\n")
        await peer.hear()

    async with scripted(script) as server:
        connection = await connect(server)
        send = connection.send
        large = await send("a@x.example", ["b@y.example"], MAIL + b"x" * 100)
        utf8 = await send("a@x.example", ["jörg@y.example"], MAIL)
        eight = await send("a@x.example", ["b@y.example"], MAIL, body_8bit=True)
        connection.abort()
    found = [(result.answers[0].code, result.answers[0].enhanced) for result in (large, utf8, eight)]
    assert found == [(552, "5.3.4"), (553, "5.6.7"), (554, "5.6.3")]
    assert large.is_reusable
    assert server.peers[0].heard[1:] == [b""]


async def test_extensions_are_declared_where_they_are_needed() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"250-mx\r\n250-SIZE\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n")
        await _take(peer)
        await _take(peer)

    async with scripted(script) as server:
        connection = await connect(server)
        await connection.send("a@x.example", ["jörg@münchen.example"], MAIL, body_8bit=True)
        await connection.send("a@x.example", ["b@münchen.example"], MAIL)
        connection.abort()
    heard = server.peers[0].heard
    size = len(MAIL) + 3
    assert heard[1] == f"MAIL FROM:<a@x.example> SIZE={size} BODY=8BITMIME SMTPUTF8\r\n".encode()
    assert heard[2] == "RCPT TO:<jörg@xn--mnchen-3ya.example>\r\n".encode()
    assert heard[5:7] == [
        f"MAIL FROM:<a@x.example> SIZE={size}\r\n".encode(),
        b"RCPT TO:<b@xn--mnchen-3ya.example>\r\n",
    ]


@pytest.mark.parametrize("address", ["a@b\r\nDATA", "a@b> SIZE=1", "a b@c", "nobody", "a@b\0", '"a\r"@b', ""])
async def test_an_address_that_could_end_its_command_raises(address: str) -> None:
    connection = Connection("x", SHORT)
    with pytest.raises(ValueError):
        await connection.send("a@x.example", [address], MAIL)


async def test_a_quoted_local_part_is_an_address() -> None:
    async with scripted(_polite) as server:
        connection = await connect(server)
        await connection.send("a@x.example", ['"b >\\"c"@y.example'], MAIL)
        await connection.close()
    assert server.peers[0].heard[2] == b'RCPT TO:<"b >\\"c"@y.example>\r\n'


async def test_the_local_address_can_be_chosen() -> None:
    async with scripted(_polite) as server:
        connection = await connect(server, source_ip="127.0.0.3")
        source = server.peers[0].writer.get_extra_info("peername")[0]
        await connection.send("a@x.example", ["b@y.example"], MAIL)
        await connection.close()
    assert source == "127.0.0.3"


async def test_plain_is_the_default_only_where_tls_is_never_wanted() -> None:
    with pytest.raises(AssertionError):
        await Connection.open("127.0.0.1", 1, hostname="me.example", tls=Tls.REQUIRED)
