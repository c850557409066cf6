"""Single, batch and bulk sends: what is taken, what is refused and how, and what reaches the mail."""

import asyncio
import base64
import email
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import default
from typing import Any

import httpx2
import pytest
from tests.factories import DOMAIN, Running

from postrider.engine import messages, suppression
from postrider.engine.delivery import control
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit.ids import from_uuid

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

MAIL = {"from": f"Shop <hello@{DOMAIN}>", "to": "Ann <ann@example.com>", "subject": "Hello", "text": "Hi"}


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"X-API-Key": node.account.keys["mailerlogic"]}
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic/api/v1", headers=headers) as client:
        yield client


async def captured(node: Running, count: int) -> list[EmailMessage]:
    """The captured mails, once there are `count`, oldest first."""
    organizations = [node.account.organization_id]
    async with asyncio.timeout(10):
        while await node.database.read(control.count_captured, organizations) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    mails = await node.database.read(control.list_captured, organizations, limit=count)
    raws = [await node.database.read(control.one_captured, organizations, mail.id) for mail in mails]
    found = [email.message_from_bytes(raw[1], policy=default) for raw in raws if raw is not None]
    return list(reversed(found))


async def suppress(node: Running, address: str, class_: Class, reason: Reason) -> None:
    entry = Entry(
        node.account.organization_id, address, Scope.ORGANIZATION, "", class_, reason.value, "manual"
    )
    await node.database.write(suppression.add, [entry])


async def test_a_mail_is_queued_and_leaves_with_all_that_was_asked(
    client: httpx2.AsyncClient, node: Running
) -> None:
    content = base64.encodebytes(b"%PDF-1.7 bytes").decode()
    answer = await client.post(
        "/send",
        json={
            **MAIL,
            "html": '<p>Hi <img src="cid:logo"></p>',
            "reply_to": "support@example.com",
            "cc": ["copy@example.com"],
            "bcc": ["blind@example.com"],
            "headers": {"X-Order": "17"},
            "attachments": [
                {"filename": "Rechnung März.pdf", "content": content, "type": "application/pdf"},
                {"filename": "logo.png", "content": "aGk=", "content_id": "<logo>", "disposition": "inline"},
            ],
            "calendar_event": {"summary": "Demo", "start": "2027-01-18T12:00:00Z"},
            "track_opens": False,
        },
    )
    assert (answer.status_code, answer.json()["status"], answer.json()["to"]) == (
        200,
        "queued",
        "ann@example.com",
    )
    mails = await captured(node, 3)
    mail = mails[0]
    assert mail["From"] == f"Shop <hello@{DOMAIN}>"
    assert (mail["Reply-To"], mail["Cc"], mail["Bcc"]) == ("support@example.com", "copy@example.com", None)
    assert mail["X-Order"] == "17"
    parts = {part.get_content_type(): part for part in mail.walk()}
    assert parts["application/pdf"].get_filename() == "Rechnung März.pdf"
    assert parts["application/pdf"].get_content() == b"%PDF-1.7 bytes"
    assert parts["image/png"]["Content-ID"] == "<logo>"
    assert "SUMMARY:Demo" in parts["text/calendar"].get_content()
    assert {"text/plain", "text/html"} <= set(parts)


@SQLITE
async def test_the_bodys_stream_type_beats_the_metadatas(client: httpx2.AsyncClient, node: Running) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "shared"),
        ({"stream_type": "transactional"}, "transactional"),
        ({"metadata": {"stream_type": "broadcast"}}, "broadcast"),
        ({"stream_type": "transactional", "metadata": {"stream_type": "nonsense"}}, "transactional"),
    ]
    for fields, stream in cases:
        answer = (await client.post("/send", json={**MAIL, **fields})).json()
        group_id = from_uuid(answer["messageId"]) or b""
        (row,) = await node.database.read(messages.messages_of_group, node.account.organization_id, group_id)
        assert messages.Stream(row.stream).name.lower() == stream


