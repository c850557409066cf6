"""A campaign sent in batches: each batch is due so much later than the one before, and all of it arrives."""

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.factories import Running

from postrider.engine.delivery import control
from postrider.engine.sending import campaigns
from postrider.surfaces.penguinmails.ids import CAMPAIGN, MESSAGE, from_id

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CROWD, SIZE, DELAY_S = 250, 100, 3
NAMES = [f"reader{number}@example.com" for number in range(CROWD)]


def client_of(node: Running) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {node.account.keys['penguinmails']}"}
    return httpx2.AsyncClient(base_url=f"{node.base_url}/penguinmails/api/v1", headers=headers, timeout=20)


async def drafted(client: httpx2.AsyncClient, **more: Any) -> str:
    new = {"name": "Crowd", "subject": "To {{name}}", "content": "<p>To {{name}}</p>", **more}
    return str((await client.post("/campaigns", json=new)).json()["data"]["id"])


async def sent(client: httpx2.AsyncClient, campaign_id: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            shown: dict[str, Any] = (await client.get(f"/campaigns/{campaign_id}")).json()["data"]
            if shown["status"] == "sent":
                return shown
            await asyncio.sleep(0.1)


async def rows_of(node: Running, count: int) -> dict[str, Any]:
    """The messages by recipient, as soon as there are so many."""
    asked = text("SELECT id, recipient, due_at, first_sent_at FROM messages")
    async with asyncio.timeout(20):
        while True:
            rows = await node.database.read(lambda tx: tx.execute(asked).all())
            if len(rows) >= count:
                return {row.recipient: row for row in rows}
            await asyncio.sleep(0.02)


async def test_batches_are_due_one_after_the_other_and_all_arrive(node: Running) -> None:
    recipients = [{"email": name, "personalization": {"name": name[:9]}} for name in NAMES]
    async with client_of(node) as client:
        campaign_id = await drafted(client)
        body = {
            "campaign_id": campaign_id,
            "recipients": recipients,
            "batch_size": SIZE,
            "delay_between_batches": DELAY_S,
        }
        told = (await client.post("/emails/send-bulk", json=body)).json()["data"]
        assert (told["accepted"], told["batches"]) == (CROWD, 3)
        waiting = await rows_of(node, CROWD)
        await sent(client, campaign_id)
    due = [
        {waiting[name].due_at for name in NAMES[start : start + SIZE]} for start in range(SIZE, CROWD, SIZE)
    ]
    assert [len(each) for each in due] == [1, 1], "the mails of a batch are due together"
    assert due[1].pop() - (second_at := due[0].pop()) == DELAY_S * 1000
    rows = await rows_of(node, CROWD)
    assert sorted(rows) == sorted(NAMES)
    assert all(rows[name].first_sent_at < second_at for name in NAMES[:SIZE])
    assert all(rows[name].first_sent_at >= second_at for name in NAMES[SIZE:])
    ids = {each["email"]: from_id(MESSAGE, each["message_id"]) for each in told["messages"]}
    assert ids == {name: row.id for name, row in rows.items()}
    organizations = [node.account.organization_id]
    captured = await node.database.read(control.list_captured, organizations, limit=2 * CROWD)
    assert Counter(mail.recipient for mail in captured) == Counter(NAMES)


@SQLITE
async def test_a_campaigns_own_pace_holds_for_its_own_recipients(node: Running) -> None:
    recipients = [{"email": name} for name in NAMES[:3]]
    settings = {"batch_size": 2, "delay_between_batches": 1.5}
    async with client_of(node) as client:
        campaign_id = await drafted(client, recipients=recipients, settings=settings)
        assert (await client.post(f"/campaigns/{campaign_id}/send")).is_success
        await sent(client, campaign_id)
    rows = await rows_of(node, 3)
    first, second, third = (rows[name].first_sent_at for name in NAMES[:3])
    assert abs(first - second) < 1_000
    assert third - max(first, second) > 1_000


@SQLITE
async def test_bulks_that_wait_for_a_pause_all_go_on_after_it(node: Running) -> None:
    async with client_of(node) as client:
        campaign_id = await drafted(client)
        row_id = from_id(CAMPAIGN, campaign_id) or b""
        batches = [NAMES[:2], NAMES[2:4], NAMES[4:6]]
        first, *others = [[{"email": name} for name in names] for names in batches]
        body = {"campaign_id": campaign_id, "batch_size": 1, "delay_between_batches": 3}
        assert (await client.post("/emails/send-bulk", json={**body, "recipients": first})).is_success
        await node.database.write(campaigns.pause_campaign, node.principal, row_id)
        for recipients in others:
            told = await client.post("/emails/send-bulk", json={**body, "recipients": recipients})
            assert told.json()["data"]["status"] == "queued"
        await asyncio.sleep(1)
        assert len(await rows_of(node, 0)) <= len(first)
        await node.database.write(campaigns.resume_campaign, node.principal, row_id)
        shown = await sent(client, campaign_id)
    assert shown["metrics"]["estimated_recipients"] == 6
    assert sorted(await rows_of(node, 6)) == sorted(NAMES[:6])
