"""The server over real sockets, on asyncio and on uvloop."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage

import pytest

from postrider.surfaces.common.smtp.backend import Reply
from postrider.surfaces.common.smtp.options import SmtpOptions
from postrider.surfaces.common.smtp.tls import CertificateFiles, server_context

from .office import Client, Counter, Office

BODY = b"Subject: hi\r\n\r\nhello\r\n"
OPTIONS = SmtpOptions(hostname="mx.test", auth_delay_s=0.05)


async def test_message_reaches_the_backend_with_its_envelope(counter: Counter) -> None:
    office = Office()
    server = await counter.serve(office)
    client = await counter.greeted()
    await client.say("MAIL FROM:<a@x.test> BODY=8BITMIME SMTPUTF8")
    await client.say("RCPT TO:<b@y.test>")
    await client.say("RCPT TO:<ä@y.test>")
    await client.say("DATA")
    client.send(BODY + b"..dot\r\n.\r\n")
    assert await client.reply() == "250 2.0.0 Queued"
    (envelope,) = office.envelopes
    assert (envelope.sender, envelope.recipients) == ("a@x.test", ("b@y.test", "ä@y.test"))
    assert envelope.body == BODY + b".dot\r\n"
    assert (envelope.peer_ip, envelope.helo) == ("127.0.0.1", "client.test")
    assert (envelope.tls, envelope.smtputf8, envelope.body_8bit) == (False, True, True)
    assert (server.connections, server.counters.accepted, server.counters.octets) == (1, 1, len(BODY) + 6)


async def test_pipelined_commands_are_answered_in_order(counter: Counter) -> None:
    office = Office()
    await counter.serve(office)
    client = await counter.connect()
    one = (
        b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<nobody@y.test>\r\nDATA\r\n" + BODY + b".\r\n"
    )
    client.send(b"EHLO c.test\r\n" + one + one + b"NOOP\r\nQUIT\r\n")
    codes = [(await client.reply())[:3] for _ in range(14)]
    each = ["250", "250", "550", "354", "250"]
    assert codes == ["220", "250", *each, *each, "250", "221"]
    assert await client.closed()
    assert [envelope.body for envelope in office.envelopes] == [BODY, BODY]


async def test_pipelined_replies_come_in_one_piece(counter: Counter) -> None:
    await counter.serve(Office())
    client = await counter.greeted()
    client.send(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n")
    assert (await client.reader.read(4_096)).count(b"\r\n") == 3


async def test_bytes_in_single_octets_make_the_same_message(counter: Counter) -> None:
    office = Office()
    await counter.serve(office)
    client = await counter.greeted()
    await client.open_data()
    for octet in BODY + b".\r\n":
        client.send(bytes([octet]))
        await asyncio.sleep(0)
    assert (await client.reply()).startswith("250")
    assert office.envelopes[0].body == BODY


@pytest.mark.parametrize("split", range(1, 6))
async def test_end_split_over_packets_is_found(counter: Counter, split: int) -> None:
    office = Office()
    await counter.serve(office)
    client = await counter.greeted()
    await client.open_data()
    stream = b"x\r\n.\r\nNOOP\r\n"
    client.send(stream[:split])
    await asyncio.sleep(0.01)
    client.send(stream[split:])
    assert [(await client.reply())[:9] for _ in range(2)] == ["250 2.0.0", "250 2.0.0"]
    assert office.envelopes[0].body == b"x\r\n"


async def test_smuggled_second_message_is_not_taken(counter: Counter) -> None:
    office = Office()
    await counter.serve(office)
    client = await counter.greeted()
    await client.open_data()
    client.send(b"x\n.\r\nMAIL FROM:<evil@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nevil\r\n.\r\n")
    assert await client.reply() == "550 5.6.11 Bare CR or LF around a dot"
    assert await client.say("NOOP") == "250 2.0.0 Ok"
    assert office.envelopes == []


async def test_command_with_a_bare_line_feed_is_refused(counter: Counter) -> None:
    await counter.serve(Office())
    client = await counter.greeted()
    client.send(b"NOOP\n")
    assert (await client.reply()).startswith("500 5.5.2")


async def test_commands_injected_before_tls_are_dropped(
    counter: Counter, certificate: CertificateFiles, client_context: ssl.SSLContext
) -> None:
    office = Office(trust=False)
    await counter.serve(office, OPTIONS, server_context(certificate))
    client = await counter.greeted()
    client.send(b"STARTTLS\r\nEHLO evil\r\nAUTH PLAIN AGFubmEAc2VjcmV0\r\nRSET\r\n")
    assert (await client.reply()).startswith("220")
    await client.writer.start_tls(client_context, server_hostname="localhost")
    assert (await client.say("MAIL FROM:<a@x.test>")).startswith("503")
    assert office.logins == []


async def test_auth_after_starttls_tells_the_backend_the_server_name(
    counter: Counter, certificate: CertificateFiles, client_context: ssl.SSLContext
) -> None:
    office = Office(trust=False)
    await counter.serve(office, OPTIONS, server_context(certificate))
    client = await counter.greeted()
    await client.starttls(client_context, "mx.test")
    await client.say("EHLO client.test")
    assert (await client.say("AUTH PLAIN AGFubmEAc2VjcmV0")).startswith("235 2.7.0")
    await client.open_data()
    client.send(BODY + b".\r\n")
    assert (await client.reply()).startswith("250")
    assert office.logins == [("anna", "secret", "127.0.0.1", "mx.test")]
    assert office.envelopes[0].tls


async def test_broken_handshake_ends_only_that_connection(
    counter: Counter, certificate: CertificateFiles
) -> None:
    server = await counter.serve(Office(), OPTIONS, server_context(certificate))
    client = await counter.greeted()
    assert (await client.say("STARTTLS")).startswith("220")
    client.send(b"EHLO plain.test\r\n")
    assert await client.reply() not in ("250", "500")
    await (await counter.greeted()).say("NOOP")
    assert (server.counters.tls_failures, server.connections) == (1, 1)


async def test_failed_auth_is_answered_late_and_hung_up_on_at_the_third(counter: Counter) -> None:
    options = SmtpOptions(hostname="mx.test", auth_delay_s=0.1, auth_without_tls=True)
    server = await counter.serve(Office(trust=False), options)
    client = await counter.greeted()
    loop = asyncio.get_running_loop()
    started = loop.time()
    replies = [(await client.say("AUTH PLAIN AGFubmEAd3Jvbmc="))[:9] for _ in range(3)]
    assert replies == ["535 5.7.8", "535 5.7.8", "421 4.7.0"]
    assert loop.time() - started >= 0.3
    assert await client.closed()
    assert server.counters.auth_failures == 3


def send_with_smtplib(port: int, context: ssl.SSLContext, mechanism: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@x.test", "b@y.test", "Grüße"
    message.set_content(".dot\n..dots\n.\nend\n", cte="8bit")
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.starttls(context=context)
        client.ehlo()
        client.user, client.password = "anna", "secret"
        client.auth(mechanism, getattr(client, "auth_" + mechanism.lower()))
        assert client.send_message(message) == {}
        assert client.send_message(message, "a@x.test", ["ä@y.test"]) == {}


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_smtplib_can_submit(counter: Counter, certificate: CertificateFiles, mechanism: str) -> None:
    office = Office(trust=False)
    await counter.serve(office, OPTIONS, server_context(certificate))
    context = ssl.create_default_context(cafile=str(certificate.certificate))
    context.check_hostname = False  # smtplib was given an address
    await asyncio.to_thread(send_with_smtplib, counter.port, context, mechanism)
    plain, utf8 = office.envelopes
    assert plain.body.endswith(b"\r\n\r\n.dot\r\n..dots\r\n.\r\nend\r\n")
    assert (utf8.smtputf8, utf8.recipients) == (True, ("ä@y.test",))


@pytest.mark.parametrize(
    ("office", "reply"),
    [
        (Office(error=RuntimeError("boom")), "451 4.3.0 Internal trouble, try again later"),
        (Office(error=asyncio.CancelledError()), "451 4.3.0 Internal trouble, try again later"),
        (Office(reply=Reply(452, "4.2.2", "Over\r\nquota ü")), "452 4.2.2 Over quota  "),
    ],
)
async def test_message_that_is_not_taken_is_answered(counter: Counter, office: Office, reply: str) -> None:
    server = await counter.serve(office)
    client = await counter.greeted()
    await client.open_data()
    client.send(BODY + b".\r\n")
    assert await client.reply() == reply
    assert await client.say("NOOP") == "250 2.0.0 Ok"
    assert (server.counters.accepted, server.counters.refused) == (0, 1)


async def test_failing_check_is_answered(counter: Counter) -> None:
    server = await counter.serve(Office())
    client = await counter.greeted()
    assert (await client.say("MAIL FROM:<boom@x.test>")).startswith("451 4.3.0")
    assert (await client.say("MAIL FROM:<a@x.test>")).startswith("250")
    assert server.counters.backend_failures == 1


async def test_reply_comes_only_after_the_backend_took_the_message(counter: Counter) -> None:
    office = Office(gate=asyncio.Event())
    await counter.serve(office)
    client = await counter.greeted()
    await client.open_data()
    client.send(BODY + b".\r\nNOOP\r\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.reader.read(1), 0.1)
    assert office.gate is not None
    office.gate.set()
    assert await client.reply() == "250 2.0.0 Queued"
    assert await client.reply() == "250 2.0.0 Ok"


async def test_client_that_leaves_during_the_commit_still_has_its_message_taken(counter: Counter) -> None:
    office = Office(gate=asyncio.Event())
    server = await counter.serve(office)
    client = await counter.greeted()
    await client.open_data()
    client.send(BODY + b".\r\n")
    await office.submitting.wait()
    client.writer.transport.abort()
    await asyncio.sleep(0.05)
    assert server.connections == 1
    assert office.gate is not None
    office.gate.set()
    await server.stop(1)
    assert len(office.envelopes) == 1


async def test_stop_lets_open_transactions_end_and_tells_the_idle(counter: Counter) -> None:
    office = Office()
    server = await counter.serve(office)
    idle, busy = await counter.greeted(), await counter.greeted()
    await busy.open_data()
    stopping = asyncio.create_task(server.stop(5))
    assert await idle.reply() == "421 4.3.2 Shutting down"
    assert await idle.closed()
    with pytest.raises(OSError):
        await counter.connect()
    busy.send(BODY + b".\r\n")
    assert await busy.reply() == "250 2.0.0 Queued"
    assert await busy.reply() == "421 4.3.2 Shutting down"
    await stopping
    assert (server.connections, len(office.envelopes)) == (0, 1)


async def test_stop_cuts_what_does_not_end(counter: Counter) -> None:
    server = await counter.serve(Office(gate=asyncio.Event()))
    stuck, dripping = await counter.greeted(), await counter.greeted()
    for client in (stuck, dripping):
        await client.open_data()
    stuck.send(BODY + b".\r\n")
    await server.stop(0.1)
    assert server.connections == 0
    assert "250" not in (await stuck.reader.read()).decode()


async def test_clients_on_two_ports_share_one_server(counter: Counter) -> None:
    server = await counter.serve(Office())
    await counter.greeted()
    counter.port = await server.start("127.0.0.1", 0)
    client: Client = await counter.greeted()
    assert await client.say("NOOP") == "250 2.0.0 Ok"
    assert server.connections == 2
