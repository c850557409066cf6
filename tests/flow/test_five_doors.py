"""One mail through each of the five doors: delivered alike, read back alike, with equal journals."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.factories import DOMAIN, Running, running_node
from tests.flow.world import until
from tests.sink.client import Sink

from postrider.engine import journal, messages
from postrider.engine.messages import Status
from postrider.kit.ids import RowId

SUBJECT, HTML = "Hello", '<p>Hello</p><a href="https://shop.test/offer">Offer</a>'
SENDER = f"shop@{DOMAIN}"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(keep=True) as sink:
        yield sink


@pytest.fixture
async def running(store_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Running]:
    relay = f"smtp://127.0.0.1:{sink.port}"
    async with running_node(store_url, tmp_path / "data", delivery="relay", relay_url=relay) as running:
        yield running


async def post(running: Running, path: str, body: Any, **headers: str) -> Any:
    async with httpx2.AsyncClient(base_url=running.base_url, timeout=30) as client:
        answer = await client.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()


async def mailerlogic(running: Running, to: str) -> None:
    mail = {"from": SENDER, "to": to, "subject": SUBJECT, "html": HTML, "stream_type": "transactional"}
    key = running.account.keys["mailerlogic"]
    await post(running, "/mailerlogic/api/v1/send", mail, **{"X-API-Key": key})


async def penguinmails(running: Running, to: str) -> None:
    mail = {"from": {"email": SENDER}, "to": to, "subject": SUBJECT, "content": {"html": HTML}}
    key = running.account.keys["penguinmails"]
    await post(running, "/penguinmails/api/v1/emails/send", mail, Authorization=f"Bearer {key}")


async def octeth(running: Running, to: str) -> None:
    command = {"Command": "EmailGateway.AddAPI", "APIKey": running.account.keys["octeth"], "DomainID": 1}
    made = await post(running, "/octeth/api.php", {**command, "Description": "Door"})
    mail = {
        "From": {"email": SENDER, "name": "Shop"},
        "To": [{"email": to, "name": "Ann"}],
        "Subject": SUBJECT,
        "ContentType": "html",
        "HtmlContent": HTML,
    }
    bearer = f"Bearer {made['APIKey']['Key']}"
    await post(running, "/octeth/api/v1/email", mail, Authorization=bearer)


async def nudgecampaign(running: Running, to: str) -> None:
    campaigns, key = "/nudgecampaign/v2/campaigns", {"X-API-Key": running.account.keys["nudgecampaign"]}
    draft = {"name": "Door", "subject": SUBJECT, "from_email": SENDER, "html_content": HTML}
    made = await post(running, campaigns, draft, **key)
    await post(running, f"{campaigns}/{made['data']['id']}/test", {"recipients": [to]}, **key)


async def smtp(running: Running, to: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["X-Stream-Type"] = SENDER, to, SUBJECT, "transactional"
    mail.set_content(HTML, subtype="html")

    def hand_in() -> None:
        with smtplib.SMTP("127.0.0.1", running.smtp_port) as client:
            client.starttls()
            client.login(running.account.smtp_username, running.account.smtp_password)
            client.send_message(mail)

    await asyncio.to_thread(hand_in)


Door = Callable[[Running, str], Awaitable[None]]
TAKEN = {"code": 250, "enhanced": "2.0.0", "reply": "Taken"}
DOORS: tuple[Door, ...] = (mailerlogic, penguinmails, octeth, nudgecampaign, smtp)


async def test_five_doors_lead_to_one_engine(running: Running, sink: Sink) -> None:
    for door in DOORS:
        await door(running, f"{door.__name__}@example.com")
    rows = {door.__name__: await delivered(running, f"{door.__name__}@example.com") for door in DOORS}
    journals = {name: await told(running, row.id) for name, row in rows.items()}
    assert journals["mailerlogic"] == [
        ("ACCEPTED", None),
        ("SENT", None),
        ("DELIVERED", {"via": "relay", "host": "127.0.0.1", **TAKEN}),
    ]
    assert [name for name in journals if journals[name] != journals["mailerlogic"]] == []
    received = {mail.recipient.partition("@")[0]: mail.mail for mail in sink.received()}
    assert received.keys() == {door.__name__ for door in DOORS}
    for name, mail in received.items():
        assert b"DKIM-Signature:" in mail, name
        assert b"/track/c/" in mail.replace(b"=\r\n", b""), name
        assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in mail, name
    assert {row.subject for row in rows.values()} == {SUBJECT}


async def test_what_came_in_by_one_door_is_seen_through_the_others(running: Running) -> None:
    for door in DOORS:
        await door(running, f"{door.__name__}@example.com")
        await delivered(running, f"{door.__name__}@example.com")
    key = {"Authorization": f"Bearer {running.account.keys['penguinmails']}"}
    async with httpx2.AsyncClient(base_url=running.base_url, headers=key) as client:
        listed = (await client.get("/penguinmails/api/v1/emails")).json()["data"]
    assert {mail["to"].partition("@")[0] for mail in listed} == {door.__name__ for door in DOORS}
    assert {mail["status"] for mail in listed} == {"delivered"}
    key = {"X-API-Key": running.account.keys["mailerlogic"]}
    async with httpx2.AsyncClient(base_url=running.base_url, headers=key) as client:
        for row in await running.database.read(messages.search, running.account.organization_id, limit=10):
            events = await client.get(f"/mailerlogic/api/v1/emails/{row.group_id.hex()}/events")
            assert [event["event_type"] for event in events.json()["events"]] == [
                "queued",
                "sent",
                "delivered",
            ]


async def delivered(running: Running, address: str) -> Any:
    """The message to this address, once it was delivered."""
    found: list[Any] = []

    async def is_so() -> bool:
        found[:] = await running.database.read(
            messages.search, running.account.organization_id, limit=2, address_key=address
        )
        return len(found) == 1 and Status(found[0].status) is Status.DELIVERED

    await until(is_so, f"delivery to {address}")
    return found[0]


async def told(running: Running, message_id: RowId) -> list[tuple[str, Any]]:
    """The message's events: kind and facts, oldest first."""
    events = await running.database.read(journal.of_messages, running.account.organization_id, [message_id])
    return [(event.kind.name, event.data) for event in events]
