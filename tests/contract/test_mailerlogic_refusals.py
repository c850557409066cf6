"""What is malformed is refused with all its faults, as JSON, and never as an error of the server."""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.factories import Running

pytestmark = pytest.mark.long  # thousands of requests

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

MAIL = {"to": "ann@example.com", "subject": "Hello", "text": "Hi"}
FILE = {"filename": "a.txt", "content": "aGk="}


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"X-API-Key": node.account.keys["mailerlogic"]}
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers=headers) as client:
        yield client


WRONG_FIELDS: list[tuple[str, Any]] = [
    ("to", "ann@"),
    ("to", "ann@example.com\r\nBcc: eve@example.com"),
    ("to", ["ann@example.com"]),
    ("to", None),
    ("cc", "ann@example.com"),
    ("bcc", ["ok@example.com", "bad"]),
    ("reply_to", "a@b@c"),
    ("from", "Eve\n <eve@mail.example.test>"),
    ("domain", "localhost"),
    ("subject", "Hello\r\nBcc: eve@example.com"),
    ("subject", "Hello\0"),
    ("subject", ""),
    ("subject", "x" * 999),
    ("subject", 7),
    ("text", "NUL\0"),
    ("text", ""),
    ("html", {"not": "a text"}),
    ("track_opens", "yes"),
    ("headers", {"X-A": "b\r\nBcc: eve@example.com"}),
    ("headers", {"Bcc": "eve@example.com"}),
    ("headers", {"X-A": 7}),
    ("tag", "a\nb"),
    ("tag", "x" * 129),
    ("stream_type", "urgent"),
    ("metadata", {"stream_type": "urgent"}),
    ("metadata", {"stream_type": ["shared"]}),
    ("metadata", {"key": "x" * 70_000}),
    ("metadata", {"deep\0": [{"x": "y"}]}),
    ("metadata", ["list"]),
    ("attachments", [{**FILE, "filename": "a\r\nb"}]),
    ("attachments", [{**FILE, "content": "no base64!"}]),
    ("attachments", [{**FILE, "contentType": "text/plain\r\nX: y"}]),
    ("attachments", [{**FILE, "cid": "a b"}]),
    ("attachments", [{"filename": "a.txt"}]),
    ("attachments", [FILE] * 51),
    ("calendar_event", {"summary": "no start"}),
    ("calendar_event", "text"),
]


async def test_a_wrong_field_is_named_in_a_400(client: httpx2.AsyncClient) -> None:
    for field, value in WRONG_FIELDS:
        answer = await client.post("/api/v1/send", json={**MAIL, field: value})
        assert answer.status_code == 400, (field, value, answer.text)
        assert field in answer.json()["message"], (field, value, answer.text)
        assert answer.json()["errors"][0]["field"].startswith(field), answer.text


@SQLITE
async def test_all_faults_are_told_at_once(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/v1/send", json={"to": "bad", "tag": "a\nb", "attachments": [{}]})
    assert answer.json()["error"] == "Invalid email address"
    assert {fault["field"] for fault in answer.json()["errors"]} == {
        "to", "subject", "text", "tag", "attachments.0.filename", "attachments.0.content",
    }  # fmt: skip


BODIES = [
    b"",
    b"not json",
    b"[]",
    b'"text"',
    b"null",
    b'{"to":',
    b"\xff\xfe{}",
    b'{"to": "\\ud800@example.com"}',
    b'{"metadata": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    b'{"to":"a@example.com","subject":"s","text":"t","metadata":{"n":NaN}}',
    b'{"to":"a@example.com","subject":"s","text":"t","metadata":{"n":1e999}}',
    b'{"to":"a@example.com","subject":"s","text":"t","metadata":{"n":' + b"9" * 5_000 + b"}}",
]


@SQLITE
async def test_a_body_that_is_no_such_json_is_a_400(client: httpx2.AsyncClient) -> None:
    for path, body in itertools.product(("/api/v1/send", "/api/v1/batch", "/api/v1/bulk-send"), BODIES):
        answer = await client.post(path, content=body)
        assert (answer.status_code, set(answer.json())) == (400, {"error", "message", "errors"}), body[:60]


@SQLITE
async def test_numbers_that_json_does_not_have_are_no_merge_values(client: httpx2.AsyncClient) -> None:
    bulk = '{"subject":"s","text":"t","recipients":[{"email":"a@example.com","vars":{"n":%s}}]}'
    assert (await client.post("/api/v1/bulk-send", content=(bulk % "NaN").encode())).status_code == 400
    assert (await client.post("/api/v1/bulk-send", content=(bulk % '"NaN"').encode())).status_code == 200


@SQLITE
async def test_an_escaped_backslash_before_u0000_is_a_plain_text(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/v1/send", json={**MAIL, "text": "write \\u0000 in C"})
    assert answer.status_code == 200, answer.text


@SQLITE
async def test_a_body_past_its_limit_is_a_413(client: httpx2.AsyncClient) -> None:
    big = {**FILE, "content": "YWFh" * (9 * 1024 * 1024)}
    for path, body in (
        ("/api/v1/send", {**MAIL, "attachments": [big]}),
        ("/api/v1/smtp-credentials", {"name": "x" * 300_000}),
    ):
        answer = await client.post(path, content=json.dumps(body).encode())
        assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


@SQLITE
async def test_unknown_paths_and_methods_are_json_errors(client: httpx2.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/api/v1/send", 405),
        ("PUT", "/api/v1/smtp-credentials", 405),
    ):
        answer = await client.request(method, path)
        assert (answer.status_code, bool(answer.json()["error"])) == (status, True), path
    assert {"GET", "POST"} <= set(answer.headers["allow"].replace(" ", "").split(","))


@SQLITE
async def test_answers_tell_the_rate_limit(client: httpx2.AsyncClient) -> None:
    first = (await client.get("/api/v1/customer/domains")).headers
    second = (await client.get("/api/v1/customer/domains")).headers
    assert first["x-ratelimit-limit"] == "600"
    assert int(first["x-ratelimit-reset"]) % 60 == 0
    assert int(first["x-ratelimit-remaining"]) - int(second["x-ratelimit-remaining"]) in (1, -599)
