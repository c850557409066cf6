"""What is malformed is refused with all its faults, in the envelope, and never as an error of the server."""

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from starlette.responses import Response
from tests.contract.test_penguinmails import MAIL, SQLITE, client_of, login, refused
from tests.factories import PASSWORD, Running

from postrider.db.database import Unavailable
from postrider.engine import errors
from postrider.engine.principal import Principal
from postrider.surfaces.common.operations import Call, Manner, Operation, make_app
from postrider.surfaces.penguinmails.auth import LABEL
from postrider.surfaces.penguinmails.errors import fail, refuse

pytestmark = pytest.mark.long  # thousands of requests

SEND = "/api/v1/emails/send"
OF_BODIES = (
    SEND, "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/platform/api-keys", "/api/v1/contacts",
    "/api/v1/contacts/bulk-import",
)  # fmt: skip


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node, (await login(node))["access_token"]) as client:
        yield client


WRONG_FIELDS: list[tuple[str, Any, str]] = [
    ("to", "ann@", "INVALID_EMAIL_FORMAT"),
    ("to", "ann@example.com\r\nBcc: eve@example.com", "INVALID_EMAIL_FORMAT"),
    ("to", "Ann <ann@example.com>", "INVALID_EMAIL_FORMAT"),
    ("to", "<ann@example.com>", "INVALID_EMAIL_FORMAT"),
    ("to", ["ann@example.com"], "VALIDATION_ERROR"),
    ("to", "", "VALIDATION_ERROR"),
    ("to", "a\0@example.com", "INVALID_EMAIL_FORMAT"),
    ("to", "x" * 10_000 + "@example.com", "INVALID_EMAIL_FORMAT"),
    ("to", None, "MISSING_REQUIRED_FIELD"),
    ("subject", None, "MISSING_REQUIRED_FIELD"),
    ("subject", "Hello\r\nBcc: eve@example.com", "VALIDATION_ERROR"),
    ("subject", "Hello\0", "VALIDATION_ERROR"),
    ("subject", "", "VALIDATION_ERROR"),
    ("subject", "x" * 999, "VALIDATION_ERROR"),
    ("subject", 7, "VALIDATION_ERROR"),
    ("content", None, "MISSING_REQUIRED_FIELD"),
    ("content", {}, "MISSING_REQUIRED_FIELD"),
    ("content", {"text": "only"}, "MISSING_REQUIRED_FIELD"),
    ("content", {"html": None}, "MISSING_REQUIRED_FIELD"),
    ("content", "", "VALIDATION_ERROR"),
    ("content", 7, "VALIDATION_ERROR"),
    ("content", ["<p>"], "VALIDATION_ERROR"),
    ("content", "NUL\0", "VALIDATION_ERROR"),
    ("content", {"html": {"not": "a text"}}, "VALIDATION_ERROR"),
    ("content", {"html": "<p>", "variables": [{}]}, "MISSING_REQUIRED_FIELD"),
    ("content", {"html": "<p>", "variables": [{"name": "x"}] * 101}, "VALIDATION_ERROR"),
    ("content", "{{ open", "VALIDATION_ERROR"),
    ("from", "sender@mail.example.test", "VALIDATION_ERROR"),
    ("from", {"name": "Eve"}, "MISSING_REQUIRED_FIELD"),
    ("from", {"email": "eve"}, "INVALID_EMAIL_FORMAT"),
    ("from", {"email": "a@mail.example.test", "name": "Eve\nBcc: x@y.test"}, "VALIDATION_ERROR"),
    ("from", {"email": "a@mail.example.test", "name": "x" * 257}, "VALIDATION_ERROR"),
    ("reply_to", "a@b@c", "INVALID_EMAIL_FORMAT"),
    ("tracking", {"track_opens": "yes"}, "VALIDATION_ERROR"),
    ("tracking", [], "VALIDATION_ERROR"),
    ("personalization", ["list"], "VALIDATION_ERROR"),
    ("personalization", {"key": "x" * 70_000}, "VALIDATION_ERROR"),
    ("personalization", {"deep\0": [{"x": "y"}]}, "VALIDATION_ERROR"),
]


async def test_a_wrong_field_is_named_in_a_400(client: httpx2.AsyncClient) -> None:
    for field, value, code in WRONG_FIELDS:
        answer = await client.post(SEND, json={**MAIL, field: value})
        assert refused(answer) == (400, code), (field, value, answer.text)
        for fault in answer.json()["error"]["details"]:
            assert fault["field"].startswith(field), (field, value, answer.text)
            assert fault["message"], answer.text


@SQLITE
async def test_all_faults_are_told_at_once(client: httpx2.AsyncClient) -> None:
    answer = await client.post(SEND, json={"to": "bad", "content": {}, "tracking": {"track_opens": 1}})
    assert refused(answer) == (400, "VALIDATION_ERROR")
    assert {fault["field"] for fault in answer.json()["error"]["details"]} == {
        "to", "subject", "content.html", "tracking.track_opens",
    }  # fmt: skip
    assert answer.json()["error"]["message"] == "The provided data is invalid"


@SQLITE
async def test_null_is_as_if_it_were_not_there(client: httpx2.AsyncClient) -> None:
    names = ("from", "reply_to", "tracking", "personalization")
    content = {"html": "<p>x</p>", "text": None, "template_id": None, "variables": None}
    answer = await client.post(SEND, json={**MAIL, **dict.fromkeys(names), "content": content})
    assert answer.status_code == 200, answer.text


