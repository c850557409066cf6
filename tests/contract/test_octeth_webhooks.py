"""Webhooks of sender domains: each with one event, made and removed by the user or by the domain's key."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.contract.octeth_client import CONTRACT, Client, sender_of
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account, make_domain

from postrider.engine import accounts
from postrider.engine.journal import EventKind
from postrider.surfaces.octeth.keys import SENDER_LABEL, sender_key
from postrider.surfaces.octeth.vocabulary import EVENT_ALIASES, PAST_EVENTS
from postrider.surfaces.octeth.webhook_format import NAMES, WORDS
from postrider.surfaces.octeth.webhooks import REST

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
WALKED = load("octeth")
PATH = "/api/v1/webhooks"
HOOK = "https://example.com/hook"
NEW = {"Event": "delivered", "WebhookURL": HOOK}
METHODS = {"createWebhookPublic": "POST", "listWebhooksPublic": "GET", "deleteWebhookPublic": "DELETE"}


@pytest.fixture
async def client(node: Running) -> AsyncIterator[Client]:
    """With the key of a domain that has two webhooks."""
    async with sender_of(node) as client:
        for event in ("delivered", "bounce"):
            await call(client, "POST", {**NEW, "Event": event})
        yield client


async def call(client: Client, method: str, body: Any = None, **options: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {client.sender}"}
    return await client.http.request(method, PATH, json=body, **{"headers": headers, **options})


def told(answer: httpx2.Response) -> tuple[int, int, str]:
    """Status, number and sentence of a refusal."""
    (error,) = answer.json()["Errors"]
    return answer.status_code, error["Code"], error["Message"]


async def test_every_path_answers_with_the_status_and_keys_of_its_contract(client: Client) -> None:
    bodies: dict[str, Any] = {
        "createWebhookPublic": NEW,
        "listWebhooksPublic": None,
        "deleteWebhookPublic": {"WebhookID": "1"},
    }
    for operation_id, body in bodies.items():
        contracted = WALKED[operation_id]
        answer = await call(client, contracted.method, body)
        assert answer.status_code == contracted.status, answer.text
        assert not missing_keys(answer.json(), contracted.keys), answer.text
        assert {"Success", "ErrorCode"}.isdisjoint(answer.json())


@SQLITE
async def test_every_path_answers_each_of_its_documented_numbers(client: Client, node: Running) -> None:
    wrong: dict[str, dict[int, Any]] = {
        "createWebhookPublic": {
            2: {"WebhookURL": HOOK},
            3: {**NEW, "Event": "eaten"},
            5: {"Event": "open"},
            6: {**NEW, "WebhookURL": "javascript:alert(1)"},
            7: {**NEW, "WebhookURL": "http://printer.local/"},
        },
        "listWebhooksPublic": {},
        "deleteWebhookPublic": {1: {}, 4: {"WebhookID": 2_000_000}},
    }
    for command in REST:
        method, cases = METHODS[command.id], wrong[command.id]
        documented = {error["code"]: error for error in reversed(CONTRACT[command.id]["errors"])}
        for number, body in cases.items():
            error = documented[number]
            sentence = error.get("message", command.codes[number].message)
            assert told(await call(client, method, body)) == (error["status"], number, sentence)
        for headers in ({}, {"Authorization": "Bearer 0000"}, {"Authorization": f"Bearer {client.key}"}):
            answer = await call(client, method, NEW, headers=headers)
            assert told(answer) == (401, 13, "Invalid SenderAPIKey")
        suspended = {"listWebhooksPublic": 2, "deleteWebhookPublic": 2}.get(command.id, 13)
        assert documented.keys() == {*cases, suspended, 13, 429}
        for number, code in command.codes.items():
            assert code.status == documented[number]["status"]
    await node.database.write(lambda tx: tx.execute(text("UPDATE organizations SET status = 'suspended'")))
    node.node.keyring.forget()
    assert [told(await call(client, method, NEW))[:2] for method in ("POST", "GET", "DELETE")] == [
        (401, 13), (404, 2), (404, 2),
    ]  # fmt: skip


@SQLITE
async def test_every_spelling_of_an_event_is_taken_and_told_in_two_ways(client: Client) -> None:
    spellings = {**EVENT_ALIASES, **{name.upper(): name for name in NAMES}}
    numbers = {}
    for spelling, name in spellings.items():
        made = (await call(client, "POST", {**NEW, "Event": spelling})).json()
        numbers[made["NewWebhookID"]] = name
    by_user = (await client.done("GetWebhooks", DomainID=1))["Webhooks"]
    by_key = (await call(client, "GET")).json()["Webhooks"]
    events = {each["WebhookID"]: each["Events"] for each in by_user}
    assert events == events | {number: [name] for number, name in numbers.items()}
    shown = {each["WebhookID"]: each for each in by_key}
    for number, name in numbers.items():
        assert (shown[number]["Event"], shown[number]["Status"]) == (PAST_EVENTS[name], "Active")
        assert shown[number]["URL"] == shown[number]["WebhookURL"] == HOOK


async def test_a_key_sees_and_removes_the_webhooks_of_its_domain_only(client: Client, node: Running) -> None:
    make_domain(node.database, node.sealer, node.account.organization_id, "other.test")
    other = await client.done("AddWebhook", DomainID=2, Event="click", WebhookURL=HOOK)
    shown = (await call(client, "GET")).json()["Webhooks"]
    assert [each["Event"] for each in shown] == ["delivered", "bounced"]
    refused = await call(client, "DELETE", {"WebhookID": other["NewWebhookID"]})
    assert told(refused) == (404, 4, "Invalid WebhookID")
    assert await client.code("DeleteWebhook", DomainID=1, WebhookID=other["NewWebhookID"]) == 4
    await client.done("DeleteWebhook", DomainID=2, WebhookID=other["NewWebhookID"])
    assert (await client.done("GetWebhooks", DomainID=2))["Webhooks"] == []
    for number in (each["WebhookID"] for each in shown):
        answer = await call(client, "DELETE", params={"WebhookID": number})
        assert answer.json() == {"Message": "Webhook successfully deleted."}
    assert (await call(client, "GET")).json()["Webhooks"] == []


async def test_a_domain_has_one_signing_key_of_its_own_from_the_start(client: Client, node: Running) -> None:
    make_domain(node.database, node.sealer, node.account.organization_id, "other.test")
    keys = [(await client.done("GetWebhooks", DomainID=number))["SigningKey"] for number in (1, 2, 1)]
    assert keys[0] == keys[2] != keys[1]
    assert all(re.fullmatch("[0-9A-F]{64}", key) for key in keys)
    stranger = make_account(node.database, node.sealer, email="stranger@example.test")
    make_domain(node.database, node.sealer, stranger.organization_id)
    assert await client.code("GetWebhooks", APIKey=stranger.keys["octeth"], DomainID=2) == 2
    theirs = await client.done("GetWebhooks", APIKey=stranger.keys["octeth"], DomainID=1)
    assert (theirs["Webhooks"], theirs["SigningKey"] in keys) == ([], False)


@SQLITE
async def test_the_key_may_stand_in_body_or_query_and_a_body_needs_no_type(client: Client) -> None:
    for given in (
        {"json": {**NEW, "senderapikey": client.sender}},
        {"data": {**NEW, "SenderAPIKey": client.sender}},
        {"json": NEW, "params": {"SenderAPIKey": client.sender}},
    ):
        assert (await client.http.post(PATH, **given)).status_code == 200, given  # type: ignore[arg-type]
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {client.sender}"}
    answer = await client.http.request("DELETE", PATH, content=b'{"WebhookID": "1"}', headers=form)
    assert answer.status_code == 200
    listed = await client.http.get(PATH, params={"SenderAPIKey": client.sender})
    assert len(listed.json()["Webhooks"]) == 4
    assert listed.headers["x-ratelimit-limit"] == "100"
    assert int(listed.headers["x-ratelimit-remaining"]) < 100


@SQLITE
async def test_a_key_that_was_made_before_webhooks_registers_them_too(client: Client, node: Running) -> None:
    secret = sender_key()
    node.database.write_now(
        lambda tx: accounts.create_key(
            tx,
            node.principal,
            label=SENDER_LABEL,
            name="Old",
            secret=secret,
            sealer=node.sealer,
            scopes=["messages:send", "messages:read", "domains:read"],
            domain_id=node.domain.id,
        )
    )
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await client.http.post(PATH, json=NEW, headers=headers)).status_code == 200
    assert (await client.http.get(PATH, headers=headers)).status_code == 200
    shown = await client.done("GetAPIs", DomainID=1)
    assert len({key["Permissions"] for key in shown["APIKeys"]}) == 1


async def test_a_domain_that_may_not_send_registers_nothing(client: Client, node: Running) -> None:
    await node.database.write(lambda tx: tx.execute(text("UPDATE domains SET status = 'pending'")))
    assert told(await call(client, "POST", NEW)) == (401, 13, "Invalid SenderAPIKey")
    assert (await call(client, "GET")).status_code == 200


def test_names_are_those_of_the_contract_and_of_mail() -> None:
    assert {word for words in WORDS.values() for word in words} == set(NAMES) == set(PAST_EVENTS)
    assert set(WORDS) <= {kind for kind in EventKind if kind < EventKind.CONTACT_CREATED}
