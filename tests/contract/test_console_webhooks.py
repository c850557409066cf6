"""The log of webhook posts and their replays: listed, narrowed, read in full, posted again byte for byte."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.console_client import CONTRACT, Client, Json
from tests.factories import Running, running_node
from tests.flow.hooks import Receiver
from tests.flow.world import until
from tests.processes import count_rows

from postrider.engine import accounts
from postrider.kit import clock
from postrider.kit.ids import new_id, to_uuid
from postrider.surfaces.console.keys import KEYS
from postrider.surfaces.console.webhooks import OPERATIONS

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
LONG_AGO = "2020-01-01T00:00:00Z"
PATIENCE_S = 15
MALFORMED = (
    ("webhook_id", "x"),
    ("event_id", "7"),
    ("outcome", "lost"),
    ("before", "x"),
    ("limit", "0"),
    ("state", "x"),
)


class Desk(Client):
    """With the receiver of the organization's webhooks."""

    def __init__(self, node: Running, http: httpx2.AsyncClient, receiver: Receiver) -> None:
        super().__init__(node, http)
        self.receiver = receiver

    async def hook(self, path: str = "/hook", *events: str) -> str:
        """A webhook of the surface whose schedule has its second attempt after a second."""
        new = {"url": self.receiver.url(path), "events": events or ["email.delivered"]}
        headers = {"X-API-Key": self.node.account.keys["mailerlogic"]}
        made = await self.http.post("/mailerlogic/api/v1/customer/webhooks", json=new, headers=headers)
        return str(made.json()["webhook"]["id"])

    async def switch(self, hook_id: str, *, is_active: bool) -> None:
        headers = {"X-API-Key": self.node.account.keys["mailerlogic"]}
        path = f"/mailerlogic/api/v1/customer/webhooks/{hook_id}"
        answer = await self.http.put(path, json={"is_active": is_active}, headers=headers)
        assert answer.status_code == 200, answer.text

    async def send(self, to: str = "ann@example.com") -> None:
        mail = {"to": to, "subject": "Hello", "text": "Hello"}
        headers = {"X-API-Key": self.node.account.keys["mailerlogic"]}
        answer = await self.http.post("/mailerlogic/api/v1/send", json=mail, headers=headers)
        assert answer.status_code == 200, answer.text

    async def attempts(self, count: int, **query: Any) -> list[Json]:
        """The newest attempts first, once there are so many."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found: list[Json] = (await self.call("listWebhookAttempts", **query))["attempts"]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)

    async def nothing_waits(self) -> bool:
        counted = await self.node.database.read(count_rows, ["webhook_queue"])
        return counted["webhook_queue"] == 0


@pytest.fixture
async def desk(store_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with (
        running_node(store_url, tmp_path / "data", webhook_allow_private=True) as node,
        httpx2.AsyncClient(base_url=node.base_url) as http,
        Receiver() as receiver,
    ):
        yield Desk(node, http, receiver)


async def test_every_answer_has_the_keys_of_its_contract(desk: Desk) -> None:
    hook_id = await desk.hook()
    await desk.hook("/other", "email.delivered", "email.sent")
    await desk.send()
    await desk.attempts(3)
    listed = (await desk.walk("listWebhooks"))["webhooks"]
    assert [(each["id"] == hook_id, each["state"]) for each in listed] == [
        (True, "active"),
        (False, "active"),
    ]
    first = (await desk.walk("listWebhookAttempts", webhook_id=hook_id))["attempts"][0]
    assert (first["event"], first["number"], first["outcome"]) == ("email.delivered", 1, "taken")
    told = (await desk.walk("getWebhookAttempt", id=first["id"]))["attempt"]
    (got,) = desk.receiver.at("/hook")
    assert told["request"]["body"].encode() == got.body
    sent = {name.lower(): value for name, value in told["request"]["headers"].items()}
    assert sent.items() <= got.headers.items()
    assert (told["answer"], told["webhook"]["url"]) == ("ok", desk.receiver.url("/hook"))
    assert (await desk.walk("replayWebhookAttempt", id=first["id"]))["attempt"] == first
    assert await desk.walk("replayFailed", id=hook_id, since=LONG_AGO) == {"replayed": 0, "next": None}
    assert {operation.id for operation in OPERATIONS} <= CONTRACT.keys()


async def test_a_replay_posts_the_same_bytes_as_one_more_attempt(desk: Desk) -> None:
    hook_id = await desk.hook()
    await desk.send()
    (first,) = await desk.attempts(1)
    await desk.call("replayWebhookAttempt", id=first["id"])
    second, again = await desk.attempts(2, webhook_id=hook_id)
    assert again == first
    assert (second["number"], second["event_id"], second["outcome"]) == (2, first["event_id"], "taken")
    one, two = desk.receiver.at("/hook")
    assert one.body == two.body
    await asyncio.sleep(0.5)
    assert len(desk.receiver.got) == 2, "a replay is posted once"


async def test_what_failed_while_the_receiver_was_down_is_posted_again_and_nothing_else(desk: Desk) -> None:
    hook_id, other = await desk.hook(), await desk.hook("/other")
    await desk.send("before@example.com")
    await desk.attempts(2)
    since = clock.to_iso(clock.now_ms())
    desk.receiver.answer = lambda got: (500, {}, b"down")
    for number in range(3):
        await desk.send(f"user{number}@example.com")
    await desk.attempts(6, outcome="tried_again,given_up")
    for each in (hook_id, other):
        await desk.switch(each, is_active=False)  # what waits is dropped
    await desk.call("replayFailed", 409, id=hook_id, since=since)
    await until(desk.nothing_waits, "the queue is empty")
    desk.receiver.answer = lambda got: (200, {}, b"up")
    failed = {got.body for got in desk.receiver.at("/hook")[1:]}
    await desk.switch(hook_id, is_active=True)
    before = len(desk.receiver.at("/hook"))
    assert await desk.call("replayFailed", id=hook_id, since=since) == {"replayed": 3, "next": None}
    again = [got.body for got in (await desk.receiver.until(before + 3))[before:]]
    assert (len(again), set(again)) == (3, failed)
    await desk.attempts(4, webhook_id=hook_id, outcome="taken")
    assert (await desk.call("replayFailed", id=hook_id, since=since))["replayed"] == 0
    assert (await desk.call("replayFailed", id=hook_id, since=LONG_AGO))["replayed"] == 0


@SQLITE
async def test_attempts_are_narrowed_and_paged(desk: Desk) -> None:
    hook_id, other = await desk.hook(), await desk.hook("/other", "email.sent", "email.delivered")
    desk.receiver.answer = lambda got: (500 if got.path == "/other" else 200, {}, b"")
    await desk.send()
    newest = await desk.attempts(3)
    assert [each["id"] for each in newest] == sorted((each["id"] for each in newest), reverse=True)
    assert {each["webhook_id"] for each in await desk.attempts(2, webhook_id=other)} == {other}
    assert {each["outcome"] for each in await desk.attempts(1, outcome="taken")} == {"taken"}
    assert (await desk.call("listWebhookAttempts", webhook_id=hook_id, outcome="given_up"))["attempts"] == []
    event_id = (await desk.attempts(1, webhook_id=hook_id))[0]["event_id"]
    of_event = await desk.attempts(2, event_id=event_id)
    assert {each["webhook_id"] for each in of_event} == {hook_id, other}
    assert {each["event"] for each in of_event} == {"email.delivered"}
    await desk.switch(other, is_active=False)
    seen, page = [], await desk.call("listWebhookAttempts", limit="2")
    while page["next"] is not None:
        seen += page["attempts"]
        page = await desk.call("listWebhookAttempts", limit="2", before=page["next"])
    seen += page["attempts"]
    assert len({each["id"] for each in seen}) == len(seen) >= 3
    stranger: Json = {"webhook_id": to_uuid(new_id())}
    assert await desk.call("listWebhookAttempts", **stranger) == {"attempts": [], "next": None}


@SQLITE
async def test_bad_parameters_are_named_and_scopes_are_asked(desk: Desk) -> None:
    for field, value in MALFORMED:
        given: Json = {field: value}
        refused = await desk.call("listWebhookAttempts", 400, **given)
        assert refused["error"]["facts"]["field"] == field
    hook_id = await desk.hook()
    for given in (
        {},
        {"since": "yesterday"},
        {"since": LONG_AGO, "after": "x"},
        {"since": LONG_AGO, "a": "b"},
    ):
        await desk.call("replayFailed", 400, id=hook_id, **given)
    for name in ("getWebhookAttempt", "replayWebhookAttempt"):
        await desk.call(name, 404, id=to_uuid(new_id()))
        await desk.call(name, 404, id="x")
    reader = await scoped(desk, "webhooks:read")
    await desk.call("listWebhookAttempts", key=reader)
    await desk.call("replayFailed", 403, key=reader, id=hook_id, since=LONG_AGO)
    await desk.call("replayWebhookAttempt", 403, key=reader, id=to_uuid(new_id()))
    stranger = await scoped(desk, "messages:read")
    for name in ("listWebhooks", "listWebhookAttempts"):
        await desk.call(name, 403, key=stranger)
    writer = await scoped(desk, "webhooks:write")
    assert (await desk.call("replayFailed", key=writer, id=hook_id, since=LONG_AGO))["replayed"] == 0


@SQLITE
async def test_a_test_post_is_in_the_log_with_its_body(desk: Desk) -> None:
    hook_id = await desk.hook()
    headers = {"X-API-Key": desk.node.account.keys["mailerlogic"]}
    await desk.http.post(f"/mailerlogic/api/v1/customer/webhooks/{hook_id}/test", headers=headers)
    (attempt,) = await desk.attempts(1)
    told = (await desk.call("getWebhookAttempt", id=attempt["id"]))["attempt"]
    assert told["request"]["body"].encode() == desk.receiver.got[0].body


@SQLITE
async def test_an_operator_sees_posts_and_their_lag_in_the_metrics(desk: Desk) -> None:
    await desk.hook()
    await desk.send()
    await desk.attempts(1)
    text = (await desk.http.get("/metrics")).text
    assert 'postrider_webhook_posts_total{outcome="taken"} 1.0' in text
    assert "postrider_webhook_lag_seconds 0.0" in text
    assert "postrider_webhooks_disabled 0.0" in text


async def scoped(desk: Desk, *scopes: str) -> str:
    """A key of the account that has these scopes only."""
    secret = KEYS[0].make()
    await desk.node.database.write(
        lambda tx: accounts.create_key(
            tx, desk.node.principal, label="console", name="Scoped", secret=secret,
            sealer=desk.node.sealer, scopes=scopes,
        )
    )  # fmt: skip
    return secret
