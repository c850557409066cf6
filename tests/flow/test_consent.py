"""What a contact's record of consent leads to: mail that is stopped, openings that nobody records."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.factories import Running, running_node
from tests.flow.reader import deliver, recorded
from tests.flow.world import events, post, send, status, tried
from tests.sink.client import Sink

from postrider.engine import suppression
from postrider.engine.audience import contacts
from postrider.engine.audience.model import Consent, ContactInput, OnKnown
from postrider.engine.journal import EventKind
from postrider.engine.messages import Status
from postrider.engine.suppression import Class, Entry, Reason, Scope

ANN = "ann@example.com"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(keep=True) as sink:
        yield sink


@pytest.fixture
async def running(store_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Running]:
    relay = {"delivery": "relay", "relay_url": f"smtp://127.0.0.1:{sink.port}"}
    async with running_node(store_url, tmp_path / "data", **relay) as running:
        yield running


async def say(running: Running, consent: Consent, email: str = ANN) -> None:
    given = [ContactInput(email=email, consent=consent)]

    def save(tx: Any) -> None:
        (saved,) = contacts.save(tx, running.principal, given, on_known=OnKnown.UPDATE, source="api")
        assert not saved.faults

    await running.database.write(save)


async def entries(running: Running, email: str = ANN) -> list[tuple[str, str]]:
    """The scope and source of what stands on the address."""
    key = (running.account.organization_id, email)
    found = await running.database.read(suppression.check, [key])
    return sorted((entry.scope_id, entry.source) for entry in found.get(key, ()))


async def is_mailed(running: Running, stream: str) -> bool:
    answer = await post(
        running, "send", {"from": "a@mail.example.com", "to": ANN, "subject": "x", "text": "x"}
        | {"from": f"Shop <hello@{running.domain.name}>", "stream_type": stream},
    )  # fmt: skip
    return answer.status_code == 200


async def test_who_refuses_marketing_gets_no_broadcast_mail_until_it_agrees(running: Running) -> None:
    await say(running, Consent(email_marketing=False))
    assert await entries(running) == [("broadcast", "consent")]
    assert not await is_mailed(running, "broadcast")
    assert await is_mailed(running, "transactional")
    assert await is_mailed(running, "shared")
    await say(running, Consent(tracking=True))
    assert await entries(running) == [("broadcast", "consent")], "nothing said takes nothing back"
    await say(running, Consent(email_marketing=True))
    assert await entries(running) == []
    assert await is_mailed(running, "broadcast")


async def test_an_agreement_takes_back_no_opt_out_said_otherwise(running: Running) -> None:
    theirs = Entry(
        running.account.organization_id, ANN, Scope.STREAM, "broadcast", Class.OPTOUT,
        Reason.UNSUBSCRIBED.value, "link",
    )  # fmt: skip
    await running.database.write(suppression.add, [theirs])
    await say(running, Consent(email_marketing=False))
    await say(running, Consent(email_marketing=True))
    assert await entries(running) == [("broadcast", "link")]


async def test_a_refusal_goes_with_its_owner_to_another_address(running: Running) -> None:
    await say(running, Consent(email_marketing=False))
    principal, db = running.principal, running.database
    known = await db.read(contacts.by_address, principal, ANN)
    await db.write(contacts.change, principal, known.id, ContactInput(email="anna@example.com"))
    assert await entries(running, "anna@example.com") == [("broadcast", "consent")]


async def test_flags_that_nobody_said_refuse_nothing(running: Running) -> None:
    """PenguinMails shows them as false, for its clients know no third value."""
    key = {"Authorization": f"Bearer {running.account.keys['penguinmails']}"}
    base = f"{running.base_url}/penguinmails/api/v1/contacts"
    async with httpx2.AsyncClient(headers=key) as http:
        for email, said in ((ANN, {"sms_marketing": True}), ("ben@example.com", {"email_marketing": False})):
            made = (await http.post(base, json={"email": email, "consent": said})).json()["data"]
            shown = {flag: made["consent"][flag] for flag in ("email_marketing", "tracking")}
            assert shown == {"email_marketing": False, "tracking": False}
    assert await entries(running) == []
    assert await entries(running, "ben@example.com") == [("broadcast", "consent")]


async def test_nothing_is_recorded_of_who_refuses_to_be_tracked(running: Running, sink: Sink) -> None:
    message_id, mail = await deliver(running, sink)
    await say(running, Consent(tracking=False))
    async with httpx2.AsyncClient(base_url=running.base_url) as http:
        assert (await http.get(mail.pixel)).status_code == 200
        assert (await http.get(mail.clicks[0])).status_code == 302, "the link leads where it should"
    other = await send(running, "ben@example.com", html="<p>Hi</p>", track_opens=True)
    await tried(running, other, 1)
    await asyncio.sleep(2.5)  # past the window in which hits are judged
    for kind in (EventKind.OPENED, EventKind.CLICKED, EventKind.RECLASSIFIED):
        assert await events(running, message_id, kind) == []
    await say(running, Consent(tracking=True))
    async with httpx2.AsyncClient(base_url=running.base_url) as http:
        await http.get(mail.pixel)
    await recorded(running, message_id, EventKind.OPENED, 1)
    assert await status(running, message_id) is Status.DELIVERED
