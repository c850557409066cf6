"""Analytics of one campaign against their contract; and the same counts, whoever is asked."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from tests.contract.past import day_of, days_ago, followed, past_of
from tests.contract.test_nudgecampaign import client_of, error_of
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account
from tests.unit.engine.insight.world import World as Past

from postrider.engine.insight import Measure, Who, campaigns
from postrider.engine.journal import Event, EventKind, Whose
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id, to_uuid
from postrider.surfaces.nudgecampaign.campaign_analytics import METRICS, OPERATIONS
from postrider.surfaces.nudgecampaign.ids import Noun, show

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
(OPERATION,) = OPERATIONS
CONTRACTED = load("nudgecampaign")["getCampaignAnalytics"]
NOON = days_ago(5)
LINKS = ("https://example.com/sale", "https://example.com/shop")
HUMAN = {"human": True, "scanner": {"score": 0, "reasons": []}}
Json = dict[str, Any]


@dataclass
class World:
    """A campaign of four: two delivered and opened, on a phone and on nobody knows what; one bounced."""

    node: Running
    client: httpx2.AsyncClient
    campaign_id: RowId
    past: Past
    clicked: Event

    async def get(self, campaign_id: str = "", **query: Any) -> httpx2.Response:
        path = OPERATION.paths[0].format(campaign_id=campaign_id or show(Noun.CAMPAIGN, self.campaign_id))
        return await self.client.get(path, params=query)

    async def told(self, **query: Any) -> Json:
        answer = await self.get(**query)
        assert answer.status_code == CONTRACTED.status, answer.text
        body: Json = answer.json()
        return body


@pytest.fixture
async def world(node: Running) -> AsyncIterator[World]:
    past = past_of(node)
    campaign_id = past.new_campaign("campaign", total=4)
    ann, bob, eve, joe = (past.mail(NOON, campaign_id=campaign_id, links=LINKS) for _ in range(4))
    phone = {"device": {"type": "mobile", "client": "Gmail"}, **HUMAN}
    clicked = past.event(EventKind.CLICKED, NOON + clock.DAY, ann, link=0, **HUMAN)
    past.record(
        *(past.event(EventKind.ACCEPTED, NOON, mail) for mail in (ann, bob, eve, joe)),
        *(
            past.event(kind, NOON, mail)
            for mail in (ann, bob)
            for kind in (EventKind.SENT, EventKind.DELIVERED)
        ),
        past.event(EventKind.BOUNCED, NOON, eve, **{"class": "soft"}),
        past.event(EventKind.CANCELLED, NOON, joe),
        past.event(EventKind.OPENED, NOON + clock.HOUR, ann, **phone),
        past.event(
            EventKind.OPENED, NOON + clock.HOUR, bob, human=False, scanner={"score": 90, "reasons": []}
        ),
        past.event(EventKind.OPENED, NOON + clock.DAY, ann, **phone),
        clicked,
        past.event(EventKind.CLICKED, NOON + clock.DAY + 1, ann, link=1, **HUMAN),
        past.event(EventKind.COMPLAINED, NOON + clock.DAY, ann),
        past.event(EventKind.UNSUBSCRIBED, NOON + clock.DAY, ann),
    )
    await followed(node)
    async with client_of(node, node.account.keys["nudgecampaign"]) as client:
        yield World(node, client, campaign_id, past, clicked)


def test_the_path_is_the_contracts() -> None:
    assert (OPERATION.method, OPERATION.paths) == (CONTRACTED.method, CONTRACTED.paths)


async def test_figures_are_those_of_the_contract_and_of_what_happened(world: World) -> None:
    body = await world.told()
    assert not missing_keys(body, CONTRACTED.keys)
    data = body["data"]
    assert data["campaign_id"] == show(Noun.CAMPAIGN, world.campaign_id)
    assert data["metrics"] == {
        "sent": 3, "delivered": 2, "delivery_rate": 0.667, "opened": 2, "open_rate": 1.0, "clicked": 1,
        "click_rate": 0.5, "click_to_open_rate": 0.5, "bounced": 1, "bounce_rate": 0.333, "complained": 1,
        "complaint_rate": 0.5, "unsubscribed": 1, "unsubscribe_rate": 0.5,
    }  # fmt: skip
    assert [(each["url"], each["clicks"], each["unique_clicks"]) for each in data["links"]] == [
        (LINKS[0], 1, 1), (LINKS[1], 1, 1),
    ]  # fmt: skip
    assert data["devices"] == {"desktop": 0.0, "mobile": 1.0, "tablet": 0.0}
    assert data["clients"] == {"gmail": 0.667, "outlook": 0.0, "apple_mail": 0.0, "other": 0.333}
    names = ("sent", "delivered", "opened", "clicked")
    assert [tuple(each[name] for name in names) for each in data["timeline"]] == [
        (3, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 1),
    ]  # fmt: skip
    assert data["timeline"][0]["timestamp"] == f"{day_of(NOON)}T12:00:00Z"


async def test_granularity_metrics_and_dates_narrow_what_is_told(world: World) -> None:
    days = (await world.told(granularity="day"))["data"]["timeline"]
    assert [(each["timestamp"], each["opened"]) for each in days] == [
        (f"{day_of(NOON)}T00:00:00Z", 2), (f"{day_of(NOON + clock.DAY)}T00:00:00Z", 0),
    ]  # fmt: skip
    for granularity in ("week", "month"):
        spans = (await world.told(granularity=granularity))["data"]["timeline"]
        assert sum(each["clicked"] for each in spans) == 1
    some = (await world.told(metrics="opened, click_rate"))["data"]["metrics"]
    assert some == {"opened": 2, "click_rate": 0.5}
    first = (await world.told(end_date=day_of(NOON)))["data"]
    assert (first["metrics"]["opened"], first["metrics"]["clicked"], len(first["timeline"])) == (2, 0, 2)
    second = (await world.told(start_date=day_of(NOON + clock.DAY), end_date=day_of(NOON + clock.DAY)))[
        "data"
    ]
    assert (second["metrics"]["sent"], second["metrics"]["clicked"], len(second["timeline"])) == (0, 1, 1)
    assert second["links"] == first["links"], "links are of the whole campaign"
    none = (await world.told(start_date=clock.to_iso(NOON + 2 * clock.DAY)))["data"]
    assert (set(none["metrics"].values()), none["timeline"]) == ({0}, [])


@SQLITE
async def test_a_campaign_of_which_nothing_is_known_has_zeros(world: World) -> None:
    empty = show(Noun.CAMPAIGN, world.past.new_campaign("campaign"))
    data = (await world.get(empty)).json()["data"]
    assert set(data["metrics"].values()) == set(data["clients"].values()) == {0}
    assert data["timeline"] == data["links"] == []


@SQLITE
async def test_what_is_wrong_is_refused_as_documented(world: World) -> None:
    for bad in (
        {"granularity": "minute"}, {"metrics": "opened,luck"}, {"start_date": "soon"},
        {"end_date": "2024-13-01"}, {"end_date": "9999-12-31"}, {"filter[x]": "y"},
        {"start_date": "2024-02-02", "end_date": "2024-02-01"},
    ):  # fmt: skip
        assert error_of(await world.get(**bad)) == (400, "ERR_VALIDATION", "validation_error"), bad
    both = await world.get(granularity="minute", metrics="luck")
    assert len(both.json()["error"]["details"]) == 2
    for nowhere in (show(Noun.CAMPAIGN, new_id()), "cmp_abc123", to_uuid(world.campaign_id)):
        assert error_of(await world.get(nowhere))[:2] == (404, "ERR_RESOURCE_NOT_FOUND")
    other = make_account(world.node.database, world.node.sealer, email="other@other.test")
    async with client_of(world.node, other.keys["nudgecampaign"]) as client:
        path = OPERATION.paths[0].format(campaign_id=show(Noun.CAMPAIGN, world.campaign_id))
        assert error_of(await client.get(path))[:2] == (404, "ERR_RESOURCE_NOT_FOUND")
    async with client_of(world.node, "sk_live_" + "0" * 40) as client:
        assert error_of(await client.get(path))[:2] == (401, "ERR_AUTH_INVALID_TOKEN")


async def test_whoever_is_asked_tells_the_same(world: World) -> None:
    """After events that were told twice, and a click that turned out to be a scanner's."""
    world.past.record(
        *(
            Event(
                world.past.organization_id, EventKind.OPENED, NOON + 2 * clock.DAY, world.clicked.message_id,
                data=HUMAN, source_id="hit:twice",
            )
            for _ in range(2)
        )
    )  # fmt: skip
    world.past.correct(world.clicked, Whose.SCANNER)
    world.past.correct(world.clicked, Whose.SCANNER)
    await followed(world.node)
    read, principal = world.node.database.read, world.node.principal
    report = await read(campaigns.report, principal, world.campaign_id)
    counts = report.counts
    assert (counts.opens, counts.unique_opens, counts.clicks, counts.unique_clicks) == (4, 2, 2, 1)
    metrics = (await world.told())["data"]["metrics"]
    told = {name: METRICS[name](counts) for name in METRICS}
    assert (metrics, metrics["sent"]) == (told, report.sent)
    headers = {"X-API-Key": world.node.account.keys["mailerlogic"]}
    base = f"{world.node.base_url}/mailerlogic/api/v1/campaigns/{to_uuid(world.campaign_id)}"
    async with httpx2.AsyncClient(headers=headers) as client:
        for word, who in (("all", Who.ALL), ("human_only", Who.HUMAN), ("scanner_only", Who.SCANNER)):
            its = (await read(campaigns.report, principal, world.campaign_id, who)).counts
            body = (await client.get(f"{base}/report", params={"filter": word})).json()
            assert (body["sent"], body["delivered"], body["bounced"]) == (
                metrics["sent"], metrics["delivered"], metrics["bounced"],
            )  # fmt: skip
            assert (body["unique_opens"], body["total_opens"]) == (its.unique_opens, its.opens)
            assert (body["unique_clicks"], body["total_clicks"]) == (its.unique_clicks, its.clicks)
            for noun, verb in (("opens", "opened"), ("clicks", "clicked")):
                listed = (await client.get(f"{base}/contacts/{verb}", params={"filter": word})).json()
                assert listed["pagination"]["total"] == len(listed["contacts"]) == body[f"unique_{noun}"]
                assert sum(each[f"{noun[:-1]}_count"] for each in listed["contacts"]) == body[f"total_{noun}"]
            links = (await client.get(f"{base}/links", params={"filter": word})).json()["links"]
            assert sum(link["total_clicks"] for link in links) == body["total_clicks"]
    assert its[Measure.CLICKED_SCANNER] == 1
