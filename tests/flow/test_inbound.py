"""Mail that comes back to a whole node: what it does to the message it is about, and what it leaves alone."""

import asyncio
import os
import smtplib
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.factories import DOMAIN, Running, running_node
from tests.flow import receiver, trouble
from tests.flow.world import WAIT_S, events, message, post, send, status, tried, until
from tests.processes import Postrider, count_rows, free_port, wait_until
from tests.sink.client import Received, Sink

from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Status
from postrider.kit.ids import RowId, new_id
from postrider.surfaces.inbound.post import SIZE_MAX_OCTETS

HOSTNAME = "mx.postrider.test"
NULL = ""
AT_ONCE = 3  # the node reads reports in the threads that these clients take too
TABLES = ("events", "suppressions", "messages")
LACKS = receiver.missing()
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

DSN = """\
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: {return_path}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; ann@example.com
Original-Recipient: rfc822;ann@example.com
Action: {action}
Status: {enhanced}
Remote-MTA: dns; mail.example.com
Diagnostic-Code: smtp; {reply}

--b
Content-Type: message/rfc822

{mail}
--b--
"""
ARF = """\
From: feedback@loop.example.net
To: fbl@mx.postrider.test
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an email abuse report.

--b
Content-Type: message/feedback-report

Feedback-Type: {type}
User-Agent: Loop/1.0
Version: 1

--b
Content-Type: message/rfc822

{mail}
--b--
"""
VACATION = (
    "From: ann@example.com\nSubject: Out of office: Hello\nAuto-Submitted: auto-replied\n\nI am away.\n"
)
OPT_OUT = "From: ann@example.com\nSubject: unsubscribe\n\nPlease.\n"
UNKNOWN_USER = ("5.1.1", "550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown")
FULL = ("5.2.2", "552 5.2.2 <ann@example.com>: Mailbox is over quota")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(keep=True) as sink:
        yield sink


@pytest.fixture
async def running(store_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Running]:
    relay = f"smtp://127.0.0.1:{sink.port}"
    async with running_node(
        store_url, tmp_path / "data", delivery="relay", relay_url=relay, hostname=HOSTNAME
    ) as running:
        yield running


async def deliver(running: Running, sink: Sink) -> tuple[RowId, Received]:
    """A mail that has arrived: its message's id, and how its recipient got it."""
    message_id = await send(running, "ann@example.com")
    (received,) = await asyncio.to_thread(sink.wait_for, 1)
    await tried(running, message_id, 1)
    assert await status(running, message_id) is Status.DELIVERED
    return message_id, received


def bounce(of: Received, said: tuple[str, str] = UNKNOWN_USER, action: str = "failed") -> str:
    enhanced, reply = said
    original = of.mail.decode("latin-1").replace("\r\n", "\n")
    return DSN.format(return_path=of.sender, action=action, enhanced=enhanced, reply=reply, mail=original)


def complaint(about: Received, type: str) -> str:
    return ARF.format(type=type, mail=about.mail.decode("latin-1").replace("\r\n", "\n"))


async def hand_in(running: Running, recipient: str, mail: str, sender: str = NULL) -> tuple[int, bytes]:
    """What the inbound port says at last."""
    return await asyncio.to_thread(_hand_in, running.node.inbound_port, recipient, mail, sender)


def _hand_in(port: int, recipient: str, mail: str, sender: str = NULL) -> tuple[int, bytes]:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        try:
            client.sendmail(sender, [recipient], mail.encode("latin-1"))
        except smtplib.SMTPRecipientsRefused as refused:
            return next(iter(refused.recipients.values()))
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code, bytes(refused.smtp_error)  # type: ignore[arg-type]  # always bytes here
    return 250, b""


async def only(running: Running, message_id: RowId, kind: EventKind) -> dict[str, object]:
    """The data of a message's one event of a kind."""
    (event,) = await events(running, message_id, kind)
    return event.data or {}


async def refusal(running: Running) -> str | None:
    """Why a second mail to ann is refused."""
    answer = await post(
        running, "send", {"from": f"shop@{DOMAIN}", "to": "ann@example.com", "subject": "x", "text": "x"}
    )
    return None if answer.status_code == 200 else str(answer.json()["error"])


async def counts(running: Running) -> dict[str, int]:
    return await running.database.read(count_rows, TABLES)


async def counted(running: Running, kind: str) -> float:
    async with httpx2.AsyncClient(base_url=running.base_url) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    head = f'postrider_inbound_total{{kind="{kind}"}} '
    return sum(float(line.removeprefix(head)) for line in lines if line.startswith(head))


async def test_a_reported_bounce_suppresses_the_address_and_leaves_the_delivery(
    running: Running, sink: Sink
) -> None:
    message_id, received = await deliver(running, sink)
    assert await hand_in(running, received.sender, bounce(received)) == (250, b"")
    data = await only(running, message_id, EventKind.BOUNCED)
    assert {name: data[name] for name in ("class", "code", "enhanced", "source", "reporting_mta")} == {
        "class": "hard",
        "code": 550,
        "enhanced": "5.1.1",
        "source": "report",
        "reporting_mta": "mx.example.net",
    }
    assert data["rule"]
    assert data["reply"] == UNKNOWN_USER[1]
    row = await message(running, message_id)
    assert (Status(row.status), row.first_bounced_at is not None) == (Status.DELIVERED, True)
    assert await refusal(running) == "recipient_suppressed"
    assert await counted(running, "bounced") == 1