BODIES = [
    b"",
    b"not json",
    b"[]",
    b'"text"',
    b"null",
    b'{"to":',
    b"\xff\xfe{}",
    b'{"to": "\\ud800@example.com", "email": "\\ud800", "refresh_token": "\\ud800", "name": "\\ud800"}',
    b'{"personalization": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    b'{"to":"a@example.com","subject":"s","content":"t","personalization":{"n":NaN}}',
    b'{"to":"a@example.com","subject":"s","content":"t","personalization":{"n":1e999}}',
    b'{"to":"a@example.com","subject":"s","content":"t","personalization":{"n":' + b"9" * 5_000 + b"}}",
]


@SQLITE
async def test_a_body_that_is_no_such_json_is_a_400(client: httpx2.AsyncClient) -> None:
    for path, body in itertools.product(OF_BODIES, BODIES):
        answer = await client.post(path, content=body)
        assert refused(answer)[0] == 400, (path, body[:60], answer.text)
    for body in (b"[]", b"\xff", b'{"refresh_token": 7}'):
        answer = await client.post("/api/v1/auth/logout", content=body)
        assert refused(answer) == (400, "VALIDATION_ERROR"), body


@SQLITE
async def test_a_body_past_its_limit_is_a_413(client: httpx2.AsyncClient) -> None:
    for path, body in (
        (SEND, {**MAIL, "content": "x" * (10 * 1024 * 1024)}),
        ("/api/v1/platform/api-keys", {"name": "x" * 300_000}),
        ("/api/v1/auth/login", {"email": "a@b.test", "password": "x" * 300_000}),
    ):
        answer = await client.post(path, content=json.dumps(body).encode())
        assert refused(answer) == (413, "CONTENT_TOO_LARGE")


@SQLITE
async def test_a_large_mail_within_the_limit_is_taken(client: httpx2.AsyncClient) -> None:
    answer = await client.post(SEND, json={**MAIL, "content": "<p>" + "x" * 900_000})
    assert answer.status_code == 200, answer.text


@SQLITE
async def test_a_wrong_key_name_or_permission_is_named(client: httpx2.AsyncClient) -> None:
    for field, value in (
        ("name", ""), ("name", "  "), ("name", "x" * 201), ("name", "a\nb"), ("name", "a\0"), ("name", 7),
        ("permissions", []), ("permissions", "send_email"), ("permissions", ["send_email", 7]),
        ("environment", "moon"),
    ):  # fmt: skip
        answer = await client.post("/api/v1/platform/api-keys", json={"name": "Key", field: value})
        assert refused(answer) == (400, "VALIDATION_ERROR"), (field, value)
        assert answer.json()["error"]["details"][0]["field"].startswith(field), answer.text


@SQLITE
async def test_hostile_logins_are_refused_alike(client: httpx2.AsyncClient) -> None:
    for email, status in (
        ("nobody@example.test", 401), ("no address", 401), ("a@b\r\nc", 401), ("İ@example.test", 401),
        ("x" * 1_001, 400), ("a\0@example.test", 400), (7, 400), (["a"], 400),
    ):  # fmt: skip
        answer = await client.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
        assert refused(answer)[0] == status, (email, answer.text)


@SQLITE
async def test_unknown_paths_and_methods_are_answered_in_the_envelope(client: httpx2.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/api/v2/emails", 404),
        ("DELETE", SEND, 405),
        ("PUT", "/api/v1/platform/api-keys", 405),
    ):
        answer = await client.request(method, path)
        assert refused(answer) == (status, "RESOURCE_NOT_FOUND"), path
    assert {"GET", "POST"} <= set(answer.headers["allow"].replace(" ", "").split(","))


@SQLITE
async def test_every_answer_tells_the_rate_limit_and_its_id(client: httpx2.AsyncClient) -> None:
    seen = []
    for path, headers, limit in (
        ("/api/v1/emails", {}, "1000000"),
        ("/api/v1/emails/msg_x", {}, "1000000"),
        ("/api/v1/nothing", {}, "1000"),
        ("/api/v1/emails", {"Authorization": "Bearer sk_test_abc123"}, "1000"),
    ):
        answer = await client.get(path, headers=headers)
        told = answer.headers
        assert told["x-ratelimit-limit"] == limit, path
        assert 0 <= int(told["x-ratelimit-remaining"]) < int(limit)
        assert int(told["x-ratelimit-reset"]) % 3600 == 0
        assert told["x-ratelimit-window"] == "3600"
        assert told["x-request-id"].startswith("req_")
        seen.append(told["x-request-id"])
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (RuntimeError("secret"), 500, "INTERNAL_SERVER_ERROR"),
        (Unavailable("disk full: /var/secret"), 503, "SERVICE_UNAVAILABLE"),
        (errors.Busy(), 503, "SERVICE_UNAVAILABLE"),
        (errors.RateLimited(retry_after_s=7), 429, "RATE_LIMIT_EXCEEDED"),
        (errors.QuotaExceeded(limit=3_000), 429, "QUOTA_EXCEEDED"),
        (errors.Forbidden(scope="x"), 403, "INSUFFICIENT_PERMISSIONS"),
    ],
)
async def test_trouble_is_told_without_its_inside(trouble: Exception, status: int, code: str) -> None:
    async def handler(call: Call) -> Response:
        raise trouble

    answer = await answer_to(handler)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status in (429, 503))


async def answer_to(handler: Callable[[Call], Awaitable[Response]]) -> httpx2.Response:
    """What a handler's trouble is answered with."""

    async def authenticate(services: Any, request: Any) -> Any:
        return SimpleNamespace(principal=Principal(1))

    manner = Manner(LABEL, "Title", "1.0.0", authenticate, refuse, fail)
    operation = Operation("thing", "GET", ("/thing",), "A thing", "things:read", handler)
    app = make_app(None, manner, [operation])  # type: ignore[arg-type]
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/thing")
