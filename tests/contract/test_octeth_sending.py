"""POST /api/v1/email: what is taken and reaches the mail, what waits, and every number of what is refused."""

import asyncio
import base64
import email
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from starlette.requests import Request
from tests.contract.octeth_client import CONTRACT, MAIL, Client, client_of, sender_of
from tests.factories import DOMAIN, Running, make_domain, running_node
from tests.sink.dns import DnsServer

from postrider.engine import messages, suppression
from postrider.engine.delivery import control
from postrider.engine.errors import RateLimited
from postrider.engine.messages import Status
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit import clock
from postrider.kit.ids import from_uuid
from postrider.surfaces.octeth.errors import EMAIL_ERRORS, Faulty, Form, refuse, told
from postrider.surfaces.octeth.mail import CODES

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

ANN = {"email": "ann@example.com", "name": "Ann"}
TOO_MANY = [{"email": f"user{number}@example.com", "name": "User"} for number in range(51)]


@pytest.fixture
async def client(node: Running) -> AsyncIterator[Client]:
    async with sender_of(node) as client:
        yield client


async def captured(node: Running, count: int) -> list[EmailMessage]:
    """The captured mails, once there are `count`; those sent at one time in any order, else oldest first."""
    organizations = [node.account.organization_id]
    async with asyncio.timeout(10):
        while await node.database.read(control.count_captured, organizations) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    mails = await node.database.read(control.list_captured, organizations, limit=count)
    raws = [await node.database.read(control.one_captured, organizations, mail.id) for mail in mails]
    found = [email.message_from_bytes(raw[1], policy=default) for raw in raws if raw is not None]
    return list(reversed(found))


async def rows_of(node: Running, answer: httpx2.Response) -> list[Any]:
    """The messages under the MessageID of an answer."""
    group_id = from_uuid(answer.json()["MessageID"]) or b""
    return list(await node.database.read(messages.messages_of_group, node.account.organization_id, group_id))


async def suppress(node: Running, address: str, class_: Class, reason: Reason) -> None:
    entry = Entry(
        node.account.organization_id, address, Scope.ORGANIZATION, "", class_, reason.value, "manual"
    )
    await node.database.write(suppression.add, [entry])


async def run_sql(node: Running, statement: str) -> None:
    await node.database.write(lambda tx: tx.execute(text(statement)))
    node.node.keyring.forget()


async def test_from_a_new_domain_to_the_inbox_under_one_message_id(store_url: str, tmp_path: Path) -> None:
    """The contract's path: AddDomain, VerifyDomain, AddAPI, email; then SendAt waits until it is cleared."""
    async with (
        DnsServer() as dns,
        running_node(store_url, tmp_path / "data", dns_servers=f"127.0.0.1:{dns.address[1]}") as node,
        client_of(node) as client,
    ):
        number = (await client.done("AddDomain", DomainName="shop.example.test"))["NewSenderDomainID"]
        made = await client.done("AddAPI", DomainID=number, Description="Shop")
        client.sender = made["APIKey"]["Key"]
        sender = {"email": "hello@shop.example.test", "name": "Shop"}
        assert await client.codes(From=sender) == [32]
        results = (await client.done("VerifyDomain", DomainID=number))["DNSVerificationResults"]
        dns.records |= {(each["Host"], "TXT"): [each["Value"]] for each in results if each["Type"] == "TXT"}
        await client.done("VerifyDomain", DomainID=number)
        to = [ANN, {"email": "bob@example.com", "name": "Bob <b>"}]
        copies = {
            "CC": {"email": "cc@example.com", "name": "Cc"},
            "BCC": [{"email": "bcc@example.com", "name": "B"}],
        }
        sent = await client.mail(From=sender, To=to, **copies)
        assert sent.status_code == 200, sent.text
        mails = await captured(node, 4)
        assert {mail["Message-ID"] for mail in mails} == {f"<{sent.json()['MessageID']}@shop.example.test>"}
        assert {mail["To"] for mail in mails} == {'Ann <ann@example.com>, "Bob <b>" <bob@example.com>'}
        assert {(mail["Cc"], mail["Bcc"]) for mail in mails} == {("Cc <cc@example.com>", None)}
        recipients = {row.recipient for row in await rows_of(node, sent)}
        assert recipients == {"ann@example.com", "bob@example.com", "cc@example.com", "bcc@example.com"}
        at = (clock.now_ms() + clock.HOUR) // clock.SECOND
        waiting = [
            await client.mail(From=sender, SendAt=when) for when in (at, str(at), clock.to_iso(at * 1000))
        ]
        (row,) = await rows_of(node, waiting[0])
        assert (row.status, row.due_at) == (Status.QUEUED, at * 1000)
        await client.done("ClearDomainQueue", DomainID=number)
        for answer in waiting:
            (row,) = await rows_of(node, answer)
            assert Status(row.status) is Status.CANCELLED
        assert await node.database.read(control.count_captured, [node.account.organization_id]) == 4
        await client.done("ClearDomainQueue", DomainID=number)  # an empty queue is a success


