"""Whatever a stranger with a key sends: a documented refusal that changes nothing, never a fault of ours."""

import asyncio
import json
import smtplib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.factories import DOMAIN, Running
from tests.processes import count_rows

TABLES = ("messages", "contents", "content_bodies", "attachments", "jobs", "campaigns", "idempotency_keys")
ACCEPTED = ("contents", "content_bodies", "jobs", "campaigns")  # written when a request is taken, not later
DOCUMENTED = {400, 403, 404, 409, 413, 429}
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
pytestmark = SQLITE

FILE = {"filename": "a.pdf", "content": "aGk=", "content_type": "application/pdf", "cid": "a"}
EVENT = {"summary": "Demo", "start": "2027-01-18T12:00:00Z", "organizer": "shop@example.com"}
FULL: dict[str, Any] = {
    "domain": DOMAIN,
    "from": f"Shop <shop@{DOMAIN}>",
    "reply_to": "help@example.com",
    "subject": "Hello",
    "html": "<p>Hello</p>",
    "text": "Hello",
    "track_opens": True,
    "track_clicks": False,
    "headers": {"X-Order": "17"},
    "tag": "welcome",
    "stream_type": "transactional",
    "metadata": {"order": 17},
    "attachments": [FILE],
    "calendar_event": EVENT,
}
SEND = {**FULL, "to": "Ann <ann@example.com>", "cc": ["cc@example.com"], "bcc": ["bcc@example.com"]}
BULK = {**FULL, "recipients": [{"email": "ann@example.com", "vars": {"name": "Ann"}}]}
BODIES = {"send": SEND, "bulk-send": BULK}

INJECTION = "a\r\nBcc: victim@example.com"
SPLIT_HEADERS: list[tuple[str, Any]] = [
    *((name, f"{INJECTION} <a@{DOMAIN}>") for name in ("from", "to", "reply_to")),
    *((name, f"a@{DOMAIN}\r\nBcc: victim@example.com") for name in ("from", "to", "reply_to")),
    *((name, INJECTION) for name in ("subject", "tag", "domain", "stream_type")),
    *((name, [f"a@{DOMAIN}\nX: y"]) for name in ("cc", "bcc")),
    ("headers", {"X-A": INJECTION}),
    ("headers", {"X-A\r\nBcc": "victim@example.com"}),
    ("headers", {"X-A": "a\rb"}),
    ("headers", {"X-A": "a\x00b"}),
    ("headers", {"Bcc": "victim@example.com"}),
    ("attachments", [{**FILE, "filename": f"{INJECTION}.pdf"}]),
    ("attachments", [{**FILE, "content_type": f"text/plain\r\n{INJECTION}"}]),
    ("attachments", [{**FILE, "cid": INJECTION}]),
    ("calendar_event", {**EVENT, "start": INJECTION}),
    ("subject", "a\x00b"),
]
OVERSIZED: list[tuple[str, Any]] = [
    ("subject", "x" * 1_000),
    ("from", "x" * 100_000 + f"@{DOMAIN}"),
    ("to", "x" * 65 + "@example.com"),
    ("cc", ["not an address"] * 2_000),
    ("cc", [f"c{number}@example.com" for number in range(1_001)]),
    ("tag", "x" * 1_000),
    ("domain", "x" * 10_000),
    ("headers", {f"X-{number}": "1" for number in range(10_000)}),
    ("headers", {"X-A": "x" * 100_000}),
    ("metadata", {"a": "x" * 100_000}),
    ("attachments", [FILE] * 1_000),
    ("attachments", [{**FILE, "content": "A" * (35 * 1024 * 1024)}]),
    ("html", "x" * (26 * 1024 * 1024)),
]
MISTYPED: list[Any] = [7, 1.5, True, [], {}, [[]], [None], {"a": None}, "", " ", "\u202e", "x" * 5_000]
NOT_JSON = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"7",
    b'"send"',
    b"\xff\xfe\x00",
    b'{"to": "\xff"}',
    b'{"to": "\xed\xa0\x80"}',
    b'{"to": "\\ud800@example.com"}',
    b'{"subject": "a\\u0000b"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"\x00" * 100,
    b'{"metadata": {"n": NaN}}',
    b'{"metadata": {"n": 1e999}}',
]


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"X-API-Key": node.account.keys["mailerlogic"], "Content-Type": "application/json"}
    url = f"{node.base_url}/mailerlogic/api/v1"
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        yield client


