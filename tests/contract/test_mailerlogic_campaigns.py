"""Campaign reports against their contract, and against what happened to a real bulk send."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from tests.contract.past import followed, past_of
from tests.contract.walk import load, missing_keys
from tests.factories import DOMAIN, Running

from postrider.engine import messages
from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.kit.ids import RowId, from_uuid, new_id, to_uuid
from postrider.surfaces.mailerlogic.campaign_reports import OPERATIONS

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("mailerlogic")
BY_ID = {operation.id: operation for operation in OPERATIONS}
MAIL = {
    "from": f"shop@{DOMAIN}",
    "subject": "Sale",
    "html": '<a href="https://example.com/a">A</a> <a href="https://example.com/b">B</a>',
    "recipients": [{"email": f"{name}@example.com"} for name in ("ann", "bob", "eve", "joe")],
}
HUMAN = {"human": True, "scanner": {"score": 0, "reasons": []}}
SCANNER = {"human": False, "scanner": {"score": 90, "reasons": []}}
Json = dict[str, Any]


@dataclass
class Sent:
    """A bulk send to four: two opened (one a scanner), one bounced late, one failed after all."""

    client: httpx2.AsyncClient
    campaign_id: str

    async def ask(self, operation_id: str, **query: Any) -> Json:
        path = BY_ID[operation_id].paths[0].format(campaignId=self.campaign_id)
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body


@pytest.fixture
async def sent(node: Running) -> AsyncIterator[Sent]:
    headers = {"X-API-Key": node.account.keys["mailerlogic"]}
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers=headers) as client:
        ann = {"email": "ann@example.com", "first_name": "Ann", "last_name": "Lee", "company": "Acme"}
        assert (await client.post("/api/v1/contacts", json=ann)).status_code == 201
        answer = await client.post("/api/v1/bulk-send", json=MAIL)
        campaign_id: str = answer.json()["campaign_id"]
        mails = await _delivered(node, from_uuid(campaign_id) or b"")
        _befall(node, mails)
        await followed(node)
        yield Sent(client, campaign_id)


async def _delivered(node: Running, campaign_id: RowId) -> dict[str, RowId]:
    """The campaign's messages by the names of their recipients, once all were delivered."""
    async with asyncio.timeout(20):
        while True:
            rows = await node.database.read(
                messages.search, node.account.organization_id, limit=10, campaign_id=campaign_id
            )
            if len(rows) == 4 and all(row.first_delivered_at for row in rows):
                return {row.recipient.partition("@")[0]: row.id for row in rows}
            await asyncio.sleep(0.05)


def _befall(node: Running, mails: dict[str, RowId]) -> None:
    past, now = past_of(node), clock.now_ms()
    ann, bob, eve, joe = (mails[name] for name in ("ann", "bob", "eve", "joe"))
    past.record(
        past.event(EventKind.OPENED, now, ann, **HUMAN),
        past.event(EventKind.OPENED, now + 1, ann, **HUMAN),
        past.event(EventKind.OPENED, now + 2, bob, **SCANNER),
        past.event(EventKind.CLICKED, now + 3, ann, link=0, **HUMAN),
        past.event(EventKind.CLICKED, now + 4, ann, link=1, **HUMAN),
        past.event(EventKind.CLICKED, now + 5, bob, link=0, **SCANNER),
        past.event(
            EventKind.BOUNCED, now + 6, eve, **{"class": "hard", "code": 550, "reply": "User unknown"}
        ),
        past.event(EventKind.COMPLAINED, now + 7, ann),
        past.event(EventKind.UNSUBSCRIBED, now + 8, ann),
    )
    node.database.write_now(
        lambda tx: (
            tx.exec_driver_sql(  # no far end of the tests gives up: that takes days
                "UPDATE messages SET status = 5 WHERE recipient = 'joe@example.com'"
            )
            and None
        )
    )
    past.happen(EventKind.FAILED, now + 9, joe, reason="connection timed out")


def test_the_paths_are_the_contracts() -> None:
    for operation in OPERATIONS:
        contracted = CONTRACT[operation.id]
        assert (operation.method, operation.paths) == (contracted.method, contracted.paths)


async def test_every_report_has_the_keys_of_its_contract(sent: Sent) -> None:
    for operation_id in BY_ID:
        body = await sent.ask(operation_id)
        assert not missing_keys(body, CONTRACT[operation_id].keys), (operation_id, body)


async def test_the_overview_counts_what_happened(sent: Sent) -> None:
    body = await sent.ask("campaignReport")
    assert body.pop("first_sent_at") <= body.pop("last_sent_at")
    assert body == {
        "campaign_id": sent.campaign_id, "campaign_type": "bulk", "filter": "all", "sent": 4, "delivered": 4,
        "bounced": 1, "hard_bounces": 1, "soft_bounces": 0, "block_bounces": 0, "failed": 1,
        "unique_opens": 2, "total_opens": 3, "open_rate": 50.0, "unique_clicks": 2, "total_clicks": 3,
        "click_rate": 50.0, "click_to_open_rate": 100.0, "complaints": 1, "unsubscribes": 1,
    }  # fmt: skip
    humans = await sent.ask("campaignReport", filter="human_only")
    assert (humans["filter"], humans["unique_opens"], humans["total_opens"], humans["open_rate"]) == (
        "human_only", 1, 2, 25.0,
    )  # fmt: skip
    scanners = await sent.ask("campaignReport", filter="scanner_only")
    assert (scanners["unique_opens"], scanners["total_opens"], scanners["total_clicks"]) == (1, 1, 1)
    assert humans["sent"] == scanners["sent"] == 4


