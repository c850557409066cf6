"""Mail that a program hands in with SMTP, from AUTH to the far end."""

import asyncio
import email
import smtplib
import ssl
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path
from typing import Any

import dkim
import pytest
from tests.factories import DOMAIN, Running, make_domain, running_node
from tests.flow.world import published, suppress
from tests.processes import count_rows
from tests.sink.client import Sink

from postrider.engine import accounts, messages
from postrider.engine.messages import Stream
from postrider.engine.suppression import Class, Reason

OTHER_DOMAIN = "other.example.test"
TABLES = ("messages", "contents")
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(keep=True) as sink:
        yield sink


@pytest.fixture
async def running(store_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Running]:
    relay = f"smtp://127.0.0.1:{sink.port}"
    async with running_node(store_url, tmp_path / "data", delivery="relay", relay_url=relay) as running:
        yield running


def mail(sender: str = f"Shop <shop@{DOMAIN}>", to: str = "ann@example.com", **headers: str) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = sender, to, "Ein schöner Gruß"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content("Grüße: https://shop.example/offer?from=mail\n")
    made.add_alternative(
        '<p>Grüße <a href="https://shop.example/offer?from=mail">here</a></p>', subtype="html"
    )
    return made


async def submit(running: Running, message: EmailMessage, *login: str) -> tuple[int, bytes]:
    """STARTTLS, AUTH, one mail; answers the code and text of the reply that ended it."""
    account = running.account
    return await asyncio.to_thread(
        _submit, running.smtp_port, message, login or (account.smtp_username, account.smtp_password)
    )


def _submit(port: int, message: EmailMessage, login: tuple[str, ...]) -> tuple[int, bytes]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # self-signed
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.starttls(context=context)
        try:
            client.login(*login)
            client.send_message(message)
        except smtplib.SMTPResponseException as refusal:
            return refusal.smtp_code, bytes(refusal.smtp_error)  # type: ignore[arg-type]  # always bytes here
        except smtplib.SMTPRecipientsRefused as refusal:
            return next(iter(refusal.recipients.values()))
    return 250, b""


async def counts(running: Running) -> dict[str, int]:
    return await running.database.read(count_rows, TABLES)


async def credential(running: Running, **limits: Any) -> tuple[str, str]:
    made, password = await running.database.write(
        lambda tx: accounts.create_smtp(
            tx, running.principal, name="App", sender_domain=DOMAIN, sealer=running.sealer, **limits
        )
    )
    assert made.username is not None
    return made.username, password


async def test_a_submitted_mail_arrives_signed_with_its_links_tracked(running: Running, sink: Sink) -> None:
    assert await submit(running, mail(X_Order="17")) == (250, b"")
    (received,) = await asyncio.to_thread(sink.wait_for, 1)
    records = await published(running)
    assert dkim.verify(received.mail, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")])
    parsed = email.message_from_bytes(received.mail, policy=default)
    assert (parsed["Subject"], parsed["X-Order"], parsed["To"]) == (
        "Ein schöner Gruß",
        "17",
        "ann@example.com",
    )
    html = parsed.get_body(("html",))
    assert html is not None
    assert "/track/c/" in html.get_content()
    assert "/track/o/" in html.get_content()
    assert "https://shop.example/offer" not in html.get_content()
    assert received.sender.endswith("@mx.postrider.test")  # bounces come back to us
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in received.mail


@SQLITE
@pytest.mark.parametrize(
    ("word", "stream"),
    [("transactional", Stream.TRANSACTIONAL), ("Broadcast", Stream.BROADCAST), ("nonsense", Stream.SHARED)],
)
async def test_x_stream_type_chooses_the_stream_and_does_not_leave(
    running: Running, sink: Sink, word: str, stream: Stream
) -> None:
    assert await submit(running, mail(X_Stream_Type=word)) == (250, b"")
    (received,) = await asyncio.to_thread(sink.wait_for, 1)
    assert b"x-stream-type" not in received.mail.lower()
    streams = await running.database.read(
        lambda tx: [row[0] for row in tx.exec_driver_sql("SELECT stream FROM messages")]
    )
    assert streams == [stream]


@SQLITE
async def test_a_blind_copy_reaches_its_recipient_and_nobody_reads_of_it(
    running: Running, sink: Sink
) -> None:
    message = mail()
    message["Bcc"] = "blind@example.com"
    assert await submit(running, message) == (250, b"")
    received = await asyncio.to_thread(sink.wait_for, 2)
    assert {each.recipient for each in received} == {"ann@example.com", "blind@example.com"}
    assert all(b"blind@example.com" not in each.mail for each in received)


@SQLITE
async def test_a_wrong_password_is_535_and_nothing_is_taken(running: Running) -> None:
    before = await counts(running)
    code, text = await submit(running, mail(), running.account.smtp_username, "smtp_wrong")
    assert (code, text[:5]) == (535, b"5.7.8")
    assert await counts(running) == before


@SQLITE
@pytest.mark.parametrize("sender", ["shop@elsewhere.test", f"shop@{DOMAIN}.evil.test", f"shop@sub.{DOMAIN}"])
async def test_a_from_of_a_foreign_domain_is_refused(running: Running, sender: str) -> None:
    before = await counts(running)
    code, text = await submit(running, mail(sender))
    assert (code, text[:5]) == (550, b"5.7.1")
    assert await counts(running) == before


async def test_a_restricted_credential_sends_from_its_domain_only(running: Running, sink: Sink) -> None:
    other = make_domain(running.database, running.sealer, running.account.organization_id, OTHER_DOMAIN)
    login = await credential(running, domain_id=other.id)
    code, text = await submit(running, mail(), *login)
    assert (code, text[:5]) == (550, b"5.7.1")
    assert await submit(running, mail(f"shop@{OTHER_DOMAIN}"), *login) == (250, b"")
    assert len(await asyncio.to_thread(sink.wait_for, 1)) == 1


@SQLITE
async def test_a_switched_off_credential_is_535(running: Running) -> None:
    login = await credential(running)
    (found,) = [
        each
        for each in await running.database.read(accounts.list_smtp, running.principal)
        if each.username == login[0]
    ]
    await running.database.write(
        lambda tx: accounts.set_smtp_status(tx, running.principal, found.id, is_active=False)
    )
    assert (await submit(running, mail(), *login))[0] == 535


async def test_a_suppressed_recipient_is_refused(running: Running) -> None:
    await suppress(running, "ann@example.com", Class.BLOCK, Reason.HARD_BOUNCE)
    before = await counts(running)
    code, text = await submit(running, mail(to="Ann@Example.com"))
    assert (code, text[:5]) == (550, b"5.7.1")
    assert await counts(running) == before


@SQLITE
async def test_of_several_recipients_only_the_suppressed_one_is_left_out(
    running: Running, sink: Sink
) -> None:
    await suppress(running, "gone@example.com", Class.BLOCK, Reason.HARD_BOUNCE)
    assert await submit(running, mail(to="ann@example.com, gone@example.com")) == (250, b"")
    await asyncio.to_thread(sink.wait_for, 1)
    rows = await running.database.read(messages.search, running.account.organization_id, limit=10)
    assert sorted((row.recipient, messages.Status(row.status).name) for row in rows)[1][1] == "SUPPRESSED"
    assert set(sink.counts_by_recipient()) == {"ann@example.com"}