def fields() -> Iterator[tuple[str, str]]:
    return ((operation, name) for operation, body in BODIES.items() for name in body)


async def counts(node: Running, tables: tuple[str, ...] = TABLES) -> dict[str, int]:
    return await node.database.read(count_rows, tables)


async def ask(client: httpx2.AsyncClient, operation: str, body: object) -> httpx2.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post(f"/{operation}", content=raw)


async def assert_refused(
    node: Running, client: httpx2.AsyncClient, operation: str, body: object, note: object = None
) -> None:
    before = await counts(node)
    answer = await ask(client, operation, body)
    assert answer.status_code in DOCUMENTED, (operation, note, answer.status_code, answer.text[:300])
    assert {"error", "message"} <= answer.json().keys()
    assert await counts(node) == before, (operation, note)


async def test_the_bodies_these_tests_spoil_are_taken_as_they_are(client: httpx2.AsyncClient) -> None:
    for operation, body in BODIES.items():
        answer = await ask(client, operation, body)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("operation", ["send", "batch", "bulk-send"])
async def test_what_is_no_json_object_is_refused(
    node: Running, client: httpx2.AsyncClient, operation: str
) -> None:
    for raw in NOT_JSON:
        await assert_refused(node, client, operation, raw, raw[:40])


async def test_a_line_break_never_gets_into_a_header(node: Running, client: httpx2.AsyncClient) -> None:
    for operation, body in BODIES.items():
        for name, value in SPLIT_HEADERS:
            if name in body:
                await assert_refused(node, client, operation, {**body, name: value}, (name, value))


async def test_what_is_too_large_is_refused(node: Running, client: httpx2.AsyncClient) -> None:
    for name, value in OVERSIZED:
        await assert_refused(node, client, "send", {**SEND, name: value}, name)
    too_many = [{"email": f"r{number}@example.com"} for number in range(50_001)]
    await assert_refused(node, client, "bulk-send", {**BULK, "recipients": too_many})
    await assert_refused(node, client, "batch", {"emails": [SEND] * 501})
    await assert_refused(node, client, "batch", {"emails": "x" * (37 * 1024 * 1024)})


async def test_a_missing_field_is_refused_or_not_needed(node: Running, client: httpx2.AsyncClient) -> None:
    for operation, needed in (("send", ("to", "subject")), ("bulk-send", ("recipients", "subject"))):
        for name in needed:
            body = {key: value for key, value in BODIES[operation].items() if key != name}
            await assert_refused(node, client, operation, body, name)
    empty = {key: value for key, value in SEND.items() if key not in ("html", "text")}
    await assert_refused(node, client, "send", empty)


@pytest.mark.long
async def test_a_mistyped_field_is_refused_or_harmless(node: Running, client: httpx2.AsyncClient) -> None:
    for operation, name in fields():
        for value in MISTYPED:
            before = await counts(node, ACCEPTED)
            answer = await ask(client, operation, {**BODIES[operation], name: value})
            note = (operation, name, value, answer.text[:200])
            assert answer.status_code in DOCUMENTED | {200}, note
            if answer.status_code != 200:
                assert await counts(node, ACCEPTED) == before, note


