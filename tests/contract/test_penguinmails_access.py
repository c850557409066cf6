"""Sessions and API keys: who gets in, as whom, for what, and until when."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import httpx2
import pytest
from sqlalchemy import text
from tests.contract.test_penguinmails import MAIL, OWNER, SQLITE, client_of, login, refused
from tests.factories import PASSWORD, Running

from postrider.kit import clock
from postrider.surfaces.penguinmails.limits import ACCESS_TOKEN_MS, REFRESH_TOKEN_MS, requests_per_hour
from postrider.surfaces.penguinmails.vocabulary import PERMISSIONS, ROLES

LOGIN, REFRESH, LOGOUT = (f"/api/v1/auth/{name}" for name in ("login", "refresh", "logout"))
KEYS, EMAILS, SEND = "/api/v1/platform/api-keys", "/api/v1/emails", "/api/v1/emails/send"


@pytest.fixture
async def user(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node, (await login(node))["access_token"]) as client:
        yield client


@pytest.fixture
async def anybody(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def make_key(user: httpx2.AsyncClient, **fields: object) -> dict[str, str]:
    answer = await user.post(KEYS, json={"name": "Key", **fields})
    assert answer.status_code == 201, answer.text
    data: dict[str, str] = answer.json()["data"]
    return data


async def test_a_login_is_a_pair_of_tokens_for_900_seconds(
    node: Running, anybody: httpx2.AsyncClient
) -> None:
    tokens = await login(node)
    assert (tokens["expires_in"], tokens["token_type"]) == (900, "Bearer")
    assert (tokens["user"]["email"], tokens["user"]["role"]) == (OWNER, "owner")
    assert tokens["user"]["id"].startswith("user_")
    assert (await anybody.get(EMAILS, headers=bearer(tokens["access_token"]))).status_code == 200
    assert refused(await anybody.get(EMAILS, headers=bearer(tokens["refresh_token"])))[0] == 401


@SQLITE
async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(
    anybody: httpx2.AsyncClient,
) -> None:
    told = []
    for email, password in ((OWNER, "wrong"), ("nobody@example.test", PASSWORD)):
        answer = await anybody.post(LOGIN, json={"email": email, "password": password})
        assert refused(answer) == (401, "AUTHENTICATION_REQUIRED")
        told.append(answer.json()["error"]["message"])
    assert told[0] == told[1]


@SQLITE
async def test_too_many_wrong_passwords_are_told_when_to_come_back(anybody: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            answer = await anybody.post(LOGIN, json={"email": OWNER, "password": "wrong"})
            if answer.status_code != 401:
                break
    assert refused(answer) == (429, "RATE_LIMIT_EXCEEDED")
    assert int(answer.headers["retry-after"]) > 0


async def test_tokens_expire(node: Running, anybody: httpx2.AsyncClient) -> None:
    tokens = await login(node)
    started = clock.now_ms()
    clock.set_source(lambda: started + ACCESS_TOKEN_MS + 5 * clock.SECOND)
    expired = await anybody.get(EMAILS, headers=bearer(tokens["access_token"]))
    assert refused(expired) == (401, "TOKEN_EXPIRED")
    clock.set_source(lambda: started + REFRESH_TOKEN_MS + 5 * clock.SECOND)
    late = await anybody.post(REFRESH, json={"refresh_token": tokens["refresh_token"]})
    assert refused(late) == (401, "TOKEN_EXPIRED")


async def test_a_refresh_token_is_good_once(node: Running, anybody: httpx2.AsyncClient) -> None:
    tokens = await login(node)
    fresh = await anybody.post(REFRESH, json={"refresh_token": tokens["refresh_token"]})
    assert fresh.status_code == 200, fresh.text
    pair = fresh.json()["data"]
    assert pair["expires_in"] == 900
    assert (await anybody.get(EMAILS, headers=bearer(pair["access_token"]))).status_code == 200
    again = await anybody.post(REFRESH, json={"refresh_token": tokens["refresh_token"]})
    assert refused(again) == (401, "AUTHENTICATION_REQUIRED")
    async with asyncio.timeout(5):  # a node remembers for a second who a token stands for
        while (await anybody.get(EMAILS, headers=bearer(pair["access_token"]))).status_code != 401:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    for nonsense in ("x", "a.b.c", pair["access_token"]):
        answer = await anybody.post(REFRESH, json={"refresh_token": nonsense})
        assert refused(answer) == (401, "AUTHENTICATION_REQUIRED"), nonsense


async def test_after_logout_neither_token_works(node: Running, anybody: httpx2.AsyncClient) -> None:
    tokens, other = await login(node), await login(node)
    body = {"refresh_token": tokens["refresh_token"]}
    answer = await anybody.post(LOGOUT, json=body, headers=bearer(tokens["access_token"]))
    assert answer.json() == {"success": True, "data": {"message": "Successfully logged out"}}
    gone = await anybody.get(EMAILS, headers=bearer(tokens["access_token"]))
    assert refused(gone) == (401, "AUTHENTICATION_REQUIRED")
    assert refused(await anybody.post(REFRESH, json=body)) == (401, "AUTHENTICATION_REQUIRED")
    assert (await anybody.get(EMAILS, headers=bearer(other["access_token"]))).status_code == 200
    bodiless = await anybody.post(LOGOUT, headers=bearer(other["access_token"]))
    assert bodiless.status_code == 200


@SQLITE
async def test_only_a_bearer_of_this_dialect_is_let_in(node: Running, anybody: httpx2.AsyncClient) -> None:
    key = node.account.keys["penguinmails"]
    assert (await anybody.get(EMAILS, headers=bearer(key))).status_code == 200
    assert (await anybody.get(EMAILS, headers={"authorization": f"bearer  {key}"})).status_code == 200
    wrong: list[dict[str, str]] = [
        {},
        {"X-API-Key": key},
        {"Authorization": key},
        {"Authorization": f"Basic {key}"},
        {"Authorization": "Bearer"},
        bearer("sk_test_abc123"),
        bearer(key + "x"),
        bearer("pk_live_" + "x" * 10_000),
        bearer(node.account.keys["console"]),
        bearer(node.account.keys["mailerlogic"]),
        bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."),
    ]
    for headers in wrong:
        answer = await anybody.get(EMAILS, headers=headers)
        assert refused(answer) == (401, "AUTHENTICATION_REQUIRED"), headers
    odd = [(b"authorization", b"Bearer \xff\xfe")]
    assert refused(await anybody.get(EMAILS, headers=odd))[0] == 401


@SQLITE
@pytest.mark.parametrize("role", ROLES)
async def test_a_role_has_its_word_and_its_rights(
    node: Running, anybody: httpx2.AsyncClient, role: str
) -> None:
    change = text("UPDATE memberships SET role = :role")
    await node.database.write(lambda tx: tx.execute(change, {"role": role}))
    tokens = await login(node)
    assert tokens["user"]["role"] == ROLES[role]
    headers = bearer(tokens["access_token"])
    statuses = [
        (await anybody.get(EMAILS, headers=headers)).status_code,
        (await anybody.post(SEND, json=MAIL, headers=headers)).status_code,
        (await anybody.post(KEYS, json={"name": "Key"}, headers=headers)).status_code,
        (await anybody.post(LOGOUT, headers=headers)).status_code,
    ]
    refusals = {"owner": [], "admin": [], "editor": [2], "viewer": [1, 2]}[role]
    usual = [200, 200, 201, 200]
    assert statuses == [403 if place in refusals else status for place, status in enumerate(usual)]


async def test_a_suspended_account_is_refused_everywhere(node: Running, user: httpx2.AsyncClient) -> None:
    suspend = text("UPDATE organizations SET status = 'suspended'")
    await node.database.write(lambda tx: tx.execute(suspend))
    node.node.keyring.forget()
    key = bearer(node.account.keys["penguinmails"])
    for answer in (
        await user.get(EMAILS),
        await user.get(EMAILS, headers=key),
        await user.get(KEYS),
        await user.post(SEND, json=MAIL, headers=key),
        await user.post(LOGIN, json={"email": OWNER, "password": PASSWORD}),
    ):
        assert refused(answer) == (403, "ACCOUNT_SUSPENDED")


async def test_a_key_works_from_its_making_until_it_is_revoked(
    user: httpx2.AsyncClient, anybody: httpx2.AsyncClient
) -> None:
    for environment, prefix in (("live", "pk_live_"), ("test", "sk_test_")):
        made = await make_key(user, environment=environment, name=f"For {environment}")
        assert made["api_key"].startswith(prefix)
        assert made["warning"] == "Shown once"
        headers = bearer(made["api_key"])
        assert (await anybody.get(EMAILS, headers=headers)).status_code == 200
        gone = (await user.delete(f"{KEYS}/{made['key_id']}")).json()["data"]
        assert (gone["key_id"], gone["message"]) == (made["key_id"], "API key revoked successfully")
        assert refused(await anybody.get(EMAILS, headers=headers)) == (401, "AUTHENTICATION_REQUIRED")
        assert refused(await user.delete(f"{KEYS}/{made['key_id']}")) == (404, "RESOURCE_NOT_FOUND")


async def test_keys_are_listed_masked_with_what_they_may_do(
    node: Running, user: httpx2.AsyncClient, anybody: httpx2.AsyncClient
) -> None:
    made = [await make_key(user, name="One", permissions=["send_email"])]
    made.append(await make_key(user, name="Two", environment="test"))
    answer = await user.get(KEYS, params={"per_page": 2})
    shown = answer.json()["data"]
    assert [key["name"] for key in shown] == ["Two", "One"]
    assert [key["permissions"] for key in shown] == [list(PERMISSIONS), ["send_email"]]
    for key, secret in zip(shown, (made[1]["api_key"], made[0]["api_key"]), strict=True):
        assert secret.startswith(key["masked_key"].removesuffix("..."))
        assert secret not in answer.text
        assert (key["status"], key["last_used"]) == ("active", None)
    total = answer.json()["meta"]["pagination"]["total"]
    assert total == 4  # the account's first two are listed too
    names = [key["name"] for key in (await user.get(KEYS, params={"order": "asc"})).json()["data"]]
    assert names == ["First key", "First key", "One", "Two"]
    mine = bearer(node.account.keys["penguinmails_test"])
    assert (await anybody.get(KEYS, headers=mine)).json()["meta"]["pagination"]["total"] == 2


@SQLITE
async def test_a_key_may_do_what_its_permissions_say(user: httpx2.AsyncClient) -> None:
    for size in (1, 2):
        for words in itertools.combinations(PERMISSIONS, size):
            headers = bearer((await make_key(user, permissions=words))["api_key"])
            sent = (await user.post(SEND, json=MAIL, headers=headers)).status_code
            read = (await user.get(EMAILS, headers=headers)).status_code
            keys = (await user.get(KEYS, headers=headers)).status_code
            expected = (
                200 if "send_email" in words else 403,
                200 if "read_analytics" in words else 403,
                403,
            )
            assert (sent, read, keys) == expected, words


@SQLITE
async def test_the_limit_is_the_plans_and_relaxed_in_the_sandbox(
    node: Running, anybody: httpx2.AsyncClient
) -> None:
    assert requests_per_hour(None) == 1_000
    await node.database.write(lambda tx: tx.execute(text("UPDATE organizations SET plan = 'starter'")))
    node.node.keyring.forget()
    for name, limit in (("penguinmails", "10000"), ("penguinmails_test", "1000000")):
        answer = await anybody.get(EMAILS, headers=bearer(node.account.keys[name]))
        assert answer.headers["x-ratelimit-limit"] == limit