async def test_contacts_are_told_with_what_they_did(sent: Sent) -> None:
    opened = await sent.ask("campaignContactsOpened")
    assert opened["pagination"] == {"page": 1, "limit": 50, "total": 2, "pages": 1}
    ann, bob = opened["contacts"]
    assert (ann["email"], ann["name"], ann["company"], ann["open_count"]) == (
        "ann@example.com", "Ann Lee", "Acme", 2,
    )  # fmt: skip
    assert ann["first_opened_at"] < ann["last_opened_at"]
    assert (bob["contact_id"], bob["name"], bob["open_count"]) == (None, None, 1)
    by_humans = await sent.ask("campaignContactsOpened", filter="human_only")
    assert [each["email"] for each in by_humans["contacts"]] == ["ann@example.com"]
    by_scanners = await sent.ask("campaignContactsClicked", filter="scanner_only")
    assert [(each["email"], each["click_count"]) for each in by_scanners["contacts"]] == [
        ("bob@example.com", 1)
    ]
    found = await sent.ask("campaignContactsClicked", search="lee")
    assert [each["click_count"] for each in found["contacts"]] == [2]
    assert found["pagination"]["total"] == 1
    [eve] = (await sent.ask("campaignContactsBounced"))["contacts"]
    assert (eve["email"], eve["bounce_type"], eve["reason"], eve["diagnostic_code"]) == (
        "eve@example.com", "hard", "User unknown", "550",
    )  # fmt: skip
    [joe] = (await sent.ask("campaignContactsFailed"))["contacts"]
    assert (joe["email"], joe["reason"], joe["attempts"]) == ("joe@example.com", "connection timed out", 1)


async def test_recipients_have_their_status_and_pages(sent: Sent) -> None:
    whole = await sent.ask("campaignRecipients")
    told = {each["email"].partition("@")[0]: each for each in whole["recipients"]}
    assert {name: each["status"] for name, each in told.items()} == {
        "ann": "delivered", "bob": "delivered", "eve": "delivered", "joe": "failed",
    }  # fmt: skip
    assert (told["ann"]["opened"], told["ann"]["open_count"], told["ann"]["click_count"]) == (True, 2, 2)
    assert (told["eve"]["bounce_type"], told["eve"]["bounce_reason"]) == ("hard", "User unknown")
    assert told["joe"]["bounce_reason"] is None
    pages = [await sent.ask("campaignRecipients", limit=3, page=page) for page in (1, 2, 3)]
    assert [each for page in pages for each in page["recipients"]] == whole["recipients"]
    assert pages[0]["pagination"] == {"page": 1, "limit": 3, "total": 4, "pages": 2}
    humans = await sent.ask("campaignRecipients", filter="human_only")
    assert [each["open_count"] for each in humans["recipients"]] == [
        2 if each["email"].startswith("ann") else 0 for each in humans["recipients"]
    ]
    words = (
        "queued",
        "sent",
        "delivered",
        "bounced",
        "failed",
        "opened",
        "clicked",
        "complained",
        "unsubscribed",
    )
    totals = [(await sent.ask("campaignRecipients", status=word))["pagination"]["total"] for word in words]
    assert totals == [0, 3, 3, 1, 1, 2, 2, 1, 1]


async def test_timelines_and_links_add_up(sent: Sent) -> None:
    for noun, total, unique in (("opens", 3, 2), ("clicks", 3, 2)):
        for query in ({}, {"interval": "day"}, {"precision": "day"}):
            body = await sent.ask(f"campaignTimeline{noun.title()}", **query)
            assert body["interval"] == (query or {"interval": "hour"}).popitem()[1]
            assert sum(each[f"total_{noun}"] for each in body["timeline"]) == total
            assert sum(each[f"unique_{noun}"] for each in body["timeline"]) == unique
    scanners = await sent.ask("campaignTimelineOpens", filter="scanner_only")
    assert [(each["unique_opens"], each["total_opens"]) for each in scanners["timeline"]] == [(1, 1)]
    links = (await sent.ask("campaignLinks"))["links"]
    assert [(each["url"], each["total_clicks"], each["unique_clicks"]) for each in links] == [
        ("https://example.com/a", 2, 2), ("https://example.com/b", 1, 1),
    ]  # fmt: skip
    humans = (await sent.ask("campaignLinks", filter="human_only"))["links"]
    assert [each["total_clicks"] for each in humans] == [1, 1]


@SQLITE
async def test_what_is_wrong_is_refused_as_documented(sent: Sent) -> None:
    message_id = (await sent.ask("campaignRecipients"))["recipients"][0]["email_id"]
    for operation in OPERATIONS:
        path = operation.paths[0]
        for nowhere in (to_uuid(new_id()), "bulk_123", message_id):
            answer = await sent.client.get(path.format(campaignId=nowhere))
            assert (answer.status_code, answer.json()["error"]) == (404, "Not found"), operation.id
        here = path.format(campaignId=sent.campaign_id)
        unknown = await sent.client.get(here, headers={"X-API-Key": "ml_live_" + "0" * 64})
        assert (unknown.status_code, unknown.json()["error"]) == (401, "Unauthorized")
        answer = await sent.client.get(here, params={"filter": "robots"})
        assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed")
    path = BY_ID["campaignRecipients"].paths[0].format(campaignId=sent.campaign_id)
    wrong = {"status": "lost", "limit": "1001", "page": "0", "search": "*"}
    answer = await sent.client.get(path, params=wrong)
    assert {each["field"] for each in answer.json()["errors"]} == set(wrong)
    path = BY_ID["campaignTimelineOpens"].paths[0].format(campaignId=sent.campaign_id)
    assert (await sent.client.get(path, params={"interval": "week"})).status_code == 400
