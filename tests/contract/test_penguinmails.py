"""Every operation served so far, against its contract: status, keys, and the errors it documents."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import DOMAIN, PASSWORD, Running, make_account, make_domain, running_node

from postrider.kit.ids import new_id
from postrider.surfaces.penguinmails import analytics, bulk, campaigns, goals, webhooks
from postrider.surfaces.penguinmails.app import OPERATIONS
from postrider.surfaces.penguinmails.ids import to_id

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("penguinmails")
# These are walked in worlds of their own: test_penguinmails_webhooks, _campaigns, _analytics.
NOUNS = (webhooks, campaigns, bulk, analytics, goals)
ELSEWHERE_WALKED = [operation for noun in NOUNS for operation in noun.OPERATIONS]
SERVED = {operation.id: operation for operation in OPERATIONS if operation not in ELSEWHERE_WALKED}
OWNER, STRANGER = "owner@example.test", "stranger@example.test"
MAIL: dict[str, Any] = {
    "to": "recipient@example.com",
    "subject": "Test Email for {{name}}",
    "content": {"html": "<h1>Hello {{name}}!</h1>", "text": "Hello {{name}}!"},
    "from": {"name": "Your Name", "email": f"sender@{DOMAIN}"},
    "reply_to": "support@example.com",
    "tracking": {"track_opens": True, "track_clicks": True},
    "personalization": {"name": "Recipient Name", "company": "Recipient Company"},
}
NEW_KEY = {"name": "Production Server", "permissions": ["send_email", "read_analytics"]}
NEW_CONTACT = {
    "email": "newcontact@example.com",
    "first_name": "Jane",
    "last_name": "Doe",
    "company": "Example Corp",
    "tags": ["prospect", "tech_interested"],
    "custom_fields": {"lead_score": 85, "last_purchase": "2025-11-15", "preferred_communication": "email"},
    "consent": {"email_marketing": True, "tracking": True, "date_given": "2025-12-01T09:00:00Z"},
}
# A key of the account cannot do what stands for a person.
USERS_ONLY = {"logout", "createApiKey", "revokeApiKey"}


@dataclass
class World:
    """What paths and bodies refer to: a user who is logged in, two delivered mails, three keys, a contact."""

    client: httpx2.AsyncClient  # as the user
    tokens: dict[str, Any]
    ids: dict[str, str] = field(default_factory=dict)


BODIES: dict[str, Callable[[World], dict[str, Any]]] = {
    "login": lambda world: {"email": OWNER, "password": PASSWORD},
    "refreshToken": lambda world: {"refresh_token": world.tokens["refresh_token"]},
    "logout": lambda world: {},
    "sendEmail": lambda world: MAIL,
    "createApiKey": lambda world: NEW_KEY,
    "createContact": lambda world: NEW_CONTACT,
    "updateContact": lambda world: {"tags": ["customer", "vip"], "lifecycle_stage": "customer"},
    "patchContact": lambda world: {"lifecycle_stage": "evangelist"},
    "bulkImportContacts": lambda world: {"contacts": [{"email": "user1@example.com", "name": "John"}]},
}
# What is absent, and what is wrong: (body, code).
MALFORMED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "login": [
        ({"email": OWNER}, "MISSING_REQUIRED_FIELD"),
        ({"email": OWNER, "password": None}, "MISSING_REQUIRED_FIELD"),
        ({"email": OWNER, "password": ""}, "VALIDATION_ERROR"),
    ],
    "refreshToken": [({}, "MISSING_REQUIRED_FIELD"), ({"refresh_token": 7}, "VALIDATION_ERROR")],
    "sendEmail": [
        ({"to": "a@example.com", "content": "x"}, "MISSING_REQUIRED_FIELD"),
        ({**MAIL, "subject": ""}, "VALIDATION_ERROR"),
        ({**MAIL, "to": "bad", "reply_to": "worse"}, "INVALID_EMAIL_FORMAT"),
    ],
    "createApiKey": [
        ({}, "MISSING_REQUIRED_FIELD"),
        ({"name": "x", "permissions": ["fly"]}, "VALIDATION_ERROR"),
    ],
    "createContact": [
        ({"first_name": "Jane"}, "MISSING_REQUIRED_FIELD"),
        ({"email": "jane"}, "INVALID_EMAIL_FORMAT"),
        ({"email": "jane", "tags": "prospect"}, "VALIDATION_ERROR"),
    ],
    "updateContact": [
        ({"email": "jane"}, "INVALID_EMAIL_FORMAT"),
        ({"lifecycle_stage": "friend"}, "VALIDATION_ERROR"),
    ],
    "patchContact": [
        ({"email": "jane"}, "INVALID_EMAIL_FORMAT"),
        ({"consent": {"tracking": "yes"}}, "VALIDATION_ERROR"),
    ],
    "bulkImportContacts": [
        ({}, "MISSING_REQUIRED_FIELD"),
        ({"contacts": []}, "VALIDATION_ERROR"),
        ({"contacts": "all"}, "VALIDATION_ERROR"),
    ],
}
# Told by tests of their own, where they need a state.
ELSEWHERE = {
    "login": {401, 403, 429}, "refreshToken": {401, 429}, "logout": {429}, "sendEmail": {404, 409, 413, 429},
    "createApiKey": {403, 429}, "listApiKeys": {429}, "revokeApiKey": {429}, "getEmail": {429},
    "listEmails": {400, 429}, "createContact": {409, 429}, "listContacts": {400, 429}, "getContact": {429},
    "updateContact": {409, 429}, "patchContact": {409, 429}, "deleteContact": {429},
    "bulkImportContacts": {413, 429},
}  # fmt: skip


@pytest.fixture
async def running(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running_node(store_url, tmp_path / "data") as node:
        yield node


@pytest.fixture
async def world(running: Running) -> AsyncIterator[World]:
    tokens = await login(running)
    async with client_of(running, tokens["access_token"]) as client:
        world = World(client, tokens)
        for _ in range(2):
            sent = await client.post("/api/v1/emails/send", json=MAIL)
            world.ids["message_id"] = sent.json()["data"]["message_id"]
            await settled(client, world.ids["message_id"])
        made = await client.post("/api/v1/platform/api-keys", json=NEW_KEY)
        world.ids["key_id"] = made.json()["data"]["key_id"]
        known = await client.post("/api/v1/contacts", json={"email": "known@example.com"})
        world.ids["contact_id"] = known.json()["data"]["id"]
        yield world


def client_of(running: Running, token: str | None = None) -> httpx2.AsyncClient:
    """A client at the dialect's mount; with a token, as whom it names."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx2.AsyncClient(base_url=f"{running.base_url}/penguinmails", headers=headers)


