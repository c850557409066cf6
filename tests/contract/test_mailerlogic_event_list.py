"""GET /events against its contract: every filter, pages, the plan's retention, and nobody else's events."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.contract.past import days_ago, past_of
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account

from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.kit.ids import new_id, to_uuid
from postrider.surfaces.mailerlogic import event_list, vocabulary

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("mailerlogic")["queryEvents"]
NOON = days_ago(5)
PATH = "/api/v1/events"
Json = dict[str, Any]


def client_of(node: Running, key: str = "") -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {key or node.account.keys['mailerlogic']}"}
    return httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers=headers)


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    """Ann's mail was delivered and clicked, Bob's bounced a day later."""
    past = past_of(node)
    ann, bob = past.mail(NOON, recipient="Ann_1@example.com"), past.mail(NOON, recipient="bob%@example.org")
    for kind, at, message_id, data in (
        (EventKind.ACCEPTED, NOON, ann, {}),
        (EventKind.ACCEPTED, NOON + 1, bob, {}),
        (EventKind.DEFERRED, NOON + 2, bob, {}),
        (EventKind.DELIVERED, NOON + 3, ann, {"via": "direct", "code": 250, "reply": "OK"}),
        (EventKind.CLICKED, NOON + clock.HOUR, ann, {"ip": "203.0.113.4"}),
        (EventKind.BOUNCED, NOON + clock.DAY, bob, {"class": "hard", "reply": "no such user"}),
        (EventKind.SUPPRESSED, NOON + 3 * clock.DAY, bob, {}),
        (EventKind.DOMAIN_FAILED, NOON + 2 * clock.DAY, None, {}),
    ):
        past.happen(kind, at, message_id, **data)
    async with client_of(node) as client:
        yield client


async def asked(client: httpx2.AsyncClient, **query: Any) -> Json:
    answer = await client.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


async def words(client: httpx2.AsyncClient, **query: Any) -> list[str]:
    return [event["event_type"] for event in (await asked(client, **query))["events"]]


async def test_the_list_has_the_keys_of_its_contract(client: httpx2.AsyncClient) -> None:
    (operation,) = event_list.OPERATIONS
    assert (operation.method, operation.paths) == (CONTRACT.method, CONTRACT.paths)
    for path in operation.paths:
        answer = await client.get(path)
        assert answer.status_code == CONTRACT.status
        assert not missing_keys(answer.json(), CONTRACT.keys), answer.text
    bounced = (await asked(client, type="bounce"))["events"][0]
    assert (bounced["event_type"], bounced["status"], bounced["recipient"]) == (
        "bounced", "bounced", "bob%@example.org",
    )  # fmt: skip
    assert bounced["from"] == "shop@mail.example.test"
    assert bounced["event_data"]["reason"] == "no such user"
    delivered = (await asked(client, type="delivered"))["events"][0]
    assert delivered["event_data"] == {"via": "direct", "host": None, "response": "250 OK"}
    assert bounced["timestamp"] == clock.to_iso(NOON + clock.DAY)
    assert (bounced["is_human_engagement"], bounced["scanner_detection"], bounced["device_info"]) == (
        None, None, None,
    )  # fmt: skip


async def test_each_filter_narrows(client: httpx2.AsyncClient) -> None:
    everything = ["failed", "bounced", "clicked", "delivered", "queued", "queued"]
    assert await words(client) == everything
    assert await words(client, type="queued") == ["queued", "queued"]
    assert await words(client, type="click") == await words(client, type="clicked") == ["clicked"]
    assert await words(client, recipient="ann_") == ["clicked", "delivered", "queued"]
    assert await words(client, recipient="_") == ["clicked", "delivered", "queued"], "not any character"
    assert await words(client, recipient="%@EXAMPLE.org") == ["failed", "bounced", "queued"]
    assert await words(client, **{"from": "SHOP@"}) == everything
    assert await words(client, **{"from": "nobody"}) == []
    at = clock.to_iso(NOON + clock.HOUR)
    assert await words(client, from_timestamp=at) == ["failed", "bounced", "clicked"]
    assert await words(client, to_timestamp=at) == ["clicked", "delivered", "queued", "queued"]
    assert await words(client, from_timestamp=at, to_timestamp=at) == ["clicked"]
    email_id = (await asked(client, type="clicked"))["events"][0]["email_id"]
    assert await words(client, email_id=email_id) == ["clicked", "delivered", "queued"]
    assert await words(client, email_id=to_uuid(new_id())) == []
    assert await words(client, email_id=email_id, type="bounced") == []


async def test_pages_and_counts_are_of_all_that_was_found(client: httpx2.AsyncClient) -> None:
    body = await asked(client, limit=2, page=2)
    assert [event["event_type"] for event in body["events"]] == ["clicked", "delivered"]
    assert body["pagination"] == {"page": 2, "limit": 2, "total": 6, "pages": 3}
    assert body["stats"] == {
        "total": 6,
        "by_type": {"queued": 2, "delivered": 1, "clicked": 1, "bounced": 1, "failed": 1},
    }
    assert (await asked(client, page=9))["events"] == []


async def test_what_the_plan_no_longer_keeps_is_not_told(client: httpx2.AsyncClient, node: Running) -> None:
    def on_plan(plan: str) -> Any:
        return lambda tx: tx.execute(text("UPDATE organizations SET plan = :plan"), {"plan": plan})

    await node.database.write(on_plan("starter"))
    node.node.keyring.forget()
    assert len(await words(client)) == 6
    await node.database.write(on_plan("free"))
    node.node.keyring.forget()
    assert await words(client, from_timestamp="2020-01-01") == ["failed"]


async def test_another_account_sees_nothing_of_it(client: httpx2.AsyncClient, node: Running) -> None:
    email_id = (await asked(client))["events"][0]["email_id"]
    stranger = make_account(node.database, node.sealer, email="stranger@example.test")
    async with client_of(node, stranger.keys["mailerlogic"]) as strange:
        assert (await asked(strange))["pagination"]["total"] == 0
        assert await words(strange, email_id=email_id) == []
        assert await words(strange, recipient="ann") == []


@SQLITE
async def test_events_switched_off_are_told_so(client: httpx2.AsyncClient, node: Running) -> None:
    switch = "UPDATE organizations SET settings = '{\"event_api_enabled\": false}'"
    await node.database.write(lambda tx: tx.execute(text(switch)))
    node.node.keyring.forget()
    answer = await client.get(PATH)
    assert (answer.status_code, answer.json()["error"]) == (403, "event_api_disabled")
    assert (await client.get(PATH, headers={"Authorization": "Bearer no"})).status_code == 401


@SQLITE
async def test_malformed_filters_are_refused_all_at_once(client: httpx2.AsyncClient) -> None:
    for query in (
        {"type": "eaten"},
        {"email_id": "7"},
        {"from_timestamp": "soon"},
        {"filter": "robots"},
        {"to_timestamp": "9999-12-31"},
        {"page": "0"},
        {"limit": "1001"},
        {"recipient": "a\0b"},
        {"from": "a" * 300},
    ):
        answer = await client.get(PATH, params=query)
        assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed"), query
    both = await client.get(PATH, params={"type": "eaten", "page": "0"})
    assert {fault["field"] for fault in both.json()["errors"]} == {"type", "page"}


def test_synonyms_are_of_words_that_are_told() -> None:
    assert set(vocabulary.EVENT_SYNONYMS.values()) <= set(vocabulary.EVENTS.values())
