"""Webhook endpoints against their contract: status, keys, documented errors, limits; how secrets are kept."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account, make_domain, running_node
from tests.flow.hooks import Receiver

from postrider.db.database import Tx
from postrider.engine.journal import EventKind
from postrider.surfaces.mailerlogic.webhook_format import NAMES, WORDS
from postrider.surfaces.mailerlogic.webhooks import OPERATIONS

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CONTRACT = load("mailerlogic")
SERVED = {operation.id: operation for operation in OPERATIONS}
NOWHERE = "00000000-0000-4000-8000-000000000000"
PATH = "/api/v1/customer/webhooks"


@dataclass
class World:
    """Two endpoints, the second with every field filled."""

    client: httpx2.AsyncClient
    receiver: Receiver
    running: Running
    ids: dict[str, str] = field(default_factory=dict)

    def body(self, operation_id: str) -> dict[str, Any] | None:
        bodies: dict[str, dict[str, Any]] = {
            "createWebhook": {"url": self.receiver.url(), "events": ["email.delivered"]},
            "updateWebhook": {"is_active": True},
        }
        return bodies.get(operation_id)

    async def call(self, operation_id: str, body: Any = None, **options: Any) -> httpx2.Response:
        operation = SERVED[operation_id]
        path = operation.paths[0].format(**self.ids)
        return await self.client.request(operation.method, path, json=body, **options)

    async def create(self, **more: Any) -> dict[str, Any]:
        body = {"url": self.receiver.url(), "events": ["email.delivered"], **more}
        answer = await self.call("createWebhook", body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()["webhook"]
        return made


def client_of(running: Running, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{running.base_url}/mailerlogic", headers={"X-API-Key": key})


@pytest.fixture
async def world(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        Receiver() as receiver,
        running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running,
        client_of(running, running.account.keys["mailerlogic"]) as client,
    ):
        world = World(client, receiver, running)
        domain = (await client.get("/api/v1/customer/domains")).json()["domains"][0]["id"]
        await world.create()
        full = {"name": "Production", "description": "All of it", "domain_ids": [domain]}
        world.ids = {"webhookId": (await world.create(**full))["id"], "domain": domain}
        yield world


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(world: World) -> None:
    for operation_id in sorted(SERVED, key="deleteWebhook".__eq__):
        contracted = CONTRACT[operation_id]
        answer = await world.call(operation_id, world.body(operation_id))
        assert answer.status_code == contracted.status, (operation_id, answer.text)
        assert not missing_keys(answer.json(), contracted.keys), (operation_id, answer.text)


@SQLITE
async def test_every_operation_answers_its_documented_errors(world: World) -> None:
    for operation_id, operation in SERVED.items():
        answered = {403}  # told below
        body = world.body(operation_id)
        unknown = await world.call(operation_id, body, headers={"X-API-Key": "ml_live_" + "0" * 64})
        assert (unknown.status_code, unknown.json()["error"]) == (401, "Unauthorized")
        answered.add(401)
        if "{" in operation.paths[0]:
            for nowhere in (NOWHERE, world.running.domain.id.hex(), "7", "%00"):
                lost = World(world.client, world.receiver, world.running, {"webhookId": nowhere})
                answer = await lost.call(operation_id, body)
                assert (answer.status_code, answer.json()["error"]) == (404, "Not found"), operation_id
            answered.add(404)
        if operation_id == "createWebhook":
            answer = await world.call(operation_id, {**(body or {}), "domain_ids": [NOWHERE]})
            assert answer.status_code == 404
            answered.add(404)
        if body is not None:
            answer = await world.call(operation_id, {"url": 7, "events": ["email.eaten"]})
            assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed")
            assert {fault["field"] for fault in answer.json()["errors"]} >= {"url", "events"}
            answered.add(400)
        assert CONTRACT[operation_id].errors <= answered, operation_id


async def test_a_secret_is_told_once_and_kept_sealed(world: World) -> None:
    made = await world.create(name="One more")
    assert made["secret"].startswith("whsec_")
    listed = (await world.call("listWebhooks")).json()
    assert listed["used"] == len(listed["webhooks"]) == 3
    assert "secret" not in listed["webhooks"][-1]

    def kept(tx: Tx) -> list[bytes]:
        return [bytes(row[0]) for row in tx.execute(text("SELECT secret FROM webhook_endpoints"))]

    assert all(made["secret"].encode() not in sealed for sealed in world.running.database.read_now(kept))


async def test_a_test_is_signed_and_an_old_secret_is_good_no_longer(world: World) -> None:
    made = await world.create()
    world.ids["webhookId"] = made["id"]
    assert (await world.call("testWebhook")).json()["success"] is True
    renewed = (await world.call("regenerateWebhookSecret")).json()["secret"]
    assert renewed != made["secret"]
    assert (await world.call("testWebhook")).json()["status_code"] == 200
    first, second = world.receiver.got
    assert set(first.json) == {"event", "timestamp", "customer_id", "message"}
    assert (first.json["event"], first.json["message"]) == ("test", "Test webhook from MailerLogic")
    for got, secret in ((first, made["secret"]), (second, renewed)):
        expected = hmac.new(secret.encode(), got.body, hashlib.sha256).hexdigest()
        assert got.headers["x-webhook-signature"] == expected


async def test_a_failing_endpoint_is_an_answer(world: World) -> None:
    world.receiver.answer = lambda got: (500, {}, b"x" * 200_000)
    tried = (await world.call("testWebhook")).json()
    assert (tried["success"], tried["status_code"]) == (False, 500)
    await world.call("updateWebhook", {"url": "http://127.0.0.1:1/"})
    tried = (await world.call("testWebhook")).json()
    assert (tried["success"], tried["status_code"]) == (False, None)


async def test_what_is_left_out_stays_and_null_is_every_domain(world: World) -> None:
    changed = (await world.call("updateWebhook", {"events": ["email.opened", "opened"]})).json()["webhook"]
    assert (changed["events"], changed["name"]) == (["email.opened"], "Production")
    assert changed["domain_ids"] == [world.ids["domain"]] == [changed["domain_id"]]
    freed = (await world.call("updateWebhook", {"domain_ids": None, "name": None})).json()["webhook"]
    assert (freed["domain_ids"], freed["domains"], freed["name"]) == (None, [], None)
    scoped = (await world.call("updateWebhook", {"domain_id": world.ids["domain"]})).json()["webhook"]
    assert scoped["domain_ids"] == [world.ids["domain"]]
    switched = (await world.call("updateWebhook", {"is_active": False})).json()["webhook"]
    assert switched["is_active"] is False


@SQLITE
async def test_a_malformed_change_changes_nothing(world: World) -> None:
    before = (await world.call("listWebhooks")).json()
    malformed: tuple[Any, ...] = (
        [], {"events": []}, {"events": "email.sent"}, {"is_active": "yes"}, {"name": "a\nb"},
        {"description": "x" * 1_001}, {"url": "javascript:alert(1)"}, {"name": "a\0"}, {"domain_ids": [7]},
        {"url": "http://exa mple.com"}, {"url": "https://example.com:99999/"}, {"events": [["email.sent"]]},
        {"domain_ids": [NOWHERE]}, {"url": "https://\u202e.com"}, {"url": "https://" + "a" * 2_000},
    )  # fmt: skip
    for body in malformed:
        assert (await world.call("updateWebhook", body)).status_code in (400, 404), body
    assert (await world.call("listWebhooks")).json() == before


async def test_the_plan_bounds_how_many_there_are(world: World) -> None:
    db, sealer = world.running.database, world.running.sealer
    small = make_account(db, sealer, email="small@example.test", plan="free")
    make_domain(db, sealer, small.organization_id, "small.test")
    async with client_of(world.running, small.keys["mailerlogic"]) as client:
        for status in (201, 403):
            answer = await client.post(PATH, json=world.body("createWebhook"))
            assert answer.status_code == status, answer.text
        assert answer.json()["error"] == "plan_limit_reached"
        (only,) = (await client.get(PATH)).json()["webhooks"]
        assert (await client.delete(f"{PATH}/{only['id']}")).status_code == 200
        assert (await client.delete(f"{PATH}/{only['id']}")).status_code == 404
        assert (await client.post(PATH, json=world.body("createWebhook"))).status_code == 201


def test_every_name_stands_for_some_event_and_only_for_mail() -> None:
    assert {word for words in WORDS.values() for word in words} == set(NAMES)
    assert set(WORDS) <= {kind for kind in EventKind if kind < EventKind.CONTACT_CREATED}
