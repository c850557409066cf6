"""What is malformed is refused with all its faults, in the error object, and never is a fault of ours."""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.test_nudgecampaign import DRAFT, EMAIL, LATER_YEAR, NOUNS, SERVED, client_of, error_of
from tests.factories import PASSWORD, Running

from postrider.kit.ids import new_id
from postrider.surfaces.nudgecampaign.app import LISTS, OPERATIONS
from postrider.surfaces.nudgecampaign.ids import show
from postrider.surfaces.nudgecampaign.limits import (
    CONTENT_MAX_CHARS,
    PERSONALIZATION_MAX_BYTES,
    REQUESTS_PER_HOUR,
)

pytestmark = pytest.mark.long  # thousands of requests

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

NEW_KEY = {"name": "Key", "scopes": ["campaigns:read"]}
LOGIN = {"email": EMAIL, "password": PASSWORD}
COPY = {"recipients": ["ann@example.com"]}
HEADERS = ("x-rate-limit", "x-ratelimit")


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node, node.account.keys["nudgecampaign"]) as client:
        yield client


# (operation, a body it takes, field, a value it does not, the code that says so)
WRONG: list[tuple[str, dict[str, Any], str, Any, str]] = [
    ("login", LOGIN, "email", "owner@", "invalid_format"),
    ("login", LOGIN, "email", "Owner <owner@example.test>", "invalid_format"),
    ("login", LOGIN, "email", "owner@example.test\r\nX: y", "invalid_format"),
    ("login", LOGIN, "email", ["owner@example.test"], "invalid_type"),
    ("login", LOGIN, "password", 7, "invalid_type"),
    ("login", LOGIN, "password", "", "invalid_value"),
    ("login", LOGIN, "password", "x" * 5_000, "too_long"),
    ("login", LOGIN, "password", "NUL\0", "invalid_value"),
    ("refreshToken", {"refresh_token": "x"}, "refresh_token", None, "invalid_type"),
    ("createApiKey", NEW_KEY, "name", "", "invalid_value"),
    ("createApiKey", NEW_KEY, "name", "a\r\nb", "invalid_value"),
    ("createApiKey", NEW_KEY, "name", "\N{RIGHT-TO-LEFT OVERRIDE}x", "invalid_value"),
    ("createApiKey", NEW_KEY, "name", "x" * 101, "too_long"),
    ("createApiKey", NEW_KEY, "name", {"a": 1}, "invalid_type"),
    ("createApiKey", NEW_KEY, "scopes", [], "invalid_value"),
    ("createApiKey", NEW_KEY, "scopes", ["*"], "invalid_value"),
    ("createApiKey", NEW_KEY, "scopes", ["campaigns:read", "messages:send"], "invalid_value"),
    ("createApiKey", NEW_KEY, "scopes", "campaigns:read", "invalid_type"),
    ("createApiKey", NEW_KEY, "scopes", ["campaigns:read"] * 51, "too_long"),
    ("createApiKey", NEW_KEY, "expires_at", "2020-01-01T00:00:00Z", "invalid_value"),
    ("createApiKey", NEW_KEY, "expires_at", "tomorrow", "invalid_format"),
    ("createApiKey", NEW_KEY, "expires_at", "9999-12-31T23:59:59-14:00", "invalid_format"),
    ("createApiKey", NEW_KEY, "expires_at", "0001-01-01T00:00:00+14:00", "invalid_format"),
    ("createApiKey", NEW_KEY, "expires_at", 4_102_444_800, "invalid_format"),
    ("createCampaign", DRAFT, "name", "x" * 256, "too_long"),
    ("createCampaign", DRAFT, "name", " ", "invalid_value"),
    ("createCampaign", DRAFT, "name", None, "invalid_type"),
    ("createCampaign", DRAFT, "subject", "x" * 256, "too_long"),
    ("createCampaign", DRAFT, "subject", "a\r\nBcc: eve@example.com", "invalid_value"),
    ("createCampaign", DRAFT, "subject", "a\0", "invalid_value"),
    ("createCampaign", DRAFT, "from_name", "a\r\nBcc: eve@example.com", "invalid_value"),
    ("createCampaign", DRAFT, "from_email", "deals", "invalid_format"),
    ("createCampaign", DRAFT, "reply_to", "a@b@c", "invalid_format"),
    ("createCampaign", DRAFT, "html_content", "", "required"),
    ("createCampaign", DRAFT, "html_content", "NUL\0", "invalid_value"),
    ("createCampaign", DRAFT, "html_content", "x" * (CONTENT_MAX_CHARS + 1), "too_long"),
    ("createCampaign", DRAFT, "text_content", 7, "invalid_type"),
    ("createCampaign", DRAFT, "recipient_list_id", "lst_xyz789", "not_found"),
    ("createCampaign", DRAFT, "template_id", "tpl_abc123", "not_found"),
    ("createCampaign", DRAFT, "settings", {"track_opens": "yes"}, "invalid_type"),
    ("createCampaign", DRAFT, "settings", None, "invalid_type"),
    ("updateCampaign", {}, "name", "", "invalid_value"),
    ("updateCampaign", {}, "subject", None, "invalid_type"),
    ("updateCampaign", {}, "html_content", None, "invalid_type"),
    ("testCampaign", COPY, "recipients", [], "invalid_value"),
    ("testCampaign", COPY, "recipients", ["ok@example.com", "bad"], "invalid_format"),
    ("testCampaign", COPY, "recipients", [f"u{n}@example.com" for n in range(11)], "too_long"),
    ("testCampaign", COPY, "personalization", ["a"], "invalid_type"),
    ("testCampaign", COPY, "personalization", {"a": "x" * PERSONALIZATION_MAX_BYTES}, "too_long"),
    ("testCampaign", COPY, "personalization", {"deep\0": [{"x": "y"}]}, "invalid_value"),
]


