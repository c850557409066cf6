"""Webhooks through a whole node, to a receiver on aiohttp: signed posts in each format, and refusals."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.octeth_client import sender_of
from tests.factories import Running, running_node
from tests.flow.hooks import Receiver
from tests.flow.verification.penguinmails import verify_webhook_signature
from tests.sink.dns import DnsServer

from postrider.engine import messages
from postrider.engine.webhooks.deliver import POSTS_AT_ONCE

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
MAIL = {
    "to": "ann@example.com",
    "subject": "Grüße",
    "html": '<a href="https://shop.test/offer">Offer</a>',
    "tag": "welcome",
    "metadata": {"customer": 7},
    "headers": {"X-Order": "12"},
}
EVENTS = [
    "email.sent",
    "email.delivered",
    "email.opened",
    "email.clicked",
    "email.bounced",
    "email.unsubscribed",
]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def running(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running:
        yield running


def mailerlogic(running: Running) -> httpx2.AsyncClient:
    headers = {"X-API-Key": running.account.keys["mailerlogic"]}
    return httpx2.AsyncClient(base_url=f"{running.base_url}/mailerlogic/api/v1", headers=headers)


def penguinmails(running: Running) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {running.account.keys['penguinmails']}"}
    return httpx2.AsyncClient(base_url=f"{running.base_url}/penguinmails/api/v1", headers=headers)


async def logged(client: httpx2.AsyncClient, webhook_id: str, count: int) -> list[dict[str, Any]]:
    """A PenguinMails endpoint's log, once it has so many lines."""
    async with asyncio.timeout(15):
        while True:
            lines = (await client.get(f"/webhooks/{webhook_id}/deliveries")).json()["data"]
            if len(lines) >= count:
                return list(lines)
            await asyncio.sleep(0.02)


async def test_one_mail_is_told_in_both_formats_each_signed_its_way(
    running: Running, receiver: Receiver
) -> None:
    async with mailerlogic(running) as flat, penguinmails(running) as wrapped:
        new = {"url": receiver.url("/flat"), "events": EVENTS}
        made = (await flat.post("/customer/webhooks", json=new)).json()["webhook"]
        other = {"url": receiver.url("/wrapped"), "events": EVENTS, "secret": "your-webhook-secret"}
        registered = (await wrapped.post("/webhooks", json=other)).json()["data"]
        sent = (await flat.post("/send", json=MAIL)).json()
        flat_posts = await receiver.until(2, "/flat")
        wrapped_posts = await receiver.until(2, "/wrapped")
        lines = await logged(wrapped, registered["id"], 2)

    said = {got.json["event"]: got for got in flat_posts}
    assert set(said) == {"email.sent", "email.delivered"}
    delivered = said["email.delivered"].json
    assert delivered == {
        "event": "email.delivered",
        "timestamp": delivered["timestamp"],
        "email_id": sent["messageId"],
        "to": "ann@example.com",
        "from": delivered["from"],
        "subject": "Grüße",
        "deliveredAt": delivered["timestamp"],
        "tag": "welcome",
        "metadata": {"customer": 7},
        "headers": {"X-Order": "12"},
    }
    for got in flat_posts:
        expected = hmac.new(made["secret"].encode(), got.body, hashlib.sha256).hexdigest()
        assert got.headers["x-webhook-signature"] == expected
        assert got.headers["content-type"] == "application/json"

    told = {got.json["type"]: got for got in wrapped_posts}
    assert set(told) == {"email.sent", "email.delivered"}
    got = told["email.delivered"]
    assert got.json["data"]["email"]["subject"] == "Grüße"
    assert got.json["data"]["email"]["opened_at"] is None
    assert got.json["data"]["campaign"] is None
    assert got.headers["x-penguinmails-event"] == "email.delivered"
    assert got.headers["user-agent"] == "PenguinMails-Webhooks/1.0"
    for got in wrapped_posts:
        signature = got.headers["x-penguinmails-signature"]
        assert verify_webhook_signature(got.body.decode(), signature, "your-webhook-secret")
        assert not verify_webhook_signature(got.body.decode() + " ", signature, "your-webhook-secret")
    assert {line["event_id"] for line in lines} == {got.json["id"] for got in wrapped_posts}
    assert {(line["status"], line["status_code"], line["attempt_number"]) for line in lines} == {
        ("success", 200, 1)
    }


@SQLITE
async def test_openings_clicks_and_opt_outs_are_told(running: Running, receiver: Receiver) -> None:
    async with mailerlogic(running) as client:
        wanted = ["email.opened", "email.clicked", "email.unsubscribed"]
        await client.post("/customer/webhooks", json={"url": receiver.url(), "events": wanted})
        await client.post("/send", json=MAIL)
        token = await first_token(running)
        async with httpx2.AsyncClient(base_url=running.base_url, headers={"User-Agent": "Reader"}) as reader:
            assert (await reader.get(f"/track/o/{token}")).status_code == 200
            assert (await reader.get(f"/track/c/{token}.0")).status_code in (302, 303, 307)
            assert (await reader.post(f"/track/u/{token}", data={"List-Unsubscribe": "One-Click"})).is_success
        said = {got.json["event"]: got.json for got in await receiver.until(3)}
    assert said["email.clicked"]["url"] == "https://shop.test/offer"
    assert said["email.opened"]["user_agent"] == "Reader"
    assert "email_id" not in said["email.unsubscribed"]
    assert (said["email.unsubscribed"]["email"], said["email.unsubscribed"]["method"]) == (
        "ann@example.com",
        "one-click",
    )


