"""What webhooks tell of a campaign, from its making to its end: each event once, its body as documented."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from tests.contract.test_penguinmails import SQLITE, client_of
from tests.contract.walk import FOLDER
from tests.factories import Running, running_node
from tests.flow.hooks import Got, Receiver

PAYLOAD = yaml.safe_load((FOLDER / "penguinmails.yaml").read_text())["webhooks"]["payload"]
NAMES = ["created", "scheduled", "sending", "sent", "completed", "cancelled"]
METRICS = {"sent", "delivered", "opened", "clicked", "bounced", "complained", "unsubscribed"}
ALL = "/api/v1/campaigns"
NEW: dict[str, Any] = {
    "name": "Welcome Email Series",
    "subject": "Hi",
    "content": "<p>Hi</p>",
    "type": "onboarding",
    "recipients": [{"email": "ann@example.com"}, {"email": "bob@example.com"}],
}


@dataclass
class Hooked:
    """A subscriber to everything that is told of campaigns."""

    client: httpx2.AsyncClient
    receiver: Receiver

    async def make(self, **fields: Any) -> str:
        answer = await self.client.post(ALL, json={**NEW, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["id"])

    async def told_of(self, campaign_id: str, last: str) -> dict[str, dict[str, Any]]:
        """What was posted of a campaign by word, once `last` has come; each word once."""

        def ours(posts: list[Got]) -> list[dict[str, Any]]:
            return [got.json for got in posts if got.json["data"]["campaign"]["id"] == campaign_id]

        await self.receiver.when(lambda posts: f"campaign.{last}" in {each["type"] for each in ours(posts)})
        await asyncio.sleep(1.5)  # a second post of anything would come by then
        posts = ours(self.receiver.at("/hook"))
        assert set(Counter(each["type"] for each in posts).values()) == {1}
        assert len({each["id"] for each in posts}) == len(posts)
        return {each["type"].removeprefix("campaign."): each for each in posts}


@pytest.fixture
async def hooked(store_url: str, tmp_path: Path) -> AsyncIterator[Hooked]:
    async with (
        Receiver() as receiver,
        running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running,
        hook_client(running) as client,
    ):
        new = {"url": receiver.url(), "events": [f"campaign.{name}" for name in NAMES]}
        assert (await client.post("/api/v1/webhooks", json=new)).status_code == 201
        yield Hooked(client, receiver)


def hook_client(running: Running) -> httpx2.AsyncClient:
    return client_of(running, running.account.keys["penguinmails"])


async def test_a_campaign_is_told_once_from_its_making_to_its_end(hooked: Hooked) -> None:
    at = "2025-12-01T10:00:00Z"
    campaign_id = await hooked.make(schedule={"send_at": at})
    told = await hooked.told_of(campaign_id, "completed")
    assert set(told) == {"created", "scheduled", "sending", "sent", "completed"}
    documented = PAYLOAD["campaign_events_inferred"]["campaign"]
    for word, post in told.items():
        assert set(post) == set(PAYLOAD["skeleton"])
        shown = post["data"]["campaign"]
        assert set(shown) == set(documented), word
        assert (shown["name"], shown["type"]) == (NEW["name"], "onboarding")
        assert set(shown["metrics"]) == METRICS
    status = {word: post["data"]["campaign"]["status"] for word, post in told.items()}
    assert status.pop("completed") == "sent"
    assert status == {"created": "draft", **{word: word for word in ("scheduled", "sending", "sent")}}
    assert told["created"]["data"]["campaign"]["scheduled_at"] is None
    assert told["scheduled"]["data"]["campaign"]["scheduled_at"] == at
    assert told["sending"]["data"]["campaign"]["sent_at"] is None
    assert told["sent"]["data"] == told["completed"]["data"]
    end = told["sent"]["data"]["campaign"]
    assert (end["sent_at"], end["metrics"]["delivered"]) == (told["sent"]["created"], 2)
    shown = (await hooked.client.get(f"{ALL}/{campaign_id}")).json()["data"]
    assert shown["sent_at"] == end["sent_at"]


@SQLITE
async def test_a_bulk_begins_a_draft_and_ends_it(hooked: Hooked) -> None:
    campaign_id = await hooked.make(recipients=[])
    for name in ("ann", "bob"):
        body = {"campaign_id": campaign_id, "recipients": [{"email": f"{name}@example.com"}]}
        assert (await hooked.client.post("/api/v1/emails/send-bulk", json=body)).is_success
    told = await hooked.told_of(campaign_id, "completed")
    assert set(told) == {"created", "sending", "sent", "completed"}
    assert told["sent"]["data"]["campaign"]["metrics"]["sent"] == 2


@SQLITE
async def test_a_cancelled_campaign_is_told_as_such_and_not_as_sent(hooked: Hooked) -> None:
    campaign_id = await hooked.make(schedule={"send_at": "2041-01-01T00:00:00Z"}, type="")
    assert (await hooked.client.post(f"{ALL}/{campaign_id}/cancel")).is_success
    told = await hooked.told_of(campaign_id, "cancelled")
    assert set(told) == {"created", "scheduled", "cancelled"}
    shown = told["cancelled"]["data"]["campaign"]
    assert (shown["status"], shown["type"], shown["sent_at"]) == ("cancelled", "campaign", None)


@SQLITE
async def test_mail_of_a_campaign_names_it(hooked: Hooked) -> None:
    new = {"url": hooked.receiver.url("/mail"), "events": ["email.delivered"]}
    assert (await hooked.client.post("/api/v1/webhooks", json=new)).status_code == 201
    campaign_id = await hooked.make()
    assert (await hooked.client.post(f"{ALL}/{campaign_id}/send")).is_success
    for got in await hooked.receiver.until(2, "/mail"):
        assert got.json["data"]["campaign"] == {"id": campaign_id, "name": NEW["name"], "type": "onboarding"}
        assert got.json["data"]["email"]["campaign_id"] == campaign_id
