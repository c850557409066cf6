"""Single mail: what is sent is read back after delivery, and listed under its word, page by page."""

import asyncio
import email
import itertools
import re
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import default
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.contract.test_penguinmails import MAIL, SQLITE, client_of, refused, settled
from tests.factories import DOMAIN, Running

from postrider.engine import journal, suppression
from postrider.engine.delivery import control
from postrider.engine.journal import Event, EventKind
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit import clock
from postrider.surfaces.penguinmails.ids import CAMPAIGN, MESSAGE, from_id, to_id
from postrider.surfaces.penguinmails.vocabulary import EMAIL_STATUSES

SEND, LIST = "/api/v1/emails/send", "/api/v1/emails"
HTML = '<p>Hi {{name}}</p><a href="https://shop.test/offer">Offer</a>'


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node, node.account.keys["penguinmails"]) as client:
        yield client


async def captured(node: Running, count: int, *, organization_id: int | None = None) -> list[EmailMessage]:
    """The captured mails, once there are `count`, oldest first."""
    organizations = [organization_id or node.account.organization_id]
    async with asyncio.timeout(10):
        while await node.database.read(control.count_captured, organizations) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    mails = await node.database.read(control.list_captured, organizations, limit=count)
    raws = [await node.database.read(control.one_captured, organizations, mail.id) for mail in mails]
    found = [email.message_from_bytes(raw[1], policy=default) for raw in raws if raw is not None]
    return list(reversed(found))


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


