"""What happened with a contact against its contract: items, pages, refusals; and the webhooks of contacts."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.test_nudgecampaign import client_of, error_of
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account, running_node
from tests.flow.hooks import Got, Receiver
from tests.unit.engine.insight.world import World as Mails

from postrider.engine.audience import contacts, lists
from postrider.engine.audience.model import ContactInput, OnKnown
from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id
from postrider.surfaces.nudgecampaign.activity import OPERATIONS
from postrider.surfaces.nudgecampaign.ids import Noun, show

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
(OPERATION,) = OPERATIONS
CONTRACTED = load("nudgecampaign")["getContactActivity"]
ADDRESS = "ann@example.com"
WORDS = ["contact.subscribed", "contact.unsubscribed", "contact.updated", "email.opened"]


@dataclass
class World:
    running: Running
    client: httpx2.AsyncClient
    receiver: Receiver

    async def save(self, **said: Any) -> RowId:
        given = [ContactInput(email=ADDRESS, **said)]
        (saved,) = await self.running.database.write(
            lambda tx: contacts.save(tx, self.running.principal, given, on_known=OnKnown.UPDATE, source="api")
        )
        assert saved.contact_id is not None, saved.faults
        return saved.contact_id

    async def get(self, contact_id: str, **query: Any) -> httpx2.Response:
        return await self.client.get(OPERATION.paths[0].format(contact_id=contact_id), params=query)

    async def told(self, contact_id: RowId, **query: Any) -> dict[str, Any]:
        answer = await self.get(show(Noun.CONTACT, contact_id), **query)
        assert answer.status_code == CONTRACTED.status, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def open(self, at: int) -> None:
        """A mail that is sent and opened."""
        mails = Mails(self.running.database, self.running.account.organization_id)
        mail = mails.mail(at, links=("https://example.com/offer",))
        mails.record(
            mails.event(EventKind.SENT, at + 1, mail),
            mails.event(EventKind.OPENED, at + 1_000, mail, ip="192.168.1.1", user_agent="Mozilla/5.0"),
            mails.event(EventKind.CLICKED, at + 2_000, mail, link=0),
        )


@pytest.fixture
async def world(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        Receiver() as receiver,
        running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running,
        client_of(running, running.account.keys["nudgecampaign"]) as client,
    ):
        yield World(running, client, receiver)


async def test_items_are_as_the_contract_has_them_oldest_first(world: World) -> None:
    contact_id = await world.save()
    world.open(clock.now_ms() + 1_000)
    body = await world.told(contact_id)
    assert not missing_keys(body, CONTRACTED.keys)
    subscribed, *mail = body["data"]
    assert [each["type"] for each in mail] == ["email_sent", "email_opened", "email_clicked"]
    sent, opened, clicked = mail
    assert subscribed["type"] == "contact_subscribed"
    assert subscribed["metadata"] == {"source": "api", "lists": []}
    assert set(sent) == {"type", "campaign_id", "timestamp"}
    assert opened["metadata"] == {"ip_address": "192.168.1.1", "user_agent": "Mozilla/5.0", "location": None}
    assert clicked["metadata"]["url"] == "https://example.com/offer"
    assert [each["timestamp"] for each in body["data"]] == sorted(each["timestamp"] for each in body["data"])
    assert body["meta"] == {"total": 4, "page_size": 20, "has_more": False}
    newest = await world.told(contact_id, sort="-timestamp", **{"fields[activity]": "type"})
    assert newest["data"] == [{"type": each["type"]} for each in body["data"][::-1]]


async def test_pages_follow_each_other_by_their_cursors(world: World) -> None:
    contact_id = await world.save()
    for number in range(3):
        world.open(clock.now_ms() + 1_000 + number)
    whole = (await world.told(contact_id))["data"]
    body = await world.told(contact_id, **{"page[size]": 4})
    seen = body["data"]
    while (following := body["links"]["next"]) is not None:
        answer = await world.client.get(following.removeprefix("/nudgecampaign"))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        seen += body["data"]
    assert (len(whole), seen) == (10, whole)


@SQLITE
async def test_what_is_wrong_is_refused_as_documented(world: World) -> None:
    contact_id = show(Noun.CONTACT, await world.save())
    for bad in ({"page[size]": "101"}, {"page[cursor]": "x"}, {"sort": "name"}, {"filter[type]": "x"}):
        assert error_of(await world.get(contact_id, **bad)) == (400, "ERR_VALIDATION", "validation_error")
    for nowhere in (show(Noun.CONTACT, new_id()), "con_abc123", "%00"):
        assert error_of(await world.get(nowhere))[:2] == (404, "ERR_RESOURCE_NOT_FOUND")
    other = make_account(world.running.database, world.running.sealer, email="other@other.test")
    async with client_of(world.running, other.keys["nudgecampaign"]) as client:
        answer = await World(world.running, client, world.receiver).get(contact_id)
        assert error_of(answer)[:2] == (404, "ERR_RESOURCE_NOT_FOUND")
    async with client_of(world.running, "sk_live_" + "0" * 40) as client:
        answer = await World(world.running, client, world.receiver).get(contact_id)
        assert error_of(answer)[:2] == (401, "ERR_AUTH_INVALID_TOKEN")


async def test_webhooks_tell_of_contacts_by_themselves(world: World) -> None:
    body = {"url": world.receiver.url(), "events": WORDS}
    assert (await world.client.post("/v2/webhooks", json=body)).status_code == 201
    made = await world.running.database.write(
        lambda tx: lists.create(tx, world.running.principal, name="News")
    )
    contact_id = await world.save(lists=[made.id])
    await world.save(company="Acme", properties={"plan": "pro"})
    world.open(clock.now_ms())
    await world.running.database.write(
        contacts.unsubscribe, world.running.principal, contact_id, reason="too_frequent", feedback="Less!"
    )
    posts: list[Got] = await world.receiver.when(lambda posts: len(posts) >= len(WORDS))
    told = {got.json["type"]: got.json["data"] for got in posts}
    for data in told.values():
        assert (data["contact_id"], data["email"]) == (show(Noun.CONTACT, contact_id), ADDRESS)
    metadata = {word: data["metadata"] for word, data in told.items()}
    assert metadata["contact.subscribed"] == {"source": "api", "lists": [show(Noun.LIST, made.id)]}
    assert metadata["contact.unsubscribed"] == {"reason": "too_frequent", "feedback": "Less!"}
    assert metadata["contact.updated"] == {"changed": ["company", "custom_fields.plan"]}


async def test_a_contact_that_objects_to_mail_is_told_so_and_its_counters_are_shown(world: World) -> None:
    """From the events of its mail, by the workers of a running node."""
    contact_id = await world.save()
    world.open(clock.now_ms())
    mails = Mails(world.running.database, world.running.account.organization_id)
    mail = mails.mail(clock.now_ms())
    mails.happen(EventKind.COMPLAINED, clock.now_ms(), mail)
    async with asyncio.timeout(10):
        while True:
            found = await world.running.database.read(contacts.get, world.running.principal, contact_id)
            if found.status.name == "COMPLAINED" and found.clicked:
                break
            await asyncio.sleep(0.05)
    assert (found.sent, found.opened, found.clicked) == (1, 1, 1)
    assert found.score > 0
