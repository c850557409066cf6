"""A campaign's analytics, goals and revenue against their contract, with webhooks that tell of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.test_penguinmails import client_of, refused
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account, running_node
from tests.flow.hooks import Receiver
from tests.flow.world import until
from tests.unit.engine.insight.orders import HUMAN, Shop

from postrider.engine.insight import Counts, Measure
from postrider.engine.insight.campaigns import CampaignReport
from postrider.engine.insight.conversions import Kind, Sum
from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id
from postrider.surfaces.penguinmails import analytics, goals
from postrider.surfaces.penguinmails.analytics import Found
from postrider.surfaces.penguinmails.ids import to_id

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CONTRACT = load("penguinmails")
SERVED = {operation.id: operation for operation in (*analytics.OPERATIONS, *goals.OPERATIONS)}
Json = dict[str, Any]


class Desk:
    """What a caller asks, and the shop behind it: a campaign to three, of whom one opened and clicked."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.shop = Shop(node.database, node.account.organization_id, now=None)
        self.campaign: RowId = b""
        self.ids: dict[str, str] = {}

    async def call(
        self, operation_id: str, status: int | None = None, body: Any = None, **query: str
    ) -> Json:
        operation = SERVED[operation_id]
        answer = await self.ask(operation_id, body, **query)
        assert answer.status_code == (status or operation.status), (operation_id, answer.text)
        told: Json = answer.json()
        return told

    async def ask(self, operation_id: str, body: Any = None, **query: str) -> httpx2.Response:
        operation = SERVED[operation_id]
        path = operation.paths[0].format(**self.ids)
        return await self.http.request(operation.method, path, json=body, params=query)

    async def read_mail(self) -> None:
        shop, now = self.shop, self.shop.now - clock.MINUTE
        self.campaign = shop.campaign("Welcome Series")
        self.ids["campaign_id"] = to_id("campaign", self.campaign)
        shop.contact("ann@example.com")
        mails = [
            shop.mail_of(self.campaign, at=now, recipient=f"{name}@example.com")
            for name in ("ann", "ben", "cid")
        ]
        device = {"type": "mobile", "os": "iOS", "browser": None, "client": "Apple Mail"}
        for kind in (EventKind.OPENED, EventKind.CLICKED):
            shop.happen(kind, now + clock.SECOND, mails[0], **HUMAN, device=device)
        goal = await self.call("createGoal", body={"name": "purchase", "value": "$49.00"})
        self.ids["goal_id"] = goal["data"]["id"]

        async def is_counted() -> bool:
            return bool((await self.call("getCampaignMetrics"))["data"]["clicked"] == 1)

        await until(is_counted, "the follower counts")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def desk(store_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with (
        running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running,
        client_of(running, running.account.keys["penguinmails"]) as http,
    ):
        desk = Desk(running, http)
        await desk.read_mail()
        yield desk


BODIES: dict[str, Json] = {
    "trackCampaignPerformance": {"metrics": ["open_rate", "click_rate", "revenue"]},
    "createGoal": {"name": "sign-up"},
    "recordConversion": {"value": "$49.00"},
}
# The code of each, and what is wrong.
MALFORMED: dict[str, list[tuple[Json, str]]] = {
    "trackCampaignPerformance": [
        ({}, "MISSING_REQUIRED_FIELD"), ({"metrics": []}, "VALIDATION_ERROR"),
        ({"metrics": ["luck"]}, "VALIDATION_ERROR"),
    ],
    "createGoal": [
        ({}, "MISSING_REQUIRED_FIELD"), ({"name": ""}, "VALIDATION_ERROR"),
        ({"name": "x", "value": "-1"}, "VALIDATION_ERROR"),
    ],
    "recordConversion": [({"value": "free"}, "VALIDATION_ERROR"), ({"email": "x"}, "INVALID_EMAIL_FORMAT")],
    "recordRevenue": [
        ({}, "MISSING_REQUIRED_FIELD"), ({"campaign_id": "x", "amount": -1}, "VALIDATION_ERROR"),
    ],
}  # fmt: skip


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(desk: Desk) -> None:
    for operation_id in SERVED:
        contracted = CONTRACT[operation_id]
        body = BODIES.get(operation_id)
        if operation_id == "recordRevenue":
            body = {"campaign_id": desk.ids["campaign_id"], "amount": "$49.00"}
        answer = await desk.ask(operation_id, body)
        assert answer.status_code == contracted.status, (operation_id, answer.text)
        assert not missing_keys(answer.json(), contracted.keys), (operation_id, answer.text)


@SQLITE
async def test_every_operation_answers_its_documented_errors(desk: Desk) -> None:
    known = dict(desk.ids)
    for operation_id, operation in SERVED.items():
        answered = {429}
        async with client_of(desk.node, "pk_live_" + "0" * 40) as stranger:
            path = operation.paths[0].format(**known)
            answer = await stranger.request(operation.method, path, json=BODIES.get(operation_id))
            assert refused(answer) == (401, "AUTHENTICATION_REQUIRED")
            answered.add(401)
        if "{" in operation.paths[0]:
            for nowhere in (to_id("campaign", new_id()), to_id("goal", new_id()), "7", "%00"):
                desk.ids = dict.fromkeys(known, nowhere)
                answer = await desk.ask(operation_id, BODIES.get(operation_id))
                assert refused(answer) == (404, "RESOURCE_NOT_FOUND"), (operation_id, nowhere)
            desk.ids = dict(known)
            answered.add(404)
        for body, code in MALFORMED.get(operation_id, []):
            assert refused(await desk.ask(operation_id, body)) == (400, code), (operation_id, body)
            answered.add(400)
        if operation.method == "GET" and "{" in operation.paths[0]:
            for period in ("7", "d", "0d", "-1d", "1w", "7d ", "99999d", "٧d"):
                answer = await desk.ask(operation_id, period=period)
                assert refused(answer) == (400, "VALIDATION_ERROR"), period
            answered.add(400)
        elsewhere = {404, 409} if operation_id in ("createGoal", "recordRevenue") else set()
        assert CONTRACT[operation_id].errors <= answered | elsewhere, operation_id
    double = await desk.ask("createGoal", {"name": "purchase"})
    assert refused(double) == (409, "RESOURCE_ALREADY_EXISTS")
    for lost in (to_id("campaign", new_id()), "campaign_7"):
        answer = await desk.ask("recordRevenue", {"campaign_id": lost, "amount": 1})
        assert refused(answer) == (404, "RESOURCE_NOT_FOUND")


async def test_every_figure_of_a_campaign(desk: Desk) -> None:
    await desk.call("recordRevenue", body={"campaign_id": desk.ids["campaign_id"], "amount": "$1,000.50"})
    await desk.call("recordConversion", body={"email": "Ann@example.com"})
    await desk.call("recordConversion", body={"email": "nobody@example.com", "value": 12})
    told = (await desk.call("getCampaignAnalytics"))["data"]
    assert (told["campaign_id"], told["period"]) == (desk.ids["campaign_id"], "7d")
    assert told["overview"] == {
        "sent": 3, "delivered": 3, "opened": 1, "clicked": 1, "bounced": 0, "complained": 0,
        "unsubscribed": 0, "total_recipients": 1,
    }  # fmt: skip
    assert told["performance"]["open_rate"] == 0.333
    assert told["revenue_impact"] == {
        "total_value": "$1,000.50", "value_per_recipient": "$333.50", "revenue_per_delivered": "$333.50",
        "conversion_value": "$49.00", "cost_per_acquisition": "$0.231", "roi_percentage": 433016.9,
    }  # fmt: skip
    assert told["ai_insights"]["optimization_score"] is None
    assert told["ai_insights"]["recommendations"] == []
    assert told["device_breakdown"] == {"mobile": 1.0, "desktop": 0.0, "tablet": 0.0, "other": 0.0}
    (bucket,) = told["engagement_timeline"]
    assert {name: bucket[name] for name in ("sent", "opened", "clicked")} == {
        "sent": 3,
        "opened": 1,
        "clicked": 1,
    }
    metrics = (await desk.call("getCampaignMetrics", period="12h"))["data"]
    assert metrics == {
        "campaign_id": desk.ids["campaign_id"], "period": "12h", **told["performance"],
        **{name: count for name, count in told["overview"].items() if name != "total_recipients"},
    }  # fmt: skip
    tracked = (await desk.call("trackCampaignPerformance", body=BODIES["trackCampaignPerformance"]))["data"]
    assert tracked["metrics"] == {"open_rate": 0.333, "click_rate": 0.333, "revenue": "$1,000.50"}
    planned = (await desk.call("v2GetCampaignAnalytics"))["data"]
    assert planned["revenue_impact"]["total_value"] == 1000.5
    assert planned["sent"] == 3


def test_the_documented_example_comes_out() -> None:
    """1000 sent, 995 delivered, 348 opened, 84 clicked, 770 dollars: rules 6 and 7 of the contract."""
    counts = Counts(
        {
            Measure.ACCEPTED: 1000, Measure.DELIVERED: 995, Measure.OPENED_UNIQUE: 348,
            Measure.CLICKED_UNIQUE: 84, Measure.BOUNCED_HARD: 5, Measure.COMPLAINED: 2,
            Measure.UNSUBSCRIBED: 12,
        }
    )  # fmt: skip
    assert analytics.performance(counts) == {
        "delivery_rate": 0.995, "open_rate": 0.35, "click_rate": 0.084, "click_to_open_rate": 0.241,
        "bounce_rate": 0.005, "complaint_rate": 0.002, "unsubscribe_rate": 0.012,
    }  # fmt: skip
    report = CampaignReport(b"", "campaign", "", "sent", 1000, counts, None, None)
    brought = {Kind.ORDER: Sum(3, 770_000), Kind.GOAL: Sum(10, 2_450_000)}
    assert analytics.impact(Found(report, brought, 77_000, [])) == {
        "total_value": "$770.00", "value_per_recipient": "$0.77", "revenue_per_delivered": "$0.774",
        "conversion_value": "$2,450.00", "cost_per_acquisition": "$7.70", "roi_percentage": 900.0,
    }  # fmt: skip
    nothing = CampaignReport(b"", "campaign", "", "draft", 0, Counts({}), None, None)
    assert set(analytics.performance(Counts({})).values()) == {0.0}
    bare = analytics.impact(Found(nothing, {kind: Sum() for kind in Kind}, 0, []))
    assert (bare["cost_per_acquisition"], bare["roi_percentage"]) == (None, None)
    assert bare["value_per_recipient"] == "$0.00"


async def test_goals_are_listed_the_newest_first(desk: Desk) -> None:
    about = {"name": "sign-up", "campaign_id": desk.ids["campaign_id"]}
    made = (await desk.call("createGoal", body=about))["data"]
    assert (made["value"], made["campaign_id"], made["conversions"]) == (None, desk.ids["campaign_id"], 0)
    first = (await desk.call("recordConversion", body={"order_id": "order_1"}))["data"]
    again = (await desk.call("recordConversion", body={"order_id": "order_1", "value": 1}))["data"]
    assert first == again
    assert (first["value"], first["campaign_id"], first["contact_id"]) == ("$49.00", None, None)
    told = await desk.call("listGoals", per_page="1", page="2")
    assert [(each["name"], each["conversions"]) for each in told["data"]] == [("purchase", 1)]
    assert told["meta"]["pagination"] == {"page": 2, "per_page": 1, "total": 2, "pages": 2}
    names = [each["name"] for each in (await desk.call("listGoals"))["data"]]
    assert names == ["sign-up", "purchase"]


async def test_webhooks_tell_of_goals_and_of_milestones(desk: Desk, receiver: Receiver) -> None:
    events = ["goal.converted", "revenue.recorded"]
    hook = {"url": receiver.url(), "events": events, "secret": "s" * 20}
    assert (await desk.http.post("/api/v1/webhooks", json=hook)).status_code == 201
    await desk.call("recordConversion", body={"email": "ann@example.com"})
    for amount in ("$60.00", "$39.99", "$461.01", "$1.00"):
        await desk.call("recordRevenue", body={"campaign_id": desk.ids["campaign_id"], "amount": amount})
    got = {each.json["type"]: each.json["data"] for each in await receiver.until(2)}
    conversion = got["goal.converted"]["conversion"]
    assert got["goal.converted"]["goal"] == {"id": desk.ids["goal_id"], "name": "purchase"}
    assert (conversion["value"], conversion["campaign_id"]) == ("$49.00", desk.ids["campaign_id"])
    assert conversion["contact_id"].startswith("contact_")
    assert got["revenue.recorded"] == {
        "revenue": {
            "campaign_id": desk.ids["campaign_id"], "amount": "$461.01", "total": "$561.00",
            "milestone": "$500.00",
        }
    }  # fmt: skip
    assert len(receiver.got) == 2


async def test_another_organization_sees_nothing_of_it(desk: Desk) -> None:
    stranger = make_account(desk.node.database, desk.node.sealer, email="stranger@example.test")
    async with client_of(desk.node, stranger.keys["penguinmails"]) as http:
        theirs = Desk(desk.node, http)
        theirs.ids = desk.ids
        for operation_id, operation in SERVED.items():
            if "{" in operation.paths[0]:
                answer = await theirs.ask(operation_id, BODIES.get(operation_id))
                assert refused(answer) == (404, "RESOURCE_NOT_FOUND"), operation_id
        body = {"campaign_id": desk.ids["campaign_id"], "amount": 1}
        assert refused(await theirs.ask("recordRevenue", body))[0] == 404
        assert (await theirs.call("listGoals"))["data"] == []