@SQLITE
async def test_clearing_one_domains_queue_leaves_the_others(client: Client, node: Running) -> None:
    other = make_domain(node.database, node.sealer, node.account.organization_id, "other.example.test")
    soon = clock.to_iso(clock.now_ms() + clock.HOUR)
    waiting = await client.mail(SendAt=soon)
    await client.done("ClearDomainQueue", DomainID=other.number)
    (row,) = await rows_of(node, waiting)
    assert Status(row.status) is Status.QUEUED


@SQLITE
async def test_mail_for_a_later_time_leaves_then_and_mail_for_a_past_one_at_once(
    client: Client, node: Running
) -> None:
    in_two_seconds = clock.to_datetime(clock.now_ms() + 2_000).strftime("%Y-%m-%d %H:%M:%S")
    later = await client.mail(Subject="Later", SendAt=in_two_seconds)
    past = await client.mail(Subject="Past", SendAt="2001-01-01 00:00:00")
    assert (later.status_code, past.status_code) == (200, 200)
    assert [mail["Subject"] for mail in await captured(node, 1)] == ["Past"]
    assert [mail["Subject"] for mail in await captured(node, 2)] == ["Past", "Later"]


async def test_a_mail_leaves_with_all_that_was_asked(client: Client, node: Running) -> None:
    content = base64.b64encode(b"%PDF-1.7 bytes").decode()
    answer = await client.mail(
        HtmlContent=None,
        HTMLCONTENT='<p>Hi <img src="cid:logo"> <a href="https://shop.test/">x</a></p>',
        PlainContent="Hi there",
        **{"Reply-To": {"email": "help@example.com", "name": "Help"}},
        Headers={"X-Order": "17"},
        Tags=["welcome", "new"],
        TrackLinks="false",
        TrackOpens=0,
        ListID="7",
        SubscriberID=9,
        Attachments=[
            {"Filename": "Rechnung März.pdf", "Content": content, "Type": "application/pdf"},
            {"filename": "logo.png", "content": "aGk=", "Disposition": "inline", "contentId": "logo"},
        ],
    )
    assert answer.status_code == 200, answer.text
    (mail,) = await captured(node, 1)
    assert (mail["From"], mail["Reply-To"], mail["X-Order"]) == (
        f"Shop <shop@{DOMAIN}>",
        "Help <help@example.com>",
        "17",
    )
    parts = {part.get_content_type(): part for part in mail.walk()}
    assert parts["application/pdf"].get_filename() == "Rechnung März.pdf"
    assert parts["application/pdf"].get_content() == b"%PDF-1.7 bytes"
    assert parts["image/png"]["Content-ID"] == "<logo>"
    assert parts["text/plain"].get_content().strip() == "Hi there"
    html = parts["text/html"].get_content()
    assert "https://shop.test/" in html
    assert "/track/" not in html
    (row,) = await rows_of(node, answer)
    organization_id = node.account.organization_id
    found = await node.database.read(messages.contents, [(organization_id, row.content_id)])
    (kept,) = found.values()
    assert (kept.tags, kept.metadata) == (["welcome", "new"], {"ListID": 7, "SubscriberID": 9})


@SQLITE
async def test_a_mail_is_tracked_as_its_domain_says_unless_it_says_otherwise(
    client: Client, node: Running
) -> None:
    html = '<p><a href="https://shop.test/">x</a></p>'
    await client.done("UpdateDomain", DomainID=1, LinkTracking=0, OpenTracking=1, UnsubscribeLink="0")
    await client.mail(Subject="1", HtmlContent=html)
    await client.mail(Subject="2", HtmlContent=html, TrackLinks=True, TrackOpens="no")
    await client.done("UpdateDomain", DomainID=1, UnsubscribeLink="yes")
    await client.mail(Subject="3", HtmlContent=html)
    mails = sorted(await captured(node, 3), key=lambda mail: str(mail["Subject"]))
    bodies = [
        next(p for p in mail.walk() if p.get_content_type() == "text/html").get_content() for mail in mails
    ]
    assert [("/track/c/" in body, "/track/o/" in body) for body in bodies] == [
        (False, True),
        (True, False),
        (False, True),
    ]
    assert [mail["List-Unsubscribe-Post"] is not None for mail in mails] == [False, False, True]


@SQLITE
async def test_plain_content_is_plain_whatever_stands_beside_it(client: Client, node: Running) -> None:
    answer = await client.mail(ContentType="Plain", PlainContent="Hi", HtmlContent="<p>Hi</p>")
    assert answer.status_code == 200
    (mail,) = await captured(node, 1)
    assert [part.get_content_type() for part in mail.walk()] == ["text/plain"]