async def send(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(SEND, json={**MAIL, **fields})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def listed(client: httpx2.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get(LIST, params=query)
    assert answer.status_code == 200, answer.text
    return [item["message_id"] for item in answer.json()["data"]]


async def test_a_mail_is_read_back_as_it_was_sent_once_it_is_delivered(
    client: httpx2.AsyncClient, node: Running
) -> None:
    values = {"name": "Ann <&>", "line_items": [{"title": "Hat", "price": 7.5}, {"title": "Ice", "price": 2}]}
    html = (
        "<p>Hi {{name}}</p>{% for item in line_items %}<b>{{item.title}} {{item.price}}</b>{% endfor %}{{no}}"
    )
    sent = await send(client, subject="For {{ name }}", content={"html": html}, personalization=values)
    assert (sent["status"], sent["cost"]) == ("queued", "$0.077")
    shown = await settled(client, sent["message_id"])
    (mail,) = await captured(node, 1)
    assert (mail["Subject"], mail["To"], mail["Reply-To"]) == (
        "For Ann <&>",
        "recipient@example.com",
        "support@example.com",
    )
    assert mail["From"] == f"Your Name <sender@{DOMAIN}>"
    assert "<p>Hi Ann &lt;&amp;&gt;</p><b>Hat 7.5</b><b>Ice 2</b>" in html_of(mail)
    assert {name: shown[name] for name in ("status", "to", "subject", "campaign_id", "opened_at")} == {
        "status": "delivered",
        "to": "recipient@example.com",
        "subject": "For Ann <&>",
        "campaign_id": None,
        "opened_at": None,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["delivered_at"])
    assert shown["sent_at"] <= shown["delivered_at"] < sent["estimated_delivery"]
    assert await listed(client, to="Recipient@Example.com") == [sent["message_id"]]


@SQLITE
async def test_the_pixel_that_is_told_is_the_one_the_mail_carries(
    client: httpx2.AsyncClient, node: Running
) -> None:
    both = (await send(client, content=HTML))["analytics_tracking"]
    none = (await send(client, content=HTML, tracking={"track_opens": False, "track_clicks": False}))[
        "analytics_tracking"
    ]
    tracked, plain = await captured(node, 2)
    if both["pixel_url"] not in html_of(tracked):
        tracked, plain = plain, tracked
    assert both["pixel_url"] in html_of(tracked)
    assert both["pixel_url"].endswith("/" + both["tracking_id"].removeprefix("track_"))
    assert f'href="{both["click_tracking_domain"]}/track/c/' in html_of(tracked)
    assert none["tracking_id"].startswith("track_")
    assert (none["pixel_url"], none["click_tracking_domain"]) == (None, None)
    assert "/track/" not in html_of(plain)
    assert 'href="https://shop.test/offer"' in html_of(plain)


@SQLITE
async def test_tracking_that_the_domain_has_switched_off_is_not_told(
    client: httpx2.AsyncClient, node: Running
) -> None:
    off = text("UPDATE domains SET tracking_enabled = 0")
    await node.database.write(lambda tx: tx.execute(off))
    tracking = (await send(client, content=HTML))["analytics_tracking"]
    assert (tracking["pixel_url"], tracking["click_tracking_domain"]) == (None, None)


@SQLITE
async def test_an_opened_pixel_is_an_open_in_the_status(client: httpx2.AsyncClient, node: Running) -> None:
    sent = await send(client)
    await settled(client, sent["message_id"])
    url = sent["analytics_tracking"]["pixel_url"]
    assert (await client.get(node.base_url + url[url.index("/track/") :])).status_code == 200
    async with asyncio.timeout(10):
        while (shown := await settled(client, sent["message_id"]))["status"] != "opened":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (shown["open_count"], shown["click_count"]) == (1, 0)
    assert shown["opened_at"] >= shown["delivered_at"]


@SQLITE
async def test_a_bare_string_is_the_html_and_defaults_fill_what_nobody_personalized(
    client: httpx2.AsyncClient, node: Running
) -> None:
    await send(client, content="<p>Hello {{name}}</p>", personalization=None, from_=None)
    (mail,) = await captured(node, 1)
    assert "<p>Hello </p>" in html_of(mail)
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().strip() == "Hello"
    variables = [{"name": "name", "default_value": "you"}, {"name": "city", "default_value": "Rome"}]
    content = {"html": "<p>{{name}} {{city}}</p>", "variables": variables}
    await send(client, content=content, personalization={"name": "Ann"})
    assert any("<p>Ann Rome</p>" in html_of(mail) for mail in await captured(node, 2))


@SQLITE
async def test_a_subject_is_shown_as_it_was_read_or_else_as_it_was_written(
    client: httpx2.AsyncClient,
) -> None:
    values = {"name": "Ann\nBcc", "long": "x" * 5_000}
    for written, shown in (
        ("Hi {{name}}{{nobody}} | {{ name }}", "Hi Ann Bcc | Ann Bcc"),
        ("{{long}}", "x" * 998),
        ("{% for i in (1..9) %}{{i}}{% endfor %}", "{% for i in (1..9) %}{{i}}{% endfor %}"),
        ("{{ name | upcase }}", "{{ name | upcase }}"),
    ):
        message_id = (await send(client, subject=written, personalization=values))["message_id"]
        assert (await client.get(f"{LIST}/{message_id}")).json()["data"]["subject"] == shown


@SQLITE
async def test_mail_without_from_comes_from_the_first_verified_domain(
    client: httpx2.AsyncClient, node: Running
) -> None:
    mail = {name: value for name, value in MAIL.items() if name != "from"}
    assert (await client.post(SEND, json=mail)).status_code == 200
    assert (await captured(node, 1))[0]["From"].endswith(f"@{DOMAIN}")


async def test_a_suppressed_recipient_is_a_conflict(client: httpx2.AsyncClient, node: Running) -> None:
    for address, class_, reason in (
        ("gone@example.com", Class.BLOCK, Reason.HARD_BOUNCE),
        ("left@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED),
    ):
        scope = Scope.ORGANIZATION
        entry = Entry(node.account.organization_id, address, scope, "", class_, reason.value, "manual")
        await node.database.write(suppression.add, [entry])
        answer = await client.post(SEND, json={**MAIL, "to": address})
        assert refused(answer) == (409, "RESOURCE_CONFLICT")
        assert [each["field"] for each in answer.json()["error"]["details"]] == ["to"]


@SQLITE
async def test_what_the_mail_may_not_be_is_said(client: httpx2.AsyncClient, node: Running) -> None:
    foreign = await client.post(SEND, json={**MAIL, "from": {"email": "a@elsewhere.test"}})
    assert refused(foreign) == (400, "VALIDATION_ERROR")
    assert foreign.json()["error"]["details"][0]["field"] == "from.email"
    template = await client.post(SEND, json={**MAIL, "content": {"template_id": "welcome_template"}})
    assert refused(template) == (404, "RESOURCE_NOT_FOUND")
    wrong = {"html": "<p>\n {{ name | nosuch }}</p>", "text": "{% if %}"}
    fault = await client.post(SEND, json={**MAIL, "content": wrong})
    assert refused(fault) == (400, "VALIDATION_ERROR")
    html, plain = fault.json()["error"]["details"]
    assert (html["field"], plain["field"]) == ("content.html", "content.text")
    assert html["message"].startswith("line 2, column ")
    await node.database.write(lambda tx: tx.execute(text("UPDATE organizations SET plan = 'free'")))
    now = clock.to_datetime(clock.now_ms())
    used = text("UPDATE usage SET messages = 3000")
    await send(client)
    await node.database.write(lambda tx: tx.execute(used))
    over = await client.post(SEND, json=MAIL)
    assert refused(over) == (429, "QUOTA_EXCEEDED")
    assert int(over.headers["retry-after"]) > (28 - now.day) * 86_400


async def test_a_repeat_under_an_idempotency_key_is_the_same_mail(
    client: httpx2.AsyncClient, node: Running
) -> None:
    headers = {"Idempotency-Key": "order-17"}
    first = await client.post(SEND, json=MAIL, headers=headers)
    again = await client.post(SEND, json=MAIL, headers=headers)
    assert first.json() == again.json()
    other = await client.post(SEND, json={**MAIL, "subject": "Other"}, headers=headers)
    assert refused(other) == (409, "RESOURCE_CONFLICT")
    too_long = await client.post(SEND, json=MAIL, headers={"Idempotency-Key": "x" * 257})
    assert refused(too_long) == (400, "VALIDATION_ERROR")
    assert len(await listed(client)) == 1


async def test_a_list_goes_page_by_page_in_either_order(client: httpx2.AsyncClient) -> None:
    sent = [(await send(client))["message_id"] for _ in range(5)]
    pages = [await listed(client, per_page=2, page=page) for page in (1, 2, 3, 4)]
    assert list(itertools.chain(*pages)) == sent[::-1]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert await listed(client, order="asc", sort="created_at") == sent
    meta = (await client.get(LIST, params={"per_page": 2, "page": 9})).json()["meta"]
    assert meta == {"pagination": {"page": 9, "per_page": 2, "total": 5, "pages": 3}}
    empty = (await client.get(LIST, params={"to": "nobody@example.com"})).json()
    assert empty["meta"]["pagination"] == {"page": 1, "per_page": 20, "total": 0, "pages": 1}


async def test_every_word_lists_the_mail_that_is_told_with_it(
    client: httpx2.AsyncClient, node: Running
) -> None:
    happened: dict[str, list[EventKind]] = {
        "delivered": [],
        "opened": [EventKind.OPENED],
        "clicked": [EventKind.OPENED, EventKind.CLICKED],
        "complained": [EventKind.OPENED, EventKind.COMPLAINED],
    }
    sent = {word: (await send(client))["message_id"] for word in happened}
    sent["bounced"] = (await send(client, to="bounce@simulator.postrider.test"))["message_id"]
    for message_id in sent.values():
        await settled(client, message_id)
    for word, kinds in happened.items():
        row_id = from_id(MESSAGE, sent[word])
        for kind in kinds:
            event = Event(node.account.organization_id, kind, clock.now_ms(), message_id=row_id)
            await node.database.write(journal.record, [event])
    for word, message_id in sent.items():
        assert (await settled(client, message_id))["status"] == word
        assert await listed(client, status=word) == [message_id], word
    for word in set(EMAIL_STATUSES) - set(sent):
        assert await listed(client, status=word) == [], word


@SQLITE
async def test_a_list_of_an_unknown_campaign_is_empty(client: httpx2.AsyncClient) -> None:
    await send(client)
    for campaign_id in (to_id(CAMPAIGN, bytes(16)), "campaign_abc123", "%00", "7"):
        assert await listed(client, campaign_id=campaign_id) == []


@SQLITE
async def test_a_query_that_is_wrong_is_told_with_all_its_faults(client: httpx2.AsyncClient) -> None:
    query = "page=0&per_page=101&status=nice&order=up&sort=subject&to=nobody"
    answer = await client.get(f"{LIST}?{query}")
    assert refused(answer) == (400, "VALIDATION_ERROR")
    details = {each["field"] for each in answer.json()["error"]["details"]}
    assert details == {"page", "per_page", "status", "order", "sort", "to"}
    for wrong in (
        "page=-1",
        "page=1.0",
        "page=%D9%A3",
        "page=" + "9" * 5_000,
        "per_page=0",
        "to=%00",
        "to=%ff",
    ):
        assert refused(await client.get(f"{LIST}?{wrong}")) == (400, "VALIDATION_ERROR"), wrong
    assert (await client.get(f"{LIST}?page=999999999&status=&to=")).json()["data"] == []


@SQLITE
async def test_a_test_keys_mail_stays_in_the_sandbox(node: Running, client: httpx2.AsyncClient) -> None:
    async with client_of(node, node.account.keys["penguinmails_test"]) as tester:
        sent = await send(tester)
        assert (await settled(tester, sent["message_id"]))["status"] == "delivered"
        assert len(await captured(node, 1, organization_id=node.account.sandbox_id)) == 1
    assert refused(await client.get(f"{LIST}/{sent['message_id']}")) == (404, "RESOURCE_NOT_FOUND")


@SQLITE
async def test_a_test_key_needs_no_sender_and_mails_as_the_live_domain(node: Running) -> None:
    async with client_of(node, node.account.keys["penguinmails_test"]) as client:
        mail = {name: value for name, value in MAIL.items() if name != "from"}
        assert (await client.post(SEND, json=mail)).status_code == 200
        (kept,) = await captured(node, 1, organization_id=node.account.sandbox_id)
    assert kept["From"] == f"noreply@{DOMAIN}"