async def send(client: httpx2.AsyncClient, operation_id: str, **request: Any) -> httpx2.Response:
    """The operation with ids that name nothing."""
    operation = SERVED[operation_id]
    path = operation.paths[0].format(**{name: show(noun, new_id()) for name, noun in NOUNS.items()})
    return await client.request(operation.method, path, **request)


async def test_a_wrong_field_is_named_with_its_code(client: httpx2.AsyncClient) -> None:
    for operation_id, body, field, value, code in WRONG:
        answer = await send(client, operation_id, json={**body, field: value})
        assert error_of(answer) == (422, "ERR_VALIDATION", "validation_error"), (operation_id, field, value)
        detail = answer.json()["error"]["details"][0]
        assert detail["field"].startswith(field), (operation_id, field, value, answer.text)
        assert detail["code"] == code, (operation_id, field, value, answer.text)


@SQLITE
async def test_all_faults_of_a_body_are_told_at_once(client: httpx2.AsyncClient) -> None:
    body = {"subject": 7, "from_email": "x", "template_id": "tpl_x", "settings": {"track_opens": 1}}
    answer = await client.post("/v2/campaigns", json=body)
    assert {(each["field"], each["code"]) for each in answer.json()["error"]["details"]} == {
        ("name", "required"), ("subject", "invalid_type"), ("from_email", "invalid_format"),
        ("template_id", "not_found"), ("settings.track_opens", "invalid_type"),
    }  # fmt: skip


UNREADABLE = [
    b"",
    b"not json",
    b'{"name":',
    b"\xff\xfe{}",
    b'{"name": "\\ud800"}',
    b'{"settings": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
]
NO_OBJECTS = [b"[]", b"null", b'"text"', b"7", b"true"]
WITH_BODY = [operation.id for operation in SERVED.values() if operation.body is not None]
MAY_BE_EMPTY = {"subscribeContact", "unsubscribeContact", "sendCampaign", "duplicateCampaign"}