async def test_a_batch_of_refused_mails_changes_nothing(node: Running, client: httpx2.AsyncClient) -> None:
    before = await counts(node)
    spoilt: list[Any] = [{**SEND, name: value} for name, value in SPLIT_HEADERS]
    emails = [mail for mail in spoilt if "\\u0000" not in json.dumps(mail)]  # a NUL spoils the whole request
    emails += [None, 7, [], "x", {}]
    answer = (await ask(client, "batch", {"emails": emails})).json()
    assert (answer["queued"], answer["failed"]) == (0, len(emails))
    assert await counts(node) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@FUZZ
@given(field=st.sampled_from(sorted(fields())), value=JSON)
async def test_any_json_in_any_field_is_answered(
    node: Running, client: httpx2.AsyncClient, field: tuple[str, str], value: object
) -> None:
    operation, name = field
    answer = await ask(client, operation, {**BODIES[operation], name: value})
    assert answer.status_code in DOCUMENTED | {200}, (field, value, answer.text[:300])


@FUZZ
@given(raw=st.binary(max_size=300))
async def test_any_bytes_as_a_body_are_refused(node: Running, client: httpx2.AsyncClient, raw: bytes) -> None:
    assert (await ask(client, "send", raw)).status_code == 400


HEADER_BYTES = st.lists(st.integers(0x21, 0xFF).filter(lambda octet: octet != 0x7F), max_size=300).map(bytes)


@FUZZ
@given(key=HEADER_BYTES)
async def test_any_idempotency_key_is_answered(node: Running, client: httpx2.AsyncClient, key: bytes) -> None:
    headers = [(b"Idempotency-Key", key)]
    answer = await client.post("/send", json={**SEND, "to": "no address"}, headers=headers)
    assert answer.status_code == 400


SMUGGLED = b"\r\n.\r\nMAIL FROM:<a@evil.test>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: x\r\n\r\nx"
GARBAGE = [
    b"\xff" * 5_000,
    b"\r\n" * 1_000,
    b"EHLO " + b"x" * 100_000 + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"EHLO x\r\nMAIL FROM:<a>\r\nDATA\r\n.\r\n",
    b"AUTH PLAIN " + b"=" * 20_000 + b"\r\n",
    b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<a@b.test>\r\n",
    b"\0" * 1_000,
    b"RCPT TO:<" + b"@" * 2_000 + b">\r\n",
    b"QUIT",
]


async def test_garbage_over_smtp_leaves_the_server_answering(node: Running) -> None:
    before = await counts(node)
    for raw in GARBAGE:
        reader, writer = await asyncio.open_connection("127.0.0.1", node.smtp_port)
        writer.write(raw)
        writer.write_eof()
        async with asyncio.timeout(10):
            said = await _read_all(reader)
        writer.close()
        assert said.startswith(b"220 ")
    assert await counts(node) == before
    assert await asyncio.to_thread(_submit, node, b"Subject: hi\r\n\r\nhi\r\n") == 250


@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"])
async def test_an_ending_that_is_none_smuggles_no_second_mail(node: Running, ending: bytes) -> None:
    body = b"Subject: hi\r\n\r\nhi" + SMUGGLED.replace(b"\r\n.\r\n", ending, 1)
    await asyncio.to_thread(_submit, node, body)
    recipients = await node.database.read(
        lambda tx: [row[0] for row in tx.exec_driver_sql("SELECT recipient FROM messages")]
    )
    assert set(recipients) <= {"ann@example.com"}


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:  # it had heard enough
        return b"220 "


def _submit(node: Running, body: bytes) -> int:
    """One mail whose body goes over the wire as it is; answers the code after it."""
    account = node.account
    with smtplib.SMTP("127.0.0.1", node.smtp_port, timeout=20) as client:
        client.starttls()
        client.login(account.smtp_username, account.smtp_password)
        client.mail(f"shop@{DOMAIN}")
        client.rcpt("ann@example.com")
        client.docmd("DATA")
        client.send(f"From: shop@{DOMAIN}\r\n".encode() + body + b"\r\n.\r\n")
        return client.getreply()[0]