@SQLITE
async def test_the_key_may_come_as_bearer_or_in_query_or_body_and_the_bearer_goes_first(
    client: Client,
) -> None:
    async def status(where: dict[str, Any], **body: Any) -> int:
        return (await client.http.post("/api/v1/email", json={**MAIL, **body}, **where)).status_code

    good, bad = {"Authorization": f"bearer {client.sender}"}, {"Authorization": "Bearer nobody"}
    assert await status({"headers": good}) == 200
    assert await status({}, senderapikey=client.sender) == 200
    assert await status({"params": {"SenderApiKey": client.sender}}) == 200
    assert await status({"headers": good}, SenderAPIKey="nobody") == 200
    assert await status({"headers": bad}, SenderAPIKey=client.sender) == 401
    assert await status({"headers": {"Authorization": f"Basic {client.sender}"}}) == 401


@SQLITE
async def test_a_message_is_seen_by_the_other_dialects(client: Client, node: Running) -> None:
    message_id = (await client.mail()).json()["MessageID"]
    await captured(node, 1)
    headers = {"X-API-Key": node.account.keys["mailerlogic"]}
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers=headers) as other:
        told = await other.get(f"/api/v1/emails/{message_id}/events")
    assert "queued" in [event["event_type"] for event in told.json()["events"]]


# Number by number: the fields that bring it about, where nothing but the body is needed.
WRONG: list[tuple[int, dict[str, Any]]] = [
    (3, {"From": None}),
    (3, {"From": f"shop@{DOMAIN}"}),
    (3, {"From": {"email": f"shop@{DOMAIN}"}}),
    (3, {"From": {"name": "Shop"}}),
    (3, {"From": {"email": f"shop@{DOMAIN}", "name": "Shop\r\nBcc: eve@example.com"}}),
    (3, {"From": {"email": "shop@elsewhere.test", "name": "Shop"}}),
    (8, {"Subject": None}),
    (8, {"Subject": ""}),
    (8, {"Subject": "Hello\r\nBcc: eve@example.com"}),
    (8, {"Subject": "x" * 999}),
    (8, {"Subject": 7}),
    (9, {"ContentType": None}),
    (9, {"ContentType": "markdown"}),
    (9, {"ContentType": ["html"]}),
    (10, {"HtmlContent": None}),
    (10, {"HtmlContent": "", "PlainContent": "Hi"}),
    (10, {"HtmlContent": "NUL\0"}),
    (11, {"ContentType": "plain"}),
    (11, {"ContentType": "plain", "PlainContent": {"no": "text"}}),
    (15, {"TemplateID": 7}),
    (15, {"TemplateID": "7", "HtmlContent": None}),
    (16, {"TargetListID": 7}),
    (16, {"TargetListID": "seven", "To": None}),
    (18, {"To": [{"email": "ann@example.com"}]}),
    (18, {"To": [{"name": "Ann"}]}),
    (18, {"To": ["ann@example.com"]}),
    (18, {"To": {"email": "ann@example.com", "name": ""}}),
    (18, {"To": [{"email": "ann@example.com", "name": "Ann\n"}]}),
    (18, {"To": [{"email": "ann@example.com", "name": "x" * 257}]}),
    (19, {"To": [{"email": "ann@", "name": "Ann"}]}),
    (19, {"To": [{"email": "ann@example.com\r\nBcc: eve@example.com", "name": "Ann"}]}),
    (19, {"To": [{"email": "Ann <ann@example.com>", "name": "Ann"}]}),
    (19, {"To": [{"email": 7, "name": "Ann"}]}),
    (20, {"To": None}),
    (20, {"To": []}),
    (20, {"To": "ann@example.com"}),
    (20, {"To": TOO_MANY}),
    (20, {"CC": "ann@example.com"}),
    (21, {"CC": [{"email": "ann@example.com"}]}),
    (22, {"CC": {"email": "ann", "name": "Ann"}}),
    (23, {"CC": TOO_MANY}),
    (23, {"From": {"email": "shop", "name": "Shop"}}),
    (24, {"BCC": "ann@example.com"}),
    (25, {"BCC": [{"name": "Ann"}]}),
    (26, {"BCC": [{"email": "@example.com", "name": "Ann"}]}),
    (27, {"BCC": TOO_MANY}),
    (28, {"ReplyTo": "ann@example.com"}),
    (29, {"ReplyTo": [{"email": "ann@example.com", "name": None}]}),
    (30, {"ReplyTo": [{"email": "ann@@example.com", "name": "Ann"}]}),
    (31, {"reply-to": TOO_MANY}),
    (35, {"ListID": "first"}),
    (36, {"SubscriberID": -1}),
    (37, {"JourneyID": True}),
    (38, {"ActionID": 2**31}),
    (422, {"Headers": {"Bcc": "eve@example.com"}}),
    (422, {"Headers": {"X-A": "b\r\nBcc: eve@example.com"}}),
    (422, {"Headers": [7]}),
    (422, {"Attachments": [{"Filename": "a.txt", "Content": "no base64!"}]}),
    (422, {"Attachments": [{"Filename": "a\r\nb", "Content": "aGk="}]}),
    (422, {"Attachments": [{"Filename": "a.txt", "Content": "aGk="}] * 51}),
    (422, {"Attachments": "a.txt"}),
    (422, {"Tags": ["a\nb"]}),
    (422, {"Tags": ["x"] * 51}),
    (422, {"TrackLinks": "perhaps"}),
    (422, {"SendAt": "tomorrow"}),
    (422, {"SendAt": 99_999_999_999}),
    (422, {"SendAt": True}),
]