@SQLITE
async def test_a_refused_mail_says_why(client: httpx2.AsyncClient, node: Running) -> None:
    await suppress(node, "gone@example.com", Class.BLOCK, Reason.HARD_BOUNCE)
    await suppress(node, "left@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED)
    refused = {
        "domain_not_verified": {"from": "hello@elsewhere.test"},
        "recipient_suppressed": {"to": "Gone@example.com"},
        "recipient_unsubscribed": {"to": "left@example.com"},
    }
    for code, fields in refused.items():
        answer = await client.post("/send", json={**MAIL, **fields})
        assert (answer.status_code, answer.json()["error"]) == (403, code)
        assert answer.json()["message"]
    kept = await client.post("/send", json={**MAIL, "cc": ["gone@example.com"]})
    assert kept.status_code == 200
    assert [each["email"] for each in kept.json()["skipped"]] == ["gone@example.com"]


async def test_a_repeat_under_an_idempotency_key_is_the_same_mail(
    client: httpx2.AsyncClient, node: Running
) -> None:
    headers = {"Idempotency-Key": "order-17"}
    first = await client.post("/send", json=MAIL, headers=headers)
    again = await client.post("/send", json=MAIL, headers=headers)
    assert first.json() == again.json()
    other = await client.post("/send", json={**MAIL, "subject": "Other"}, headers=headers)
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_conflict")
    too_long = await client.post("/send", json=MAIL, headers={"Idempotency-Key": "x" * 257})
    assert too_long.status_code == 400
    batch = {"emails": [MAIL, {**MAIL, "to": "bad"}]}
    one = (await client.post("/batch", json=batch, headers=headers)).json()
    two = (await client.post("/batch", json=batch, headers=headers)).json()
    assert one["results"][0] == two["results"][0]
    assert len(await captured(node, 2)) == 2


@SQLITE
async def test_a_batch_takes_each_mail_for_itself(client: httpx2.AsyncClient, node: Running) -> None:
    await suppress(node, "gone@example.com", Class.BLOCK, Reason.COMPLAINT)
    emails: list[Any] = [
        MAIL,
        {**MAIL, "to": "bad"},
        {**MAIL, "to": "gone@example.com"},
        "no object",
        {**MAIL, "from": "a@elsewhere.test"},
    ]
    answer = (await client.post("/batch", json={"emails": emails})).json()
    assert (answer["total"], answer["queued"], answer["failed"]) == (5, 1, 4)
    assert [result["index"] for result in answer["results"]] == [0, 1, 2, 3, 4]
    assert [result.get("error") for result in answer["results"]] == [
        None,
        "Invalid email address",
        "recipient_suppressed",
        "Validation failed",
        "domain_not_verified",
    ]
    assert answer["results"][0]["messageId"]
    assert answer["results"][1]["to"] == "bad"
    too_many = await client.post("/batch", json={"emails": [MAIL] * 501})
    assert too_many.status_code == 400
    full = (await client.post("/batch", json={"emails": [MAIL] * 500})).json()
    assert full["queued"] == 500


async def test_a_bulk_send_counts_every_recipient_once(client: httpx2.AsyncClient, node: Running) -> None:
    await suppress(node, "gone@example.com", Class.BLOCK, Reason.HARD_BOUNCE)
    bulk = {
        "from": f"hello@{DOMAIN}",
        "subject": "Hello {{name}}",
        "html": '<p>{{name}}</p><a href="{{unsubscribe}}">x</a>',
        "recipients": [
            {"email": "ann@example.com", "vars": {"name": "Ann"}},
            {"email": "bad", "vars": {}},
            {"email": "gone@example.com"},
            {"email": "ANN@example.com"},
            {"email": "bob@example.com", "vars": ["no object"]},
            "bob@example.com",
            {"email": "Bob <bob@example.com>", "vars": {"name": "Bob"}},
        ],
    }
    answer = (await client.post("/bulk-send", json=bulk)).json()
    assert answer["campaign_id"] == answer["bulk_session_id"]
    assert {name: answer[name] for name in ("total", "queued", "failed", "skipped")} == {
        "total": 7,
        "queued": 2,
        "failed": 3,
        "skipped": 2,
    }
    assert [error["index"] for error in answer["errors"]] == [1, 4, 5]
    subjects = {(mail["To"], mail["Subject"]) for mail in await captured(node, 2)}
    assert subjects == {("ann@example.com", "Hello Ann"), ("bob@example.com", "Hello Bob")}


@SQLITE
async def test_a_bulk_send_is_refused_whole_for_what_is_wrong_with_all(client: httpx2.AsyncClient) -> None:
    bulk = {
        "from": f"hello@{DOMAIN}",
        "subject": "Hello",
        "text": "Hello",
        "recipients": [{"email": "ann@example.com"}],
    }
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"html": "{{ name"}, 400, "Validation failed"),
        ({"domain": "other.example.test"}, 400, "Validation failed"),
        ({"from": "a@elsewhere.test"}, 403, "domain_not_verified"),
        ({"recipients": [{"email": "bad"}]}, 400, "Invalid email address"),
        ({"recipients": [{"email": "ann@example.com"}] * 50_001}, 400, "Validation failed"),
    ]
    for fields, status, error in wrong:
        answer = await client.post("/bulk-send", json={**bulk, **fields})
        assert (answer.status_code, answer.json()["error"]) == (status, error), fields.keys()


@SQLITE
async def test_ten_thousand_recipients_are_taken_in_one_request(client: httpx2.AsyncClient) -> None:
    recipients = [{"email": f"user{number}@example.com", "vars": {"name": "Ann"}} for number in range(10_000)]
    bulk = {"from": f"hello@{DOMAIN}", "subject": "Hello", "text": "Hello {{name}}", "recipients": recipients}
    answer = (await client.post("/bulk-send", json=bulk)).json()
    assert (answer["queued"], answer["failed"]) == (10_000, 0)
