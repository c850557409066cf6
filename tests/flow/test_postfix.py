"""What Postfix received of us verifies, by dkimpy and by OpenDKIM, whatever is in it, whichever its door."""

import asyncio
import base64
import smtplib
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import dkim
import pytest
from tests.factories import DOMAIN, Running, running_node
from tests.flow import receiver
from tests.flow.world import post, published

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(receiver.missing()), reason=f"lacks {receiver.missing()}"),
    pytest.mark.parametrize("store_url", ["sqlite"], indirect=True),
]

PDF = base64.b64encode(bytes(range(256)) * 400).decode()
LONG_LINE = "All work and no play " * 200
MAILS: dict[str, dict[str, Any]] = {
    "plain text": {"text": "Hello\n.\n..\n\nFrom here on\n \n\n"},
    "html and text": {
        "html": '<p>Hello <a href="https://shop.example/?a=1&amp;b=2">here</a></p>',
        "text": f"Hello https://shop.example/\n{LONG_LINE}\n",
    },
    "attachments": {
        "html": '<p><img src="cid:logo"></p>',
        "attachments": [
            {"filename": "paper.pdf", "content": PDF, "content_type": "application/pdf"},
            {"filename": "logo.png", "content": PDF, "content_id": "logo", "disposition": "inline"},
        ],
    },
    "non-ASCII": {
        "subject": "Grüße, 你好 — " + "größer " * 30,
        "from": f'"Jürgen, Ünal" <shop@{DOMAIN}>',
        "to": "Zoë 你好 <ann@example.com>",
        "text": "Schöne Grüße 你好\n" * 20,
        "html": "<p>Schöne Grüße 你好 🎉</p>",
    },
    "bare line": {"text": "x"},
}


@pytest.fixture
def postfix() -> Iterator[receiver.Postfix]:
    with receiver.Postfix() as postfix:
        yield postfix


@pytest.fixture
async def running(store_url: str, tmp_path: Path, postfix: receiver.Postfix) -> AsyncIterator[Running]:
    relay = f"smtp://127.0.0.1:{postfix.port}"
    async with running_node(store_url, tmp_path / "data", delivery="relay", relay_url=relay) as running:
        yield running


@pytest.mark.parametrize("mail", MAILS.values(), ids=MAILS)
async def test_a_mail_sent_over_http_verifies(
    running: Running, postfix: receiver.Postfix, tmp_path: Path, mail: dict[str, Any]
) -> None:
    whole = {"from": f"shop@{DOMAIN}", "to": "ann@example.com", "subject": "Hello", **mail}
    assert (await post(running, "send", whole)).status_code == 200
    await assert_verifies(running, postfix, tmp_path)


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64", "8bit", "7bit"])
async def test_a_mail_submitted_over_smtp_verifies(
    running: Running, postfix: receiver.Postfix, tmp_path: Path, encoding: str
) -> None:
    await asyncio.to_thread(_submit, running, encoding)
    await assert_verifies(running, postfix, tmp_path)


async def test_a_mail_that_was_changed_on_its_way_does_not_verify(
    running: Running, postfix: receiver.Postfix, tmp_path: Path
) -> None:
    mail = {"from": f"shop@{DOMAIN}", "to": "ann@example.com", "subject": "Hello", "text": "Pay 10"}
    assert (await post(running, "send", mail)).status_code == 200
    (kept,) = await asyncio.to_thread(postfix.wait_for, 1)
    records = await published(running)
    for changed in (kept.replace(b"Pay 10", b"Pay 99"), kept.replace(b"Subject: Hello", b"Subject: Hallo")):
        assert changed != kept
        assert not _by_dkimpy(changed, records)
        assert not _by_opendkim(changed, records, tmp_path)


async def assert_verifies(running: Running, postfix: receiver.Postfix, folder: Path) -> None:
    (kept,) = await asyncio.to_thread(postfix.wait_for, 1)
    records = await published(running)
    assert _by_dkimpy(kept, records)
    assert _by_opendkim(kept, records, folder), receiver.judged_by_opendkim(kept, records, folder)


def _by_dkimpy(mail: bytes, records: dict[str, bytes]) -> bool:
    return bool(dkim.verify(mail, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")]))


def _by_opendkim(mail: bytes, records: dict[str, bytes], folder: Path) -> bool:
    return (
        "verification (s=" in (said := receiver.judged_by_opendkim(mail, records, folder))
        and "succeeded" in said
    )


def _submit(running: Running, encoding: str) -> None:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = f"Shop <shop@{DOMAIN}>", "ann@example.com", "Schöne Grüße"
    text = "Hello\n.\n..\nFrom me\n" + ("" if encoding == "7bit" else "Schöne Grüße 你好\n" * 30)
    mail.set_content(text, cte=encoding)
    account = running.account
    with smtplib.SMTP("127.0.0.1", running.smtp_port, timeout=20) as client:
        client.starttls()
        client.login(account.smtp_username, account.smtp_password)
        client.send_message(mail)