async def login(running: Running, email: str = OWNER) -> dict[str, Any]:
    async with client_of(running) as client:
        answer = await client.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()["data"]
    return tokens


async def settled(client: httpx2.AsyncClient, message_id: str) -> dict[str, Any]:
    """The message as getEmail shows it, once it waits no longer."""
    async with asyncio.timeout(10):
        while True:
            answer = await client.get(f"/api/v1/emails/{message_id}")
            shown: dict[str, Any] = answer.json()["data"]
            if shown["status"] != "queued":
                return shown
            await asyncio.sleep(0.02)


async def call(world: World, operation_id: str, *, body: Any = None, **options: Any) -> httpx2.Response:
    operation = SERVED[operation_id]
    path = operation.paths[0].format(**world.ids)
    return await world.client.request(operation.method, path, json=body, **options)


def test_routes_and_contract_name_the_same_methods_and_paths() -> None:
    for operation in OPERATIONS:
        contracted = CONTRACT[operation.id]
        assert (operation.method, operation.paths) == (contracted.method, contracted.paths)
        assert operation.status == contracted.status, operation.id


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(world: World) -> None:
    for operation_id in sorted(SERVED, key="logout".__eq__):
        contracted, body = CONTRACT[operation_id], BODIES.get(operation_id)
        answer = await call(world, operation_id, body=body(world) if body else None)
        assert answer.status_code == contracted.status, (operation_id, answer.text)
        assert not missing_keys(answer.json(), contracted.keys), (operation_id, answer.text)
        assert answer.json()["success"] is True