@SQLITE
async def test_each_fault_of_a_body_has_its_number(client: Client, node: Running) -> None:
    for number, fields in WRONG:
        assert await client.codes(**fields) == [number], fields
    assert not await node.database.read(control.count_captured, [node.account.organization_id])


@SQLITE
async def test_all_faults_of_a_body_are_told_at_once_in_the_order_of_the_checks(client: Client) -> None:
    answer = await client.http.post(
        "/api/v1/email",
        json={
            "To": [{"name": "Ann"}, {"email": "x", "name": "X"}, {"name": "Bob"}],
            "BCC": "x",
            "SendAt": "x",
        },
        headers={"Authorization": f"Bearer {client.sender}"},
    )
    assert answer.status_code == 422
    told = [(error["Code"], error["Message"]) for error in answer.json()["Errors"]]
    assert told[:-1] == [(number, CODES[number].message) for number in (3, 8, 9, 18, 19, 24)]
    assert told[-1][0] == 422
    assert told[-1][1].startswith("SendAt: ")


@SQLITE
async def test_a_suppressed_recipient_blocks_the_whole_mail(client: Client, node: Running) -> None:
    await suppress(node, "gone@example.com", Class.BLOCK, Reason.HARD_BOUNCE)
    await suppress(node, "left@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED)
    for address in ("Gone@example.com", "left@example.com"):
        entry = {"email": address, "name": "Gone"}
        for fields in ({"To": [entry]}, {"To": [ANN, entry]}, {"CC": [entry]}, {"BCC": [entry]}):
            assert await client.codes(**fields) == [14], fields
    assert not await node.database.read(control.count_captured, [node.account.organization_id])


@SQLITE
async def test_an_account_that_may_not_send_is_told_before_the_faults_of_the_body(
    client: Client, node: Running
) -> None:
    for status, number in (("suspended", 12), ("pending", 34)):
        await run_sql(node, f"UPDATE organizations SET status = '{status}'")
        assert await client.codes() == [number]
        assert await client.codes(Subject=None, To=None) == [number]


@SQLITE
async def test_a_domain_that_is_not_activated_is_told_before_the_faults_of_the_body(
    client: Client, node: Running
) -> None:
    await run_sql(node, "UPDATE domains SET status = 'pending'")
    assert await client.codes() == [32]
    assert await client.codes(Subject=None) == [32]
    assert await client.codes(From={"email": "a@elsewhere.test", "name": "A"}) == [32]


@SQLITE
async def test_from_of_another_verified_domain_of_the_account_is_not_the_keys(
    client: Client, node: Running
) -> None:
    make_domain(node.database, node.sealer, node.account.organization_id, "other.example.test")
    assert await client.codes(From={"email": "a@other.example.test", "name": "A"}) == [3]


@SQLITE
async def test_a_used_up_quota_stops_mail(client: Client, node: Running) -> None:
    assert (await client.mail()).status_code == 200
    await run_sql(node, "UPDATE usage SET messages = 1000000000")
    assert await client.codes() == [17]


def test_too_many_requests_are_told_with_the_time_to_wait() -> None:
    refusal = Faulty(Form.ERRORS, [told(RateLimited(retry_after_s=7), EMAIL_ERRORS, CODES)])
    response = refuse(refusal, Request({"type": "http"}))
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    sentence = b"Too many requests. Wait for 7 seconds for another 100 attempts."
    assert response.body == b'{"Errors":[{"Code":429,"Message":"' + sentence + b'"}]}'


def test_every_number_that_the_contract_has_stands_in_a_test_here() -> None:
    """1, 13 by key; 2, 12, 14, 17, 32, 34, 429 by a state; 39 is for lists in another store."""
    by_state = {1, 2, 12, 13, 14, 17, 32, 34, 39, 429}
    documented = {error["code"] for error in CONTRACT["sendEmail"]["errors"]}
    assert documented == {number for number, _ in WRONG if number != 422} | by_state