async def first_token(running: Running) -> str:
    async with asyncio.timeout(10):
        while True:
            rows = await running.database.read(messages.search, running.account.organization_id, limit=1)
            if rows and rows[0].first_delivered_at:
                return running.sealer.message_token(running.account.organization_id, rows[0].id)
            await asyncio.sleep(0.02)


@SQLITE
async def test_bounces_are_told_with_what_the_far_end_said(running: Running, receiver: Receiver) -> None:
    async with mailerlogic(running) as client:
        await client.post("/customer/webhooks", json={"url": receiver.url(), "events": ["bounced"]})
        mail = {**MAIL, "to": "bounce@simulator.postrider.test"}
        await client.post("/send", json=mail)
        (got,) = await receiver.until(1)
    assert (got.json["event"], got.json["bounce_type"]) == ("email.bounced", "hard")
    assert got.json["diagnostic_code"].startswith("5")
    assert got.json["reason"]


async def test_an_endpoint_of_one_domain_hears_of_that_domain_only(
    running: Running, receiver: Receiver
) -> None:
    async with mailerlogic(running) as client:
        other = (await client.post("/customer/domains", json={"domain": "other.example.test"})).json()
        own = (await client.get("/customer/domains")).json()["domains"][0]["id"]
        for path, domain_id in (("/own", own), ("/other", other["domain"]["id"])):
            new = {"url": receiver.url(path), "events": ["email.delivered"], "domain_ids": [domain_id]}
            made = (await client.post("/customer/webhooks", json=new)).json()["webhook"]
            assert made["domain_ids"] == [domain_id]
            assert [each["id"] for each in made["domains"]] == [domain_id]
        await client.post("/send", json=MAIL)
        await receiver.until(1, "/own")
        await asyncio.sleep(0.5)
    assert (len(receiver.at("/own")), receiver.at("/other")) == (1, [])


@SQLITE
async def test_an_endpoint_of_a_deleted_domain_hears_nothing_more(
    running: Running, receiver: Receiver
) -> None:
    async with mailerlogic(running) as client, sender_of(running) as octeth:
        opened = {"url": receiver.url("/all"), "events": ["email.opened"]}
        await client.post("/customer/webhooks", json=opened)
        for event in ("delivery", "open"):
            await octeth.done("AddWebhook", DomainID=1, Event=event, WebhookURL=receiver.url("/own"))
        await client.post("/send", json=MAIL)
        await receiver.until(1, "/own")
        await octeth.done("DeleteDomain", DomainID=1)
        async with httpx2.AsyncClient(base_url=running.base_url) as reader:
            assert (await reader.get(f"/track/o/{await first_token(running)}")).status_code == 200
        await receiver.until(1, "/all")
        await asyncio.sleep(0.5)
    assert [got.json["EventType"] for got in receiver.at("/own")] == ["delivery"]


@SQLITE
async def test_a_hanging_receiver_delays_no_other(running: Running, receiver: Receiver) -> None:
    receiver.hanging.add("/slow")
    async with mailerlogic(running) as client:
        for path in ("/slow", "/hook"):
            new = {"url": receiver.url(path), "events": ["email.delivered"]}
            await client.post("/customer/webhooks", json=new)
        for _ in range(40):
            await client.post("/send", json=MAIL)
        async with asyncio.timeout(10):
            await receiver.until(40)
        assert 1 <= len(receiver.at("/slow")) <= POSTS_AT_ONCE


@SQLITE
async def test_a_redirect_is_not_followed(running: Running, receiver: Receiver) -> None:
    receiver.answer = lambda got: (307, {"Location": receiver.url("/inside")}, b"")
    async with mailerlogic(running) as client:
        new = {"url": receiver.url(), "events": ["email.delivered"]}
        made = (await client.post("/customer/webhooks", json=new)).json()["webhook"]
        tried = (await client.post(f"/customer/webhooks/{made['id']}/test")).json()
    assert (tried["success"], tried["status_code"]) == (False, 307)
    assert receiver.at("/inside") == []


@SQLITE
async def test_without_leave_private_addresses_are_refused_when_told_and_when_reached(
    store_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    async with DnsServer({("inside.test", "A"): ["127.0.0.1"]}) as dns:
        servers = f"127.0.0.1:{dns.address[1]}"
        async with (
            running_node(store_url, tmp_path / "data", dns_servers=servers) as running,
            mailerlogic(running) as client,
            penguinmails(running) as other,
        ):
            for url in (
                receiver.url(),
                "https://127.0.0.1/",
                "https://[::ffff:127.0.0.1]/",
                "https://169.254.169.254/latest/",
                "https://localhost/",
                "https://user:secret@example.com/",
                "ftp://example.com/",
                "https://",
                "not a url",
                "https://example.com/\r\nX: 1",
            ):
                new = {"url": url, "events": ["email.delivered"]}
                refused = await client.post("/customer/webhooks", json=new)
                assert (refused.status_code, refused.json()["error"]) == (400, "Validation failed"), url
                refused = await other.post("/webhooks", json=new)
                assert refused.json()["error"]["code"] == "VALIDATION_ERROR", url
            new = {"url": f"https://inside.test:{receiver.port}/hook", "events": ["email.delivered"]}
            made = (await client.post("/customer/webhooks", json=new)).json()["webhook"]
            tried = (await client.post(f"/customer/webhooks/{made['id']}/test")).json()
    assert (tried["success"], tried["status_code"]) == (False, None)
    assert "not on the public internet" in tried["message"]
    assert receiver.got == []