@SQLITE
async def test_every_operation_answers_its_documented_errors(world: World) -> None:
    for operation_id, operation in SERVED.items():
        body, answered = BODIES.get(operation_id), set[int]()
        if operation.scope is not None:
            strange = {"Authorization": "Bearer pk_live_" + "0" * 40}
            answer = await call(world, operation_id, body=body(world) if body else None, headers=strange)
            assert refused(answer) == (401, "AUTHENTICATION_REQUIRED"), operation_id
            answered.add(401)
        if "{" in operation.paths[0]:
            for nowhere in (to_id("msg", new_id()), to_id("key", new_id()), "msg_def456", "%00", "7"):
                lost = World(world.client, {}, dict.fromkeys(world.ids, nowhere))
                answer = await call(lost, operation_id, body=body(world) if body else None)
                assert refused(answer) == (404, "RESOURCE_NOT_FOUND"), (operation_id, nowhere)
            answered.add(404)
        for malformed, code in MALFORMED.get(operation_id, []):
            answer = await call(world, operation_id, body=malformed)
            assert refused(answer) == (400, code), (operation_id, answer.text)
            assert answer.json()["error"]["details"], answer.text
            answered.add(400)
        assert CONTRACT[operation_id].errors <= answered | ELSEWHERE[operation_id], operation_id


async def test_another_organization_finds_none_of_these_ids(world: World, running: Running) -> None:
    stranger = make_account(running.database, running.sealer, email=STRANGER)
    make_domain(running.database, running.sealer, stranger.organization_id, "mail.stranger.test")
    tokens = await login(running, STRANGER)
    async with client_of(running, tokens["access_token"]) as client:
        strange = World(client, tokens, world.ids)
        for operation_id, operation in SERVED.items():
            if "{" in operation.paths[0]:
                body = BODIES.get(operation_id)
                answer = await call(strange, operation_id, body=body(strange) if body else None)
                assert refused(answer) == (404, "RESOURCE_NOT_FOUND"), operation_id
        listed = (await call(strange, "listEmails")).json()
        assert (listed["data"], listed["meta"]["pagination"]["total"]) == ([], 0)
        assert (await call(strange, "listContacts")).json()["data"] == []
        shown = {key["key_id"] for key in (await call(strange, "listApiKeys")).json()["data"]}
        assert world.ids["key_id"] not in shown
    assert (await call(world, "getEmail")).json()["data"]["message_id"] == world.ids["message_id"]
    keys = (await call(world, "listApiKeys")).json()["data"]
    assert world.ids["key_id"] in {key["key_id"] for key in keys}


@SQLITE
async def test_what_stands_for_a_person_is_not_done_by_a_key(world: World, running: Running) -> None:
    async with client_of(running, running.account.keys["penguinmails"]) as client:
        as_key = World(client, {}, world.ids)
        for operation_id, operation in SERVED.items():
            if operation.scope is None:
                continue
            body = BODIES.get(operation_id)
            answer = await call(as_key, operation_id, body=body(world) if body else None)
            if operation_id in USERS_ONLY:
                assert refused(answer) == (403, "INSUFFICIENT_PERMISSIONS"), operation_id
            else:
                assert answer.status_code == CONTRACT[operation_id].status, operation_id


def refused(answer: httpx2.Response) -> tuple[int, str]:
    """The status and code of a refusal, its envelope checked."""
    body = answer.json()
    assert set(body) == {"success", "error", "timestamp"}, answer.text
    assert body["success"] is False
    assert body["error"]["request_id"] == answer.headers["x-request-id"]
    assert body["timestamp"].endswith("Z")
    assert len(body["timestamp"]) == 20
    return answer.status_code, body["error"]["code"]
