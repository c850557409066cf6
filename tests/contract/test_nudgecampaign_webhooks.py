"""Webhooks against their contract: status, keys, documented errors, the log, and sample posts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from sqlalchemy import text
from tests.contract.test_nudgecampaign import client_of, error_of
from tests.contract.walk import FOLDER, load, missing_keys
from tests.factories import PASSWORD, Running, running_node
from tests.flow.hooks import Receiver

from postrider.kit.ids import new_id
from postrider.kit.outgoing import HEADER_MAX_CHARS, HEADERS_MAX
from postrider.surfaces.nudgecampaign.ids import Noun, show
from postrider.surfaces.nudgecampaign.webhook_format import NAMES
from postrider.surfaces.nudgecampaign.webhooks import OPERATIONS

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CONTRACT = load("nudgecampaign")
WEBHOOKS = yaml.safe_load((FOLDER / "nudgecampaign.yaml").read_text())["webhooks"]
SERVED = {operation.id: operation for operation in OPERATIONS}
# The documents' own.
SUBSCRIBED = ["email.opened", "email.clicked", "contact.subscribed"]


@dataclass
class World:
    """Two webhooks; the one the paths name has two posts in its log."""

    client: httpx2.AsyncClient
    receiver: Receiver
    running: Running
    ids: dict[str, str] = field(default_factory=dict)

    def body(self, operation_id: str) -> dict[str, Any] | None:
        bodies: dict[str, dict[str, Any]] = {
            "createWebhook": {"url": self.receiver.url(), "events": SUBSCRIBED},
            "updateWebhook": {"description": None},
            "testWebhook": {"event": "email.opened"},
        }
        return bodies.get(operation_id)

    async def call(self, operation_id: str, body: Any = None, **options: Any) -> httpx2.Response:
        operation = SERVED[operation_id]
        path = operation.paths[0].format(**self.ids)
        return await self.client.request(operation.method, path, json=body, **options)

    async def create(self, **more: Any) -> dict[str, Any]:
        body = {**(self.body("createWebhook") or {}), **more}
        answer = await self.call("createWebhook", body)
        assert answer.status_code == 201, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def logs(self, **params: Any) -> dict[str, Any]:
        answer = await self.call("listWebhookLogs", params=params)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
async def world(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        Receiver() as receiver,
        running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running,
        client_of(running, running.account.keys["nudgecampaign"]) as client,
    ):
        world = World(client, receiver, running)
        await world.create()
        made = await world.create(description="Production webhook", active=True)
        world.ids["webhook_id"] = made["id"]
        for event in ("email.opened", "contact.updated"):
            assert (await world.call("testWebhook", {"event": event})).is_success
        yield world


def test_routes_and_contract_name_the_same_operations() -> None:
    assert set(SERVED) == {id_ for id_, each in CONTRACT.items() if each.paths[0].startswith("/v2/webhooks")}
    assert set(NAMES) == set(WEBHOOKS["events"])


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(world: World) -> None:
    for operation_id in sorted(SERVED, key="deleteWebhook".__eq__):
        contracted = CONTRACT[operation_id]
        answer = await world.call(operation_id, world.body(operation_id))
        assert answer.status_code == contracted.status, (operation_id, answer.text)
        if answer.content:
            assert not missing_keys(answer.json(), contracted.keys), (operation_id, answer.text)


@SQLITE
async def test_every_operation_answers_its_documented_errors(world: World) -> None:
    wrong: dict[str, tuple[Any, ...]] = {
        "createWebhook": (
            {}, {"url": "nowhere", "events": SUBSCRIBED}, {"url": world.receiver.url(), "events": []},
            {"url": world.receiver.url(), "events": ["email.eaten"]},
            {"url": world.receiver.url(), "events": SUBSCRIBED, "active": "yes"},
            {"url": world.receiver.url(), "events": SUBSCRIBED, "description": "x" * 1_001},
        ),
        "updateWebhook": ({"events": []}, {"url": 7}, {"url": ""}, {"url": None}, {"active": None}),
        "testWebhook": ({}, {"event": "email.eaten"}),
    }  # fmt: skip
    for operation_id, operation in SERVED.items():
        body, answered = world.body(operation_id), {401, 403, 429}
        strange = {"X-API-Key": "sk_live_" + "0" * 40}
        answer = await world.call(operation_id, body, headers=strange)
        assert error_of(answer) == (401, "ERR_AUTH_INVALID_TOKEN", "authentication_error")
        if "{" in operation.paths[0]:
            for nowhere in (show(Noun.WEBHOOK, new_id()), show(Noun.EVENT, new_id()), "whk_def456", "%00"):
                lost = World(world.client, world.receiver, world.running, {"webhook_id": nowhere})
                answer = await lost.call(operation_id, body)
                assert error_of(answer) == (404, "ERR_RESOURCE_NOT_FOUND", "not_found_error"), operation_id
            answered.add(404)
        for malformed in wrong.get(operation_id, ()):
            answer = await world.call(operation_id, malformed)
            assert error_of(answer) == (422, "ERR_VALIDATION", "validation_error"), malformed
            answered.add(422)
        if body is not None:
            path = operation.paths[0].format(**world.ids)
            answer = await world.client.request(operation.method, path, content=b"{")
            assert error_of(answer)[0] == 400
            answered.add(400)
        if operation_id.startswith("list"):
            answer = await world.call(operation_id, params={"page[cursor]": "x"})
            assert error_of(answer)[0] == 400
            answered.add(400)
        assert CONTRACT[operation_id].errors <= answered, operation_id


async def test_a_secret_is_told_when_the_webhook_is_made_and_only_then(world: World) -> None:
    made = await world.create()
    assert made["attributes"]["secret"].startswith("whsec_")
    shown = [
        (await world.call("getWebhook")).json()["data"],
        *(await world.call("listWebhooks")).json()["data"],
    ]
    changed = (await world.call("updateWebhook", {"active": False})).json()["data"]
    assert changed["attributes"]["active"] is False
    assert all("secret" not in each["attributes"] for each in [*shown, changed])
    assert made["relationships"] == {}


async def test_what_is_left_out_stays_and_events_replace_those_before(world: World) -> None:
    changed = (await world.call("updateWebhook", {"events": ["email.sent", "email.sent"]})).json()["data"]
    attributes = changed["attributes"]
    assert (attributes["events"], attributes["description"]) == (["email.sent"], "Production webhook")
    assert attributes["active"] is True
    cleared = (await world.call("updateWebhook", {"description": None})).json()["data"]["attributes"]
    assert (cleared["description"], cleared["events"]) == (None, ["email.sent"])


async def test_a_sample_of_every_event_has_the_data_of_the_contract(world: World) -> None:
    for name, documented in WEBHOOKS["data_by_event"].items():
        line = (await world.call("testWebhook", {"event": name})).json()["data"]
        posted = world.receiver.got[-1].json
        assert set(posted) == set(WEBHOOKS["payload"])
        assert posted["type"] == line["event_type"] == name
        assert set(documented) - {"automation_id"} <= set(posted["data"]), name
        assert (line["status"], line["status_code"]) == ("success", 200)


async def test_the_log_has_what_was_posted_to_the_byte_and_what_was_answered(world: World) -> None:
    world.receiver.answer = lambda got: (500, {"X-Why": "no"}, b"not now")
    tried = (await world.call("testWebhook", {"event": "email.clicked"})).json()["data"]
    got = world.receiver.got[-1]
    newest = (await world.logs())["data"][0]
    assert newest == tried
    assert (tried["status"], tried["status_code"], tried["response"]["body"]) == ("failed", 500, "not now")
    assert tried["response"]["headers"]["X-Why"] == "no"
    assert tried["request"]["body"] == got.json
    for name, value in tried["request"]["headers"].items():
        assert got.headers[name.lower()] == value
    assert tried["id"].startswith("log_")
    assert tried["webhook_id"] == world.ids["webhook_id"]
    await world.call("updateWebhook", {"url": "http://127.0.0.1:1/"})
    lost = (await world.call("testWebhook", {"event": "email.clicked"})).json()["data"]
    assert (lost["status"], lost["status_code"], lost["response"]["body"]) == ("failed", None, "")
    assert lost["response"]["headers"] == {}


async def test_the_log_keeps_the_first_headers_of_an_answer_and_no_cookies(world: World) -> None:
    many = {"Set-Cookie": "secret=1", "X-Long": "x" * 500, **{f"X-{number}": "y" for number in range(40)}}
    world.receiver.answer = lambda got: (200, many, b"OK")
    tried = (await world.call("testWebhook", {"event": "email.clicked"})).json()["data"]
    headers = tried["response"]["headers"]
    assert len(headers) == HEADERS_MAX
    assert headers["X-Long"] == "x" * HEADER_MAX_CHARS
    assert "Set-Cookie" not in headers


async def test_what_is_kept_no_longer_is_null_in_the_log(world: World) -> None:
    await world.running.database.write(lambda tx: tx.execute(text("DELETE FROM webhook_bodies")))
    for line in (await world.logs())["data"]:
        assert line["request"] == {"headers": {}, "body": None}


async def test_the_log_is_read_by_pages_that_stay_where_they_are(world: World) -> None:
    world.receiver.answer = lambda got: (500, {}, b"")
    for _ in range(3):
        await world.call("testWebhook", {"event": "email.opened"})
    whole = await world.logs()
    assert (whole["meta"]["total"], whole["meta"]["has_more"], whole["links"]["next"]) == (5, False, None)
    seen: list[str] = []
    page = await world.logs(**{"page[size]": 2})
    while True:
        seen += [line["id"] for line in page["data"]]
        await world.call("testWebhook", {"event": "email.opened"})  # what comes in moves nothing
        if page["links"]["next"] is None:
            break
        following = page["links"]["next"].removeprefix("/nudgecampaign")
        page = (await world.client.get(following)).json()
    assert seen == [line["id"] for line in whole["data"]]
    upward = await world.logs(sort="timestamp", **{"page[size]": 5})
    assert [line["id"] for line in upward["data"]] == list(reversed(seen))


async def test_the_log_is_narrowed_by_what_came_of_it_and_by_event(world: World) -> None:
    world.receiver.answer = lambda got: (500, {}, b"")
    await world.call("testWebhook", {"event": "email.opened"})

    async def found(**filters: str) -> list[tuple[str, str]]:
        body = await world.logs(**{f"filter[{name}]": value for name, value in filters.items()})
        assert body["meta"]["total"] == len(body["data"])
        return [(line["event_type"], line["status"]) for line in body["data"]]

    assert await found(status="failed") == [("email.opened", "failed")]
    assert await found(status="success") == [("contact.updated", "success"), ("email.opened", "success")]
    assert await found(event_type="contact.updated") == [("contact.updated", "success")]
    assert await found(status="failed", event_type="contact.updated") == []
    refused = await world.call("listWebhookLogs", params={"filter[status]": "perhaps"})
    assert error_of(refused)[0] == 400


@SQLITE
async def test_a_key_or_role_without_the_permission_changes_nothing(world: World) -> None:
    new = {"name": "Reader", "scopes": ["webhooks:read"]}
    key = (await world.client.post("/v2/organization/api-keys", json=new)).json()["data"]["key"]
    who = {"email": "owner@example.test", "password": PASSWORD}
    token = (await world.client.post("/v2/auth/login", json=who)).json()["access_token"]
    await world.running.database.write(lambda tx: tx.execute(text("UPDATE memberships SET role = 'editor'")))
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {token}"}):
        async with httpx2.AsyncClient(base_url=world.client.base_url, headers=headers) as client:
            reader = World(client, world.receiver, world.running, world.ids)
            for operation_id, operation in SERVED.items():
                answer = await reader.call(operation_id, world.body(operation_id))
                if operation.method == "GET":
                    assert answer.status_code == 200, operation_id
                else:
                    assert error_of(answer)[:2] == (403, "ERR_PERMISSION_DENIED"), operation_id


@SQLITE
async def test_a_key_that_may_only_write_is_told_of_its_test(world: World) -> None:
    new = {"name": "Writer", "scopes": ["webhooks:write"]}
    key = (await world.client.post("/v2/organization/api-keys", json=new)).json()["data"]["key"]
    async with client_of(world.running, key) as client:
        writer = World(client, world.receiver, world.running, world.ids)
        line = (await writer.call("testWebhook", {"event": "email.sent"})).json()["data"]
    assert line["request"]["body"]["type"] == "email.sent"