async def test_the_same_report_twice_changes_nothing(running: Running, sink: Sink) -> None:
    _, received = await deliver(running, sink)
    await hand_in(running, received.sender, bounce(received))
    before = await counts(running)
    assert await hand_in(running, received.sender, bounce(received)) == (250, b"")
    assert (await counts(running), await counted(running, "repeated")) == (before, 1)


async def test_reports_that_come_at_once_leave_one_bounce(running: Running, sink: Sink) -> None:
    message_id, received = await deliver(running, sink)
    handed = [hand_in(running, received.sender, bounce(received)) for _ in range(AT_ONCE)]
    assert await asyncio.gather(*handed) == [(250, b"")] * AT_ONCE
    await only(running, message_id, EventKind.BOUNCED)
    assert (await counted(running, "bounced"), await counted(running, "repeated")) == (1, AT_ONCE - 1)


async def test_a_soft_bounce_is_said_once_and_a_hard_one_after_it_still_counts(
    running: Running, sink: Sink
) -> None:
    message_id, received = await deliver(running, sink)
    for said in (FULL, FULL, UNKNOWN_USER, FULL):
        assert await hand_in(running, received.sender, bounce(received, said)) == (250, b"")
    found = await events(running, message_id, EventKind.BOUNCED)
    assert [(event.data or {})["class"] for event in found] == ["soft", "hard"]
    assert await refusal(running) == "recipient_suppressed"


@SQLITE
async def test_a_soft_report_after_a_bounce_at_the_door_adds_nothing(running: Running, sink: Sink) -> None:
    message_id = await send(running, "bounce@example.com")
    await tried(running, message_id, 1)
    token = running.sealer.message_token(running.account.organization_id, message_id)
    back = Received("bounce@example.com", f"b+{token}@{HOSTNAME}", None, 0, 0, b"Subject: Hello\n\n")
    for said in (FULL, UNKNOWN_USER):
        assert await hand_in(running, back.sender, bounce(back, said)) == (250, b"")
    assert "source" not in await only(running, message_id, EventKind.BOUNCED)


@SQLITE
async def test_a_report_that_delivery_is_delayed_is_no_bounce(running: Running, sink: Sink) -> None:
    _, received = await deliver(running, sink)
    before = await counts(running)
    delayed = bounce(received, ("4.4.1", "451 4.4.1 Connection timed out"), action="delayed")
    assert await hand_in(running, received.sender, delayed) == (250, b"")
    assert (await counts(running), await counted(running, "delayed")) == (before, 1)


async def test_a_complaint_finds_its_message_and_suppresses(running: Running, sink: Sink) -> None:
    message_id, received = await deliver(running, sink)
    for _ in range(2):
        mail = complaint(received, "abuse")
        assert await hand_in(running, f"fbl@{HOSTNAME}", mail, "fbl@loop.example.net") == (250, b"")
    data = await only(running, message_id, EventKind.COMPLAINED)
    assert data == {"type": "abuse", "source": "feedback-loop"}
    assert await refusal(running) == "recipient_suppressed"
    assert (await counted(running, "complained"), await counted(running, "repeated")) == (1, 1)


@SQLITE
async def test_feedback_of_the_opt_out_type_unsubscribes(running: Running, sink: Sink) -> None:
    message_id, received = await deliver(running, sink)
    await hand_in(running, f"fbl@{HOSTNAME}", complaint(received, "opt-out"))
    assert (await only(running, message_id, EventKind.UNSUBSCRIBED))["source"] == "feedback-loop"
    assert await events(running, message_id, EventKind.COMPLAINED) == []


@SQLITE
async def test_feedback_that_a_mail_is_no_spam_changes_nothing(running: Running, sink: Sink) -> None:
    _, received = await deliver(running, sink)
    before = await counts(running)
    assert await hand_in(running, f"fbl@{HOSTNAME}", complaint(received, "not-spam")) == (250, b"")
    assert (await counts(running), await counted(running, "no-objection")) == (before, 1)


async def test_a_mail_to_the_opt_out_address_unsubscribes(running: Running, sink: Sink) -> None:
    message_id, received = await deliver(running, sink)
    address = received.sender.replace("b+", "unsubscribe+")
    assert address.encode() in received.mail.replace(b"\r\n ", b"")
    for _ in range(2):
        assert await hand_in(running, address, OPT_OUT, "ann@example.com") == (250, b"")
    assert (await only(running, message_id, EventKind.UNSUBSCRIBED))["source"] == "mail"
    assert await refusal(running) == "recipient_unsubscribed"