@SQLITE
async def test_what_is_no_json_is_a_400_and_no_object_a_422(client: httpx2.AsyncClient) -> None:
    for operation_id, body in itertools.product(WITH_BODY, UNREADABLE):
        if body or operation_id not in MAY_BE_EMPTY:
            answer = await send(client, operation_id, content=body)
            assert error_of(answer) == (400, "ERR_VALIDATION", "validation_error"), (operation_id, body[:60])
    for operation_id, body in itertools.product(WITH_BODY, NO_OBJECTS):
        answer = await send(client, operation_id, content=body)
        assert error_of(answer) == (422, "ERR_VALIDATION", "validation_error"), (operation_id, body)


@SQLITE
async def test_a_body_that_says_it_is_something_else_is_a_400(client: httpx2.AsyncClient) -> None:
    bodies = {"login": LOGIN, "refreshToken": {"refresh_token": "x"}, "createApiKey": NEW_KEY}
    bodies |= {"createCampaign": DRAFT, "updateCampaign": {}, "testCampaign": COPY}
    bodies |= {"scheduleCampaign": {"scheduled_at": LATER_YEAR}, "sendCampaign": {}, "duplicateCampaign": {}}
    bodies |= {"createContact": {"email": "ann@example.com"}, "createList": {"name": "Readers"}}
    bodies |= {name: {} for name in ("updateContact", "subscribeContact", "unsubscribeContact", "updateList")}
    assert set(bodies) == set(WITH_BODY)
    for operation_id, body in bodies.items():
        for media in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", "\xff"):
            headers = [(b"Content-Type", media.encode("latin-1"))]
            answer = await send(client, operation_id, content=json.dumps(body), headers=headers)
            assert error_of(answer)[0] == 400, (operation_id, media)
            assert answer.json()["error"]["details"][0]["field"] == "Content-Type"
    for media in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"):
        answer = await client.post("/v2/campaigns", json=DRAFT, headers={"Content-Type": media})
        assert answer.status_code == 201, media


@SQLITE
async def test_numbers_that_json_does_not_have_are_no_merge_values(client: httpx2.AsyncClient) -> None:
    campaign = (await client.post("/v2/campaigns", json=DRAFT)).json()["data"]["id"]
    for number, status in (("NaN", 422), ("1e999", 422), ("9" * 5_000, 400), ('"NaN"', 200), ("1e3", 200)):
        body = f'{{"recipients":["a@example.com"],"personalization":{{"n":{number}}}}}'
        answer = await client.post(f"/v2/campaigns/{campaign}/test", content=body)
        assert answer.status_code == status, (number[:9], answer.text)


@SQLITE
async def test_a_body_past_its_limit_is_refused_unread(client: httpx2.AsyncClient) -> None:
    big = {"name": "x" * (5 * 1024 * 1024)}
    for operation_id in WITH_BODY:
        answer = await send(client, operation_id, json=big)
        assert error_of(answer) == (422, "ERR_VALIDATION", "validation_error"), operation_id
        assert answer.json()["error"]["details"][0]["code"] == "too_long"


BAD_IDS = [
    "cmp_", "cmp", "x", "%00", "cmp_%00", "cmp_" + "a" * 25, "cmp_" + "a" * 27, "cmp_" + "A" * 26,
    "cmp_" + "a" * 25 + "b", "cmp_" + "1" * 26, "usr_" + "a" * 26, "key_" + "a" * 26, "a" * 26,
    "%F0%9F%90%B4", "cmp_abc123", "cmp_" + "a" * 5_000, "%2e%2e", "..%2fkeys",
]  # fmt: skip


@SQLITE
async def test_a_malformed_id_names_nothing(client: httpx2.AsyncClient) -> None:
    for bad in BAD_IDS:
        answer = await client.get(f"/v2/campaigns/{bad}")
        assert error_of(answer) == (404, "ERR_RESOURCE_NOT_FOUND", "not_found_error"), bad
    answer = await client.delete(f"/v2/organization/api-keys/cmp_{'a' * 26}")
    assert error_of(answer)[0] == 404


