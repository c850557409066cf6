"""Every operation served so far, against its contract: status, keys, and the errors it documents."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import yaml
from tests.contract.walk import load, missing_keys
from tests.factories import DOMAIN, PASSWORD, Running, make_account

from postrider.kit.ids import new_id
from postrider.surfaces.nudgecampaign.app import OPERATIONS
from postrider.surfaces.nudgecampaign.ids import Noun, show

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("nudgecampaign")
# Walked in worlds of their own: test_nudgecampaign_webhooks, _transfers, _templates, _analytics.
ELSEWHERE = re.compile("/webhooks|/contacts/(im|ex)port|/templates|/analytics|/v2/conversions")
SERVED = {operation.id: operation for operation in OPERATIONS if not ELSEWHERE.search(operation.paths[0])}
EMAIL = "owner@example.test"
NOUNS = {
    "key_id": Noun.API_KEY, "campaign_id": Noun.CAMPAIGN, "contact_id": Noun.CONTACT, "list_id": Noun.LIST,
}  # fmt: skip
DRAFT = {
    "name": "Black Friday Sale",
    "subject": "48 Hour Flash Sale, {{first_name}}!",
    "from_name": "Your Store",
    "from_email": f"deals@{DOMAIN}",
    "reply_to": "support@yourstore.com",
    "html_content": "<html><body><h1>Black Friday Sale!</h1></body></html>",
    "text_content": "Black Friday Sale! Visit our store...",
    "settings": {"track_opens": True, "track_clicks": True, "google_analytics": True},
}
LATER_YEAR = "2999-01-01T00:00:00Z"


@dataclass
class World:
    """What paths and bodies refer to: two keys beside the first, two campaigns, a contact and its list."""

    client: httpx2.AsyncClient
    ids: dict[str, str] = field(default_factory=dict)
    refresh_token: str = ""


BODIES: dict[str, Callable[[World], dict[str, Any]]] = {
    "login": lambda world: {"email": EMAIL, "password": PASSWORD},
    "refreshToken": lambda world: {"refresh_token": world.refresh_token},
    "createApiKey": lambda world: {
        "name": "Production API Key",
        "scopes": ["campaigns:read", "campaigns:write", "contacts:read"],
        "expires_at": LATER_YEAR,
    },
    "createCampaign": lambda world: DRAFT,
    "updateCampaign": lambda world: {"name": "Updated", "settings": {"auto_footer": False}},
    "testCampaign": lambda world: {
        "recipients": ["test1@example.com", "test2@example.com"],
        "personalization": {"first_name": "John", "last_name": "Doe"},
    },
    "scheduleCampaign": lambda world: {"scheduled_at": LATER_YEAR, "timezone": "America/New_York"},
    "sendCampaign": lambda world: {"scheduled_at": LATER_YEAR, "send_time_optimization": True},
    "duplicateCampaign": lambda world: {"name": "Once more", "include_recipients": True},
    "createContact": lambda world: {
        "email": "new.contact@example.com",
        "first_name": "Jane",
        "last_name": "Smith",
        "tags": ["lead", "webinar"],
        "custom_fields": {"company": "Tech Corp", "role": "Marketing Manager"},
        "lists": [world.ids["list_id"]],
        "double_opt_in": True,
    },
    "updateContact": lambda world: {"first_name": "Johnny", "tags": ["customer", "vip"]},
    "subscribeContact": lambda world: {"reason": "User requested"},
    "unsubscribeContact": lambda world: {"reason": "User requested", "feedback": "Too many emails"},
    "createList": lambda world: {"name": "Newsletter", "description": "Monthly readers"},
    "updateList": lambda world: {"name": "Weekly newsletter"},
}
MALFORMED: dict[str, dict[str, Any]] = {
    "login": {"email": EMAIL},
    "refreshToken": {},
    "createApiKey": {"name": "x", "scopes": []},
    "createCampaign": {"name": "x", "subject": "x"},
    "updateCampaign": {"name": 7},
    "testCampaign": {"recipients": []},
    "scheduleCampaign": {"timezone": "Mars/Olympus"},
    "sendCampaign": {"scheduled_at": "tomorrow"},
    "duplicateCampaign": {"name": ""},
    "createContact": {"first_name": "Jane"},
    "updateContact": {"email": "no address"},
    "subscribeContact": {"reason": 7},
    "unsubscribeContact": {"suppress_notification": "no"},
    "createList": {"description": "Monthly readers"},
    "updateList": {"name": "x" * 256},
}


@pytest.fixture
async def world(node: Running) -> AsyncIterator[World]:
    async with client_of(node, node.account.keys["nudgecampaign"]) as client:
        world = World(client)
        path = SERVED["createApiKey"].paths[0]
        made = [await client.post(path, json={"name": name, "scopes": ["campaigns:read"]}) for name in "ab"]
        world.ids["key_id"] = made[0].json()["data"]["id"]
        readers = (await client.post("/v2/lists", json={"name": "Readers"})).json()["data"]
        world.ids["list_id"] = readers["id"]
        draft = {**DRAFT, "recipient_list_id": readers["id"]}
        drafts = [await client.post("/v2/campaigns", json=draft) for _ in range(2)]
        world.ids["campaign_id"] = drafts[0].json()["data"]["id"]
        known = {"email": "john.doe@example.com", "lists": [readers["id"]]}
        world.ids["contact_id"] = (await client.post("/v2/contacts", json=known)).json()["data"]["id"]
        signed_in = await client.post("/v2/auth/login", json={"email": EMAIL, "password": PASSWORD})
        world.refresh_token = signed_in.json()["refresh_token"]
        yield world


def client_of(node: Running, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{node.base_url}/nudgecampaign", headers={"X-API-Key": key})


async def call(world: World, operation_id: str, body: dict[str, Any] | None, **ids: str) -> httpx2.Response:
    operation = SERVED[operation_id]
    path = operation.paths[0].format(**{**world.ids, **ids})
    return await world.client.request(operation.method, path, json=body)


def test_routes_and_contract_name_the_same_methods_and_paths() -> None:
    for operation in OPERATIONS:
        contracted = CONTRACT[operation.id]
        assert (operation.method, operation.paths) == (contracted.method, contracted.paths)
        assert operation.status == contracted.status, operation.id


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(world: World) -> None:
    last_of_all = sorted(SERVED.values(), key=lambda operation: operation.method == "DELETE")
    for operation in last_of_all:
        contracted, body = CONTRACT[operation.id], BODIES.get(operation.id)
        answer = await call(world, operation.id, body(world) if body else None)
        assert answer.status_code == contracted.status, (operation.id, answer.text)
        if operation.method == "DELETE":
            assert answer.content == b""
        else:
            told = yaml.safe_load(answer.text)  # JSON is YAML
            assert not missing_keys(told, contracted.keys), (operation.id, answer.text)


@SQLITE
async def test_every_operation_answers_its_documented_errors(world: World) -> None:
    for operation_id, operation in SERVED.items():
        body = BODIES.get(operation_id)
        answered = set()
        if operation.scope is not None:
            unknown = await call_as(world, operation_id, {"X-API-Key": "sk_live_" + "0" * 40})
            assert error_of(unknown) == (401, "ERR_AUTH_INVALID_TOKEN", "authentication_error")
            nobody = await call_as(world, operation_id, {})
            assert error_of(nobody) == (401, "ERR_AUTH_MISSING_TOKEN", "authentication_error")
            answered.add(401)
        if "{" in operation.paths[0]:
            ids = {name: show(noun, new_id()) for name, noun in NOUNS.items()}
            answer = await call(world, operation_id, body(world) if body else None, **ids)
            assert error_of(answer) == (404, "ERR_RESOURCE_NOT_FOUND", "not_found_error"), operation_id
            answered.add(404)
        if operation_id in MALFORMED:
            answer = await call(world, operation_id, MALFORMED[operation_id])
            assert error_of(answer) == (422, "ERR_VALIDATION", "validation_error"), operation_id
            path = operation.paths[0].format(**world.ids)
            answer = await world.client.request(operation.method, path, content=b"{")
            assert error_of(answer) == (400, "ERR_VALIDATION", "validation_error"), operation_id
            answered |= {400, 422}
        elsewhere = {400, 401, 402, 403, 409, 429}  # told by tests of their own where they need a state
        assert CONTRACT[operation_id].errors <= answered | elsewhere, operation_id


async def call_as(world: World, operation_id: str, headers: dict[str, str]) -> httpx2.Response:
    operation, body = SERVED[operation_id], BODIES.get(operation_id)
    async with httpx2.AsyncClient(base_url=world.client.base_url, headers=headers) as client:
        path = operation.paths[0].format(**world.ids)
        return await client.request(operation.method, path, json=body(world) if body else None)


def error_of(answer: httpx2.Response) -> tuple[int, str, str]:
    """Status, code and type of a refusal, which has all the fields that the contract gives an error."""
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["documentation_url"].endswith("/" + error["code"])
    assert error["message"]
    assert bool(error["details"]) == (error["type"] == "validation_error")
    return answer.status_code, error["code"], error["type"]


async def test_another_organization_finds_none_of_these_ids(world: World, node: Running) -> None:
    stranger = make_account(node.database, node.sealer, email="stranger@example.test")
    async with client_of(node, stranger.keys["nudgecampaign"]) as client:
        strange = World(client, world.ids)
        for operation_id, operation in SERVED.items():
            if "{" in operation.paths[0]:
                body = BODIES.get(operation_id)
                answer = await call(strange, operation_id, body(strange) if body else None)
                assert error_of(answer)[0] == 404, (operation_id, answer.text)
        keys = (await client.get("/v2/organization/api-keys")).json()["data"]
        assert [key["name"] for key in keys] == ["First key"]
        users = (await client.get("/v2/organization/users")).json()["data"]
        assert [user["email"] for user in users] == ["stranger@example.test"]
    mine = (await world.client.get("/v2/organization/api-keys")).json()["data"]
    assert world.ids["key_id"] in {key["id"] for key in mine}


@SQLITE
async def test_another_surfaces_key_opens_nothing(node: Running) -> None:
    for name in ("mailerlogic", "console"):
        async with client_of(node, node.account.keys[name]) as client:
            assert error_of(await client.get("/v2/organization"))[1] == "ERR_AUTH_INVALID_TOKEN"


@SQLITE
async def test_the_organization_is_what_the_engine_knows(world: World) -> None:
    data = (await world.client.get("/v2/organization")).json()["data"]
    attributes = data["attributes"]
    assert (data["type"], attributes["name"], attributes["slug"]) == (
        "organization", "Example Ltd", "example-ltd",
    )  # fmt: skip
    assert attributes["domain"] == "mail.example.test"
    assert attributes["settings"]["default_from_email"] == "noreply@mail.example.test"
    assert attributes["subscription"]["plan"] == "enterprise"
    assert attributes["stats"]["total_contacts"] == 1
    assert data["meta"]["created_at"] == attributes["created_at"]
    few = await world.client.get("/v2/organization", params={"fields[organization]": "name"})
    assert few.json()["data"]["attributes"] == {"name": "Example Ltd"}
    assert (await world.client.get("/v2/organization", params={"sort": "name"})).status_code == 400