async def test_an_automatic_reply_changes_nothing(running: Running, sink: Sink) -> None:
    _, received = await deliver(running, sink)
    before = await counts(running)
    for recipient in (received.sender, received.sender.replace("b+", "unsubscribe+")):
        assert await hand_in(running, recipient, VACATION) == (250, b"")
    assert (await counts(running), await counted(running, "auto-reply")) == (before, 2)


@SQLITE
async def test_a_report_on_a_message_that_is_not_there_is_taken_and_does_nothing(
    running: Running, sink: Sink
) -> None:
    _, received = await deliver(running, sink)
    before = await counts(running)
    token = running.sealer.message_token(running.account.organization_id, new_id())
    assert await hand_in(running, f"b+{token}@{HOSTNAME}", bounce(received)) == (250, b"")
    assert (await counts(running), await counted(running, "gone")) == (before, 1)


@SQLITE
async def test_what_is_no_address_of_ours_is_refused(running: Running) -> None:
    token = "a" * 47
    for recipient in (f"ann@{HOSTNAME}", f"b+{token}@{HOSTNAME}", "fbl@elsewhere.test", "ann@example.com"):
        code, text = await hand_in(running, recipient, OPT_OUT, "ann@example.com")
        assert (code, text[:5]) == (550, b"5.1.1"), recipient


@SQLITE
async def test_a_mail_that_is_too_long_is_refused(running: Running) -> None:
    filling = ("x" * 76 + "\n") * (SIZE_MAX_OCTETS // 77 + 1)
    code, text = await hand_in(running, f"fbl@{HOSTNAME}", OPT_OUT + filling)
    assert (code, text[:5]) == (552, b"5.3.4")


@SQLITE
async def test_the_port_offers_tls_and_no_auth(running: Running) -> None:
    def ask() -> tuple[list[str], list[str]]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # self-signed
        with smtplib.SMTP("127.0.0.1", running.node.inbound_port, timeout=20) as client:
            client.ehlo()
            plain = list(client.esmtp_features)
            client.starttls(context=context)
            client.ehlo()
            return plain, list(client.esmtp_features)

    plain, secured = await asyncio.to_thread(ask)
    assert "starttls" in plain
    assert "auth" not in plain + secured


@pytest.mark.long
def test_where_the_store_is_away_the_report_is_asked_for_again(
    store_url: str, tmp_path: Path, sink: Sink
) -> None:
    relay = f"smtp://127.0.0.1:{sink.port}"
    with Postrider(store_url, tmp_path, delivery="relay", relay_url=relay, hostname=HOSTNAME) as server:
        mail = {"from": f"shop@{DOMAIN}", "to": "ann@example.com", "subject": "Hello", "text": "Hello"}
        assert server.send(mail).status == 200
        (received,) = sink.wait_for(1)
        away = trouble.locked if store_url.startswith("sqlite") else trouble.lost
        with away(server.store_url):
            code, text = _hand_in(server.inbound_port, received.sender, bounce(received))
        assert (code, text[:5]) == (451, b"4.3.0")
        wait_until(lambda: server.health() == 200, "healthy again", timeout_s=WAIT_S)
        assert bounces(server) == 0
        assert _hand_in(server.inbound_port, received.sender, bounce(received)) == (250, b"")
        server.kill()  # what was answered with 250 is on disk
        server.start()
        assert bounces(server) == 1


def bounces(server: Postrider) -> int:
    return int(server.scalar(f"SELECT count(*) FROM events WHERE kind = {int(EventKind.BOUNCED)}"))


@pytest.mark.long
@pytest.mark.skipif(bool(LACKS) and os.environ.get("CI") != "true", reason=f"lacks {LACKS}")
@SQLITE
async def test_what_postfix_sends_back_by_itself_is_a_bounce(
    store_url: str, tmp_path: Path, sink: Sink
) -> None:
    inbound_port = free_port()
    routes = f"transport_maps = inline:{{ {HOSTNAME}=smtp:[127.0.0.1]:{inbound_port} }}\n"
    with receiver.Postfix(next_hop=sink.port, more=routes + "smtp_tls_security_level = may\n") as postfix:
        async with running_node(
            store_url,
            tmp_path / "data",
            delivery="relay",
            relay_url=f"smtp://127.0.0.1:{postfix.port}",
            hostname=HOSTNAME,
            inbound_port=inbound_port,
        ) as running:
            message_id = await send(running, "bounce@elsewhere.test")
            reported = await _reported(running, message_id)
            assert await status(running, message_id) is Status.DELIVERED  # by the relay, as far as we knew
    data = reported.data or {}
    assert [data[name] for name in ("class", "code", "enhanced", "source")] == [
        "hard",
        550,
        "5.1.1",
        "report",
    ]
    assert data["reporting_mta"] == "mx.bench.test"
    assert "No such user here" in data["reply"]


async def _reported(running: Running, message_id: RowId) -> Event:
    async def is_so() -> bool:
        return bool(await events(running, message_id, EventKind.BOUNCED))

    await until(is_so, "Postfix has sent it back", timeout_s=30)
    (event,) = await events(running, message_id, EventKind.BOUNCED)
    return event