HOSTILE_QUERIES = [
    "page[size]=%00", "page[cursor]=%00", "sort=%00", "sort=%FF", "include=%00", "filter[status]=%00",
    "filter[created_after]=%00", "filter[created_after]=9999-12-31T23:59:59-14:00",
    "filter[created_after]=soon", "fields[campaign]=%00", "filter[%00]=x", "page[cursor]=bnVsbA",
    "page[cursor]=W10", "page[cursor]=eyJhIjoxfQ", "filter[" + "x" * 5_000 + "]=1", "page[=1", "[]=1",
    "filter[name]=x", "filter[status]=draft&filter[status]=sent", "fields[user]=email",
]  # fmt: skip


async def test_a_hostile_query_is_a_400(client: httpx2.AsyncClient) -> None:
    lists = [operation.paths[0] for operation in OPERATIONS if operation.id in LISTS]
    for query in HOSTILE_QUERIES:
        for path in (each for each in lists if "{" not in each):
            answer = await client.get(f"{path}?{query}")
            if (path, query) != ("/v2/organization/users", "fields[user]=email"):
                assert error_of(answer) == (400, "ERR_VALIDATION", "validation_error"), (path, query)


async def test_strange_times_narrow_a_list_or_are_refused(client: httpx2.AsyncClient) -> None:
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-01-01", "20240101T000000Z"):
        answer = await client.get("/v2/campaigns", params={"filter[created_after]": moment})
        assert answer.status_code == 200, (moment, answer.text)


@SQLITE
async def test_strange_headers_are_refused(client: httpx2.AsyncClient) -> None:
    campaign = (await client.post("/v2/campaigns", json=DRAFT)).json()["data"]["id"]
    for key in (b"", b"x" * 300, b"\xff\xfe", b"a\tb"):
        headers = [(b"Idempotency-Key", key)]
        answer = await client.post(f"/v2/campaigns/{campaign}/test", json=COPY, headers=headers)
        assert answer.status_code in (200, 422), (key, answer.text)
    for key in (b"\xff", b"sk_live_" + b"x" * 10_000, b"sk_live_\xe9", b"''"):
        answer = await client.get("/v2/organization", headers=[(b"X-API-Key", key)])
        assert error_of(answer)[:2] == (401, "ERR_AUTH_INVALID_TOKEN")


@SQLITE
async def test_unknown_paths_and_methods_are_told_in_the_error_object(client: httpx2.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/v2/nothing", 404),
        ("GET", "/v1/campaigns", 404),
        ("GET", "/", 404),
        ("PATCH", "/v2/campaigns", 405),
        ("GET", "/v2/auth/login", 405),
        ("GET", "/v2/campaigns/", 404),
    ):
        answer = await client.request(method, path)
        assert error_of(answer) == (status, "ERR_RESOURCE_NOT_FOUND", "not_found_error"), path
        assert_allowance(answer, "free")


@SQLITE
async def test_every_answer_tells_the_allowance_in_both_spellings(client: httpx2.AsyncClient) -> None:
    first = await client.get("/v2/organization")
    second = await client.get("/v2/campaigns?sort=x")
    assert_allowance(first, "enterprise")
    assert_allowance(second, "enterprise")
    left = [int(answer.headers["x-ratelimit-remaining"]) for answer in (first, second)]
    assert left[0] - left[1] == 1
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    asked = await client.get("/v2/organization", headers={"X-Request-Id": "req_mine"})
    assert asked.headers["x-request-id"] != "req_mine"


def assert_allowance(answer: httpx2.Response, plan: str) -> None:
    assert answer.headers["x-request-id"].startswith("req_")
    for name in ("Limit", "Remaining", "Reset"):
        assert answer.headers[f"X-Rate-Limit-{name}"] == answer.headers[f"X-RateLimit-{name}"]
    assert answer.headers["X-RateLimit-Limit"] == str(REQUESTS_PER_HOUR[plan])
    assert 0 <= int(answer.headers["X-RateLimit-Reset-After"]) <= 3_600
