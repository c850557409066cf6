"""Who may do what: signing in, tokens that run out or come twice, keys that are made, limited and revoked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.contract.test_nudgecampaign import EMAIL, LATER_YEAR, client_of, error_of
from tests.factories import PASSWORD, Running

from postrider.kit import clock
from postrider.surfaces.nudgecampaign.limits import ACCESS_MS, REFRESH_MS
from postrider.surfaces.nudgecampaign.vocabulary import SCOPES

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

KEYS = "/v2/organization/api-keys"
INVALID = (401, "ERR_AUTH_INVALID_TOKEN", "authentication_error")
DENIED = (403, "ERR_PERMISSION_DENIED", "authorization_error")
ONE_READ = {"name": "Reader", "scopes": ["organization:read"]}


@pytest.fixture
async def nobody(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a credential."""
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/nudgecampaign") as client:
        yield client


async def sign_in(nobody: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await nobody.post("/v2/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


async def with_token(nobody: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await nobody.get("/v2/organization", headers={"Authorization": f"Bearer {token}"})


async def refresh(nobody: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await nobody.post("/v2/auth/refresh", json={"refresh_token": token})


async def made_key(node: Running, **body: Any) -> str:
    async with client_of(node, node.account.keys["nudgecampaign"]) as client:
        answer = await client.post(KEYS, json={**ONE_READ, **body})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["key"])


async def set_role(node: Running, role: str) -> None:
    await node.database.write(
        lambda tx: tx.execute(text("UPDATE memberships SET role = :role"), {"role": role})
    )


async def test_tokens_of_a_login_are_good_and_are_renewed(nobody: httpx2.AsyncClient) -> None:
    tokens = await sign_in(nobody)
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    assert tokens["user"]["role"] == "owner"
    organization = (await with_token(nobody, tokens["access_token"])).json()["data"]
    assert organization["id"] == tokens["user"]["organization_id"]
    renewed = await refresh(nobody, tokens["refresh_token"])
    assert set(renewed.json()) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (await with_token(nobody, renewed.json()["access_token"])).status_code == 200


async def test_a_refresh_token_that_comes_twice_ends_the_session(nobody: httpx2.AsyncClient) -> None:
    first = await sign_in(nobody)
    second = (await refresh(nobody, first["refresh_token"])).json()
    assert error_of(await refresh(nobody, first["refresh_token"])) == INVALID
    assert error_of(await refresh(nobody, second["refresh_token"])) == INVALID
    async with asyncio.timeout(5):  # a node remembers a good token for a second
        while True:
            answer = await with_token(nobody, second["access_token"])
            if answer.status_code != 200:
                break
            await asyncio.sleep(0.1)
    assert error_of(answer) == INVALID


async def test_the_end_of_one_session_is_not_the_end_of_another(nobody: httpx2.AsyncClient) -> None:
    ended, other = await sign_in(nobody), await sign_in(nobody)
    for _ in range(2):
        await refresh(nobody, ended["refresh_token"])
    assert (await refresh(nobody, other["refresh_token"])).status_code == 200


@SQLITE
async def test_tokens_run_out(nobody: httpx2.AsyncClient) -> None:
    tokens, now = await sign_in(nobody), clock.now_ms()
    for passed, access, renewal in ((ACCESS_MS, 401, None), (REFRESH_MS, 401, 401)):
        clock.set_source(lambda passed=passed: now + passed + clock.SECOND)  # type: ignore[misc]
        assert (await with_token(nobody, tokens["access_token"])).status_code == access
        if renewal is not None:
            assert error_of(await refresh(nobody, tokens["refresh_token"])) == INVALID


@SQLITE
async def test_one_kind_of_token_is_not_taken_for_the_other(nobody: httpx2.AsyncClient) -> None:
    tokens = await sign_in(nobody)
    assert error_of(await with_token(nobody, tokens["refresh_token"])) == INVALID
    assert error_of(await refresh(nobody, tokens["access_token"])) == INVALID


@SQLITE
async def test_a_wrong_password_and_an_unknown_user_are_told_alike(nobody: httpx2.AsyncClient) -> None:
    told = []
    for email, password in ((EMAIL, "wrong"), ("nobody@example.test", PASSWORD)):
        answer = await nobody.post("/v2/auth/login", json={"email": email, "password": password})
        assert error_of(answer) == INVALID
        told.append(answer.json()["error"]["message"])
    assert told[0] == told[1]


@SQLITE
async def test_guessing_a_password_is_slowed_down(nobody: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = await nobody.post("/v2/auth/login", json={"email": EMAIL, "password": "guess"})
            if answer.status_code != 401:
                break
    assert error_of(answer) == (429, "ERR_RATE_LIMIT", "rate_limit_error")
    error = answer.json()["error"]
    assert answer.headers["retry-after"] == str(error["retry_after"])
    assert error["message"] == f"Rate limit exceeded. Please retry after {error['retry_after']} seconds"


@SQLITE
async def test_login_of_a_suspended_organization_is_a_payment_error(
    nobody: httpx2.AsyncClient, node: Running
) -> None:
    await node.database.write(lambda tx: tx.execute(text("UPDATE organizations SET status = 'suspended'")))
    answer = await nobody.post("/v2/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert error_of(answer) == (402, "ERR_PAYMENT_REQUIRED", "payment_error")


@SQLITE
@pytest.mark.parametrize(
    "sent",
    [b"Bearer", b"Basic b3duZXI6cHc=", b"Bearer a.b.c", b"Bearer " + b"x" * 5_000, b"sk_live_a", b"\xff"],
)
async def test_what_is_no_token_is_an_invalid_one(nobody: httpx2.AsyncClient, sent: bytes) -> None:
    answer = await nobody.get("/v2/organization", headers=[(b"Authorization", sent)])
    assert error_of(answer) == INVALID
    assert answer.headers["www-authenticate"] == "Bearer"


@SQLITE
async def test_a_token_that_was_signed_by_nobody_is_refused(nobody: httpx2.AsyncClient) -> None:
    head, claims, _ = (await sign_in(nobody))["access_token"].split(".")
    unsigned = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    for forged in (f"{unsigned}.{claims}.", f"{head}.{claims}.", f"{head}.{claims}.{'A' * 43}"):
        assert error_of(await with_token(nobody, forged)) == INVALID


@SQLITE
async def test_a_key_is_taken_as_bearer_token_too(nobody: httpx2.AsyncClient, node: Running) -> None:
    assert (await with_token(nobody, node.account.keys["nudgecampaign"])).status_code == 200
    assert error_of(await with_token(nobody, "sk_live_" + "a" * 40)) == INVALID


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_roles_below_admin_read_the_organization_and_touch_no_keys(
    nobody: httpx2.AsyncClient, node: Running, role: str
) -> None:
    await set_role(node, role)
    tokens = await sign_in(nobody)
    assert tokens["user"]["role"] == role
    nobody.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    assert (await nobody.get("/v2/organization")).status_code == 200
    assert (await nobody.get("/v2/organization/users")).json()["data"][0]["role"] == role
    assert error_of(await nobody.get(KEYS)) == DENIED
    refused = await nobody.post(KEYS, json=ONE_READ)
    assert error_of(refused) == DENIED
    assert refused.json()["error"]["message"] == "The caller lacks the permission organization:write."


@SQLITE
async def test_an_admin_keeps_the_keys(nobody: httpx2.AsyncClient, node: Running) -> None:
    await set_role(node, "admin")
    nobody.headers["Authorization"] = f"Bearer {(await sign_in(nobody))['access_token']}"
    made = await nobody.post(KEYS, json=ONE_READ)
    assert made.status_code == 201
    assert len((await nobody.get(KEYS)).json()["data"]) == 2
    assert (await nobody.delete(f"{KEYS}/{made.json()['data']['id']}")).status_code == 204


async def test_a_key_is_told_once_and_listed_by_its_first_characters(node: Running) -> None:
    async with client_of(node, node.account.keys["nudgecampaign"]) as client:
        new = {"name": "Production", "scopes": ["campaigns:read", "contacts:read"], "expires_at": LATER_YEAR}
        made = await client.post(KEYS, json=new)
        told = made.json()["data"]
        assert set(told) == {"id", "key", "name", "scopes", "created_at", "expires_at"}
        assert {name: told[name] for name in new} == new
        listed = (await client.get(KEYS)).json()["data"][-1]
        assert {name: listed[name] for name in new} == new
        assert told["key"].startswith(listed["key_prefix"])
        assert told["key"] not in (await client.get(KEYS)).text
        assert len(listed["key_prefix"]) < 16


async def test_a_revoked_key_is_refused_at_once(node: Running) -> None:
    key = await made_key(node)
    async with client_of(node, key) as client:
        assert (await client.get("/v2/organization")).status_code == 200
        async with client_of(node, node.account.keys["nudgecampaign"]) as owner:
            listed = (await owner.get(KEYS)).json()["data"][-1]
            assert (await owner.delete(f"{KEYS}/{listed['id']}")).status_code == 204
            assert error_of(await owner.delete(f"{KEYS}/{listed['id']}"))[0] == 404
        assert error_of(await client.get("/v2/organization")) == INVALID


@SQLITE
async def test_a_key_stops_when_its_time_is_over(node: Running) -> None:
    now = clock.now_ms()
    key = await made_key(node, expires_at=clock.to_iso(now + clock.HOUR))
    async with client_of(node, key) as client:
        assert (await client.get("/v2/organization")).status_code == 200
        clock.set_source(lambda: now + clock.HOUR + clock.SECOND)
        node.node.keyring.forget()
        assert error_of(await client.get("/v2/organization")) == INVALID


@SQLITE
async def test_write_is_not_read_and_read_is_not_write(node: Running) -> None:
    async with client_of(node, await made_key(node, scopes=["organization:read"])) as reader:
        assert (await reader.get(KEYS)).status_code == 200
        assert error_of(await reader.post(KEYS, json=ONE_READ)) == DENIED
    async with client_of(node, await made_key(node, scopes=["organization:write"])) as writer:
        assert error_of(await writer.get(KEYS)) == DENIED
        assert error_of(await writer.get("/v2/organization")) == DENIED
        own = {"name": "Another writer", "scopes": ["organization:write"]}
        assert (await writer.post(KEYS, json=own)).status_code == 201
    async with client_of(node, await made_key(node, scopes=["campaigns:read"])) as other:
        refused = await other.get("/v2/organization/users")
        assert refused.json()["error"]["message"] == "The caller lacks the permission organization:read."


@SQLITE
async def test_a_key_gives_no_more_than_it_has(node: Running) -> None:
    key = await made_key(node, scopes=["organization:read", "organization:write"])
    async with client_of(node, key) as client:
        refused = await client.post(KEYS, json={"name": "More", "scopes": ["campaigns:write"]})
        assert error_of(refused) == DENIED
        assert (await client.post(KEYS, json=ONE_READ)).status_code == 201
        assert len((await client.get(KEYS)).json()["data"]) == 3


@SQLITE
async def test_every_scope_comes_back_as_it_was_given(node: Running) -> None:
    async with client_of(node, node.account.keys["nudgecampaign"]) as client:
        for word in SCOPES:
            made = await client.post(KEYS, json={"name": word, "scopes": [word, word]})
            assert made.json()["data"]["scopes"] == [word]
        first = (await client.get(KEYS)).json()["data"][0]
        assert (first["name"], first["scopes"]) == ("First key", list(SCOPES))
