"""Every operation served so far, against its contract: status, keys, and the errors it documents."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import DOMAIN, Running, make_account, make_domain, running_node
from tests.sink.dns import DnsServer

from postrider.surfaces.mailerlogic import (
    bounces,
    campaign_reports,
    contact_emails,
    contacts,
    content_score,
    event_list,
    properties,
    segment_mail,
    segments,
    statistics,
    suppressions,
    tags,
    validation,
    webhooks,
)
from postrider.surfaces.mailerlogic.app import OPERATIONS

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("mailerlogic")
# Walked in worlds of their own: test_mailerlogic_suppressions, …_webhooks, …_event_list, …_stats, ….
_OWN_WORLDS = (
    *(*bounces.OPERATIONS, *suppressions.OPERATIONS, *webhooks.OPERATIONS),
    *(*event_list.OPERATIONS, *statistics.OPERATIONS),
    *(*properties.OPERATIONS, *contacts.OPERATIONS, *contact_emails.OPERATIONS, *tags.OPERATIONS),
    *(*segments.OPERATIONS, *segment_mail.OPERATIONS, *campaign_reports.OPERATIONS),
    *(*content_score.OPERATIONS, *validation.OPERATIONS),
)
ELSEWHERE = {operation.id for operation in _OWN_WORLDS}
SERVED = {operation.id: operation for operation in OPERATIONS if operation.id not in ELSEWHERE}
NOWHERE = "00000000-0000-4000-8000-000000000000"
TO_ONE = {"to": "user@example.com", "subject": "Hello", "text": "Hello"}
FROM_TO = {"from": f"a@{DOMAIN}", "to": "b@example.com"}
TO_MANY = {
    "subject": "Hello {{name}}",
    "html": '<h1>Hi {{name}}</h1><a href="{{unsubscribe}}">Unsubscribe</a>',
    "recipients": [{"email": "a@example.com", "vars": {"name": "Ann"}}, {"email": "b@example.com"}],
}


@dataclass
class World:
    """What paths and bodies refer to: two domains, three credentials, a mail that was delivered."""

    client: httpx2.AsyncClient
    ids: dict[str, str] = field(default_factory=dict)
    added: int = 0

    def new_domain(self) -> dict[str, Any]:
        self.added += 1
        return {"domain": f"mail{self.added}.example.test"}


BODIES: dict[str, Callable[[World], dict[str, Any]]] = {
    "sendEmail": lambda world: TO_ONE,
    "sendBatch": lambda world: {"emails": [TO_ONE, {**TO_ONE, "to": "bad"}]},
    "sendBulk": lambda world: TO_MANY,
    "createSmtpCredential": lambda world: {"name": "Support", "sending_domain_id": world.ids["id"]},
    "updateSmtpCredential": lambda world: {"name": "Billing", "rate_limit_per_minute": 10},
    "setSmtpCredentialStatus": lambda world: {"is_active": False},
    "addDomain": World.new_domain,
    "updateDomain": lambda world: {"open_tracking_enabled": False, "tracking_domain_id": None},
    "updateDomainTracking": lambda world: {"click_tracking_enabled": None},
    "sendTestEmail": lambda world: {"domain_id": world.ids["id"], **FROM_TO},
}
MALFORMED: dict[str, dict[str, Any]] = {
    "sendEmail": {"to": "user@example.com"},
    "sendBatch": {"emails": []},
    "sendBulk": {"subject": "Hello", "text": "Hello", "recipients": []},
    "createSmtpCredential": {},
    "updateSmtpCredential": {"name": 7},
    "setSmtpCredentialStatus": {"is_active": "perhaps"},
    "addDomain": {"domain": "localhost"},
    "updateDomain": {"tracking_enabled": "yes"},
    "updateDomainTracking": {"open_tracking_enabled": 1},
    "sendTestEmail": {"domain_id": 7, **FROM_TO},
}
IDS_IN_BODY = {"createSmtpCredential", "sendTestEmail"}


@pytest.fixture
async def running(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with DnsServer() as dns:
        servers = f"127.0.0.1:{dns.address[1]}"
        async with running_node(store_url, tmp_path / "data", dns_servers=servers) as node:
            yield node


@pytest.fixture
async def world(running: Running) -> AsyncIterator[World]:
    async with client_of(running, running.account.keys["mailerlogic"]) as client:
        world = World(client)
        world.ids["id"] = (await client.get("/api/v1/customer/domains")).json()["domains"][0]["id"]
        await client.post("/api/v1/customer/domains", json=world.new_domain())
        made = [await client.post("/api/v1/smtp-credentials", json={"name": name}) for name in ("One", "Two")]
        world.ids["credential_id"] = made[0].json()["credential"]["id"]
        world.ids["email_id"] = (await client.post("/api/v1/send", json=TO_ONE)).json()["messageId"]
        await delivered(client, world.ids["email_id"])
        yield world


def client_of(running: Running, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{running.base_url}/mailerlogic", headers={"X-API-Key": key})


async def delivered(client: httpx2.AsyncClient, email_id: str) -> None:
    async with asyncio.timeout(10):
        while True:
            events = (await client.get(f"/api/v1/emails/{email_id}/events")).json()["events"]
            if any(event["event_type"] == "delivered" for event in events):
                return
            await asyncio.sleep(0.02)


async def call(world: World, operation_id: str, path: str, body: dict[str, Any] | None) -> httpx2.Response:
    return await world.client.request(SERVED[operation_id].method, path.format(**world.ids), json=body)


def test_routes_and_contract_name_the_same_methods_and_paths() -> None:
    for operation in OPERATIONS:
        contracted = CONTRACT[operation.id]
        assert (operation.method, operation.paths[0]) == (contracted.method, contracted.paths[0])
        assert set(contracted.paths) <= set(operation.paths), operation.id
        assert operation.status == contracted.status, operation.id


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(world: World) -> None:
    last_of_all = sorted(SERVED, key=lambda operation_id: operation_id.startswith("delete"))
    for operation_id in last_of_all:
        contracted, body = CONTRACT[operation_id], BODIES.get(operation_id)
        for path in SERVED[operation_id].paths:
            answer = await call(world, operation_id, path, body(world) if body else None)
            assert answer.status_code == contracted.status, (operation_id, answer.text)
            assert not missing_keys(answer.json(), contracted.keys), (operation_id, answer.text)


@SQLITE
async def test_every_operation_answers_its_documented_errors(world: World) -> None:
    for operation_id, operation in SERVED.items():
        contracted, path, body = CONTRACT[operation_id], operation.paths[0], BODIES.get(operation_id)
        answered = {401}
        unknown = await world.client.request(
            operation.method,
            path.format(**world.ids),
            json=body(world) if body else None,
            headers={"X-API-Key": "ml_live_" + "0" * 64},
        )
        assert (unknown.status_code, unknown.json()["error"]) == (401, "Unauthorized"), operation_id
        if "{" in path:
            nowhere = World(world.client, dict.fromkeys(world.ids, NOWHERE))
            answer = await call(nowhere, operation_id, path, body(world) if body else None)
            assert (answer.status_code, "error" in answer.json()) == (404, True), operation_id
            answered.add(404)
        if operation_id in MALFORMED:
            answer = await call(world, operation_id, path, MALFORMED[operation_id])
            assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed"), operation_id
            answered.add(400)
        elsewhere = {403, 404, 409, 429, 400}  # told by tests of their own where they need a state
        assert contracted.errors <= answered | elsewhere, operation_id


async def test_another_organization_finds_none_of_these_ids(world: World, running: Running) -> None:
    stranger = make_account(running.database, running.sealer, email="stranger@example.test")
    make_domain(running.database, running.sealer, stranger.organization_id, "mail.stranger.test")
    async with client_of(running, stranger.keys["mailerlogic"]) as client:
        strange = World(client, world.ids)
        for operation_id, operation in SERVED.items():
            if "{" in operation.paths[0] or operation_id in IDS_IN_BODY:
                body = BODIES.get(operation_id)
                answer = await call(
                    strange, operation_id, operation.paths[0], body(strange) if body else None
                )
                assert answer.status_code == 404, (operation_id, answer.text)
    assert (await call(world, "listSmtpCredentials", "/api/v1/smtp-credentials", None)).status_code == 200
    email = await call(world, "emailEvents", "/api/v1/emails/{email_id}/events", None)
    assert email.json()["email_id"] == world.ids["email_id"]


@SQLITE
async def test_a_key_as_bearer_token_is_taken_and_another_surfaces_key_is_not(running: Running) -> None:
    key = running.account.keys["mailerlogic"]
    async with httpx2.AsyncClient(base_url=f"{running.base_url}/mailerlogic") as client:
        path = "/api/v1/customer/domains"
        assert (await client.get(path)).json()["error"] == "Unauthorized"
        assert (await client.get(path, headers={"Authorization": f"Bearer {key}"})).status_code == 200
        other = running.account.keys["console"]
        assert (await client.get(path, headers={"X-API-Key": other})).status_code == 401
