"""The sink against the standard library's client."""

import smtplib
import ssl
import time
from collections.abc import Iterator

import pytest

from .client import Sink

MAIL = b"From: a@x.test\r\nMessage-ID: <1@x.test>\r\nSubject: hi\r\n\r\n.dot\r\n..two\r\nend\r\n"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink(keep=True, tls=True, slow_ms=200) as started:
        yield started


@pytest.fixture
def client(sink: Sink) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as connected:
        yield connected


def test_a_mail_is_noted_as_it_was_sent(sink: Sink, client: smtplib.SMTP) -> None:
    client.sendmail("a@x.test", ["first@y.test", "second@y.test"], MAIL)
    found = {mail.recipient: mail for mail in sink.received()}
    assert found["first@y.test"].mail == found["second@y.test"].mail == MAIL
    assert found["first@y.test"].sender == "a@x.test"
    assert found["first@y.test"].message_id == "<1@x.test>"
    assert found["first@y.test"].size == len(MAIL)
    assert abs(found["first@y.test"].at - time.time() * 1000) < 5_000


@pytest.mark.parametrize(
    ("recipient", "code", "enhanced"),
    [
        ("bounce@y.test", 550, b"5.1.1"),
        ("soft-3@y.test", 452, b"4.2.2"),
        ("block+a@y.test", 554, b"5.7.1"),
    ],
)
def test_the_local_part_chooses_the_refusal(
    client: smtplib.SMTP, recipient: str, code: int, enhanced: bytes
) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail("a@x.test", recipient, MAIL)
    assert refused.value.recipients[recipient][0] == code
    assert refused.value.recipients[recipient][1].startswith(enhanced)


def test_tempfail_is_refused_once_and_then_taken(sink: Sink, client: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail("a@x.test", "tempfail-1@y.test", MAIL)
    client.sendmail("a@x.test", "tempfail-1@y.test", MAIL)
    assert sink.counts_by_recipient()["tempfail-1@y.test"] == 1


def test_drop_loses_the_connection_within_the_mail(sink: Sink, client: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.sendmail("a@x.test", "drop@y.test", MAIL + b"x" * 5_000)
    assert sink.counts_by_recipient()["drop@y.test"] == 0


def test_slow_answers_late(client: smtplib.SMTP) -> None:
    started = time.monotonic()
    client.sendmail("a@x.test", "slow@y.test", MAIL)
    assert time.monotonic() - started >= 0.2


def test_pipelined_mails_are_answered_in_order(sink: Sink, client: smtplib.SMTP) -> None:
    client.ehlo()
    for extension in ("pipelining", "8bitmime", "smtputf8", "size", "starttls"):
        assert client.has_extn(extension)
    one = b"MAIL FROM:<a@x.test>\r\nRCPT TO:<pipe@y.test>\r\nRCPT TO:<bounce@y.test>\r\nDATA\r\n"
    client.send(one + b".\r\nMAIL FROM:<>\r\nRCPT TO:<pipe@y.test>\r\nRSET\r\n")
    codes = [client.getreply()[0] for _ in range(8)]
    assert codes == [250, 250, 550, 354, 250, 250, 250, 250]
    assert [mail.size for mail in sink.received() if mail.recipient == "pipe@y.test"] == [0]


def test_starttls_is_spoken(sink: Sink, client: smtplib.SMTP) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    assert client.starttls(context=trusting)[0] == 220
    client.sendmail("a@x.test", "secret@y.test", MAIL)
    assert not client.has_extn("starttls")
    assert sink.counts_by_recipient()["secret@y.test"] == 1


def test_connections_are_counted_and_notes_outlive_a_restart() -> None:
    with Sink() as sink:
        clients = [smtplib.SMTP("127.0.0.1", sink.port, timeout=5) for _ in range(3)]
        clients[0].sendmail("a@x.test", "before@y.test", MAIL)
        for connected in clients:
            connected.close()
        sink.stop()
        sink.start()
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as connected:
            connected.sendmail("a@x.test", "after@y.test", MAIL)
        assert sink.max_connections == 3
        assert [mail.recipient for mail in sink.wait_for(2)] == ["before@y.test", "after@y.test"]
        with pytest.raises(TimeoutError):
            sink.wait_for(3, timeout_s=0.05)
