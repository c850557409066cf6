"""Webhook endpoints against their contract: status, keys, documented errors, the log, and test posts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.test_penguinmails import client_of, login, refused
from tests.contract.walk import load, missing_keys
from tests.factories import Running, running_node
from tests.flow.hooks import Receiver
from tests.flow.verification.penguinmails import verify_webhook_signature

from postrider.kit.ids import new_id
from postrider.surfaces.penguinmails.ids import to_id
from postrider.surfaces.penguinmails.webhook_format import NAMES, WORDS
from postrider.surfaces.penguinmails.webhooks import OPERATIONS

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CONTRACT = load("penguinmails")
SERVED = {operation.id: operation for operation in OPERATIONS}
SECRET = "your-webhook-secret"
# The documents' own list, with two names their table of events lacks.
SUBSCRIBED = ["email.sent", "email.delivered", "email.opened", "email.clicked", "campaign.completed"]


@dataclass
class World:
    """Two endpoints; the one the paths name has two posts in its log."""

    client: httpx2.AsyncClient
    receiver: Receiver
    running: Running
    ids: dict[str, str] = field(default_factory=dict)

    def new(self, path: str = "/hook", **more: Any) -> dict[str, Any]:
        return {"url": self.receiver.url(path), "events": SUBSCRIBED, **more}

    def body(self, operation_id: str) -> dict[str, Any] | None:
        bodies = {"registerWebhook": self.new("/new"), "updateWebhook": {"active": False}, "testWebhook": {}}
        return bodies.get(operation_id)

    async def call(self, operation_id: str, body: Any = None, **options: Any) -> httpx2.Response:
        operation = SERVED[operation_id]
        path = operation.paths[0].format(**self.ids)
        return await self.client.request(operation.method, path, json=body, **options)


@pytest.fixture
async def world(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        Receiver() as receiver,
        running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running,
        client_of(running, running.account.keys["penguinmails"]) as client,
    ):
        world = World(client, receiver, running)
        for more in ({}, {"secret": SECRET, "description": "Main application webhook handler"}):
            answer = await world.call("registerWebhook", world.new(f"/hook{len(more)}", **more))
            world.ids["webhook_id"] = answer.json()["data"]["id"]
        for _ in range(2):
            assert (await world.client.post(f"/api/v1/webhooks/{world.ids['webhook_id']}/test")).is_success
        yield world


def test_routes_and_contract_name_the_same_operations() -> None:
    assert set(SERVED) == {
        id_ for id_, each in CONTRACT.items() if each.paths[0].startswith("/api/v1/webhooks")
    }


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(world: World) -> None:
    for operation_id in sorted(SERVED, key="deleteWebhook".__eq__):
        contracted = CONTRACT[operation_id]
        answer = await world.call(operation_id, world.body(operation_id))
        assert answer.status_code == contracted.status, (operation_id, answer.text)
        assert not missing_keys(answer.json(), contracted.keys), (operation_id, answer.text)


@SQLITE
async def test_every_operation_answers_its_documented_errors(world: World) -> None:
    wrong: dict[str, tuple[Any, ...]] = {
        "registerWebhook": (
            {**world.new(), "url": "nowhere"}, {**world.new(), "events": []},
            {**world.new(), "events": ["email.eaten"]}, world.new(secret=""), world.new(active="yes"),
        ),
        "updateWebhook": ({"events": []}, {"url": 7}, {"active": 1}, []),
        "testWebhook": ({"type": "email.eaten"}, []),
    }  # fmt: skip
    told_elsewhere = {"registerWebhook": {403, 409, 429}, "testWebhook": {502, 429}}
    for operation_id, operation in SERVED.items():
        body, answered = world.body(operation_id), {401} | told_elsewhere.get(operation_id, {429})
        strange = {"Authorization": "Bearer pk_live_" + "0" * 40}
        assert refused(await world.call(operation_id, body, headers=strange)) == (
            401,
            "AUTHENTICATION_REQUIRED",
        )
        if "{" in operation.paths[0]:
            for nowhere in (to_id("webhook", new_id()), to_id("wh", new_id()), "webhook_abc123", "%00", "7"):
                lost = World(world.client, world.receiver, world.running, {"webhook_id": nowhere})
                assert refused(await lost.call(operation_id, body)) == (404, "RESOURCE_NOT_FOUND")
            answered.add(404)
        for malformed in wrong.get(operation_id, ()):
            assert refused(await world.call(operation_id, malformed)) == (400, "VALIDATION_ERROR"), malformed
            answered.add(400)
        assert CONTRACT[operation_id].errors <= answered, operation_id
    assert refused(await world.call("registerWebhook", {})) == (400, "MISSING_REQUIRED_FIELD")


async def test_the_same_url_with_the_same_events_is_a_conflict(world: World) -> None:
    twin = world.new("/hook0")
    twin["events"] = list(reversed(twin["events"]))
    assert refused(await world.call("registerWebhook", twin)) == (409, "RESOURCE_ALREADY_EXISTS")
    assert refused(await world.call("updateWebhook", {"url": twin["url"]})) == (
        409,
        "RESOURCE_ALREADY_EXISTS",
    )
    assert (await world.call("registerWebhook", {**twin, "events": ["email.sent"]})).status_code == 201


async def test_only_a_secret_that_was_made_is_told_and_only_then(world: World) -> None:
    made = (await world.call("registerWebhook", world.new("/made"))).json()["data"]
    given = (await world.call("registerWebhook", world.new("/given", secret="mine"))).json()["data"]
    assert made["secret"].startswith("whsec_")
    assert "secret" not in given
    for shown in (await world.call("listWebhooks")).json()["data"]:
        assert "secret" not in shown


async def test_a_test_post_is_signed_named_and_logged(world: World) -> None:
    tried = (await world.call("testWebhook", {"type": "campaign.sent"})).json()["data"]
    got = world.receiver.got[-1]
    assert (tried["delivered"], tried["status_code"], tried["event_id"]) == (True, 200, got.json["id"])
    assert got.json["type"] == got.headers["x-penguinmails-event"] == "campaign.sent"
    assert verify_webhook_signature(got.body.decode(), got.headers["x-penguinmails-signature"], SECRET)
    await world.call("updateWebhook", {"secret": "another"})
    await world.call("testWebhook", {})
    got = world.receiver.got[-1]
    assert got.json["type"] == "email.opened"
    assert verify_webhook_signature(got.body.decode(), got.headers["x-penguinmails-signature"], "another")
    log = (await world.call("listWebhookDeliveries")).json()
    assert log["meta"]["pagination"]["total"] == 4
    assert log["data"][0]["event_id"] == got.json["id"]


async def test_a_test_that_reaches_nobody_is_a_bad_gateway(world: World) -> None:
    await world.call("updateWebhook", {"url": "http://127.0.0.1:1/"})
    assert refused(await world.call("testWebhook", {})) == (502, "EXTERNAL_SERVICE_ERROR")
    world.receiver.answer = lambda got: (404, {}, b"")
    await world.call("updateWebhook", {"url": world.receiver.url()})
    tried = (await world.call("testWebhook", {})).json()["data"]
    assert (tried["delivered"], tried["status_code"]) == (False, 404)
    states = [each["status"] for each in (await world.call("listWebhookDeliveries")).json()["data"]]
    assert states == ["failed", "failed", "success", "success"]


async def test_the_log_is_read_by_pages(world: World) -> None:
    first = (await world.call("listWebhookDeliveries", params={"per_page": 1})).json()
    second = (await world.call("listWebhookDeliveries", params={"per_page": 1, "page": 2})).json()
    beyond = (await world.call("listWebhookDeliveries", params={"page": 3})).json()
    assert first["data"][0]["event_id"] != second["data"][0]["event_id"]
    assert (beyond["data"], beyond["meta"]["pagination"]["total"]) == ([], 2)
    assert refused(await world.call("listWebhookDeliveries", params={"page": "x"}))[0] == 400


async def test_a_key_without_the_permission_reads_and_writes_nothing(world: World) -> None:
    tokens = await login(world.running)
    async with client_of(world.running, tokens["access_token"]) as user:
        new = {"name": "Sender", "permissions": ["send_email"]}
        key = (await user.post("/api/v1/platform/api-keys", json=new)).json()["data"]["api_key"]
    async with client_of(world.running, key) as client:
        sender = World(client, world.receiver, world.running, world.ids)
        for operation_id in SERVED:
            answer = await sender.call(operation_id, world.body(operation_id))
            assert refused(answer) == (403, "INSUFFICIENT_PERMISSIONS"), operation_id


def test_only_names_of_the_documents_are_said() -> None:
    assert {word for words in WORDS.values() for word in words} <= set(NAMES)
    assert len(set(NAMES)) == len(NAMES)
