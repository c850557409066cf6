"""Analytics and conversions against their contract, in a shop whose mail was read and brought orders."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from tests.contract.test_nudgecampaign import client_of, error_of
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account
from tests.flow.world import until
from tests.unit.engine.insight.orders import HUMAN, Shop

from postrider.engine.insight import account
from postrider.engine.insight.account.censuses import take
from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id
from postrider.surfaces.nudgecampaign import analytics, conversions
from postrider.surfaces.nudgecampaign.ids import Noun, show

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CONTRACT = load("nudgecampaign")
SERVED = {operation.id: operation for operation in (*analytics.OPERATIONS, *conversions.OPERATIONS)}
REPORTS = [operation.paths[0] for operation in analytics.OPERATIONS]
Json = dict[str, Any]
PHONE = {"type": "mobile", "os": "iOS", "browser": None, "client": "Apple Mail"}
DESK = {"type": "desktop", "os": "Windows", "browser": None, "client": "Outlook"}
NEW_YORK = {"country": "US", "country_name": "United States", "city": "New York"}


class Desk:
    """What a caller asks, and the shop behind it."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.shop = Shop(node.database, node.account.organization_id, now=None)
        self.campaign: RowId = b""

    async def data(self, path: str, **query: str) -> Json:
        answer = await self.http.get(f"/v2/analytics/{path}", params=query)
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()["data"]
        return told

    async def convert(self, status: int = 201, **told: Any) -> Json:
        answer = await self.http.post("/v2/conversions", json=told)
        assert answer.status_code == status, answer.text
        body: Json = answer.json()
        return body

    async def read_mail(self) -> None:
        """Two mails of a campaign to contacts: one is opened by phone, in New York, and clicked."""
        shop = self.shop
        self.campaign = shop.campaign("Summer Sale")
        for name in ("ann", "ben"):
            shop.contact(f"{name}@example.com", source="import" if name == "ann" else None)
        now = shop.now - clock.MINUTE
        read, _ = (
            shop.mail_of(self.campaign, at=now, recipient=f"{who}@example.com") for who in ("ann", "ben")
        )
        for kind in (EventKind.OPENED, EventKind.CLICKED):
            shop.happen(kind, now + clock.SECOND, read, **HUMAN, device=PHONE, place=NEW_YORK)
        shop.happen(EventKind.OPENED, now + 2 * clock.SECOND, read, **HUMAN, device=DESK)

        async def is_counted() -> bool:
            return bool((await self.data("devices"))["total_opens"] == 2)

        await until(is_counted, "the follower counts")


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with client_of(node, node.account.keys["nudgecampaign"]) as http:
        desk = Desk(node, http)
        await desk.read_mail()
        yield desk


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(desk: Desk) -> None:
    first = sorted(SERVED.values(), key=lambda operation: operation.method == "GET")
    for operation in first:
        contracted = CONTRACT[operation.id]
        body = {"amount": 125.0, "email": "ann@example.com"} if operation.method == "POST" else None
        answer = await desk.http.request(operation.method, operation.paths[0], json=body)
        assert answer.status_code == contracted.status, (operation.id, answer.text)
        assert not missing_keys(answer.json(), contracted.keys), (operation.id, answer.text)


async def test_every_figure_of_the_overview(desk: Desk) -> None:
    await desk.convert(amount=50, email="ann@example.com")
    told = await desk.data("overview", period="today", timezone="UTC")
    assert told["summary"] == {
        "total_sent": 2, "total_delivered": 2, "total_opened": 1, "total_clicked": 1, "total_revenue": 50.0,
        "average_open_rate": 0.5, "average_click_rate": 0.5,
    }  # fmt: skip
    assert told["top_campaigns"] == [
        {"id": show(Noun.CAMPAIGN, desk.campaign), "name": "Summer Sale", "open_rate": 0.5, "click_rate": 0.5}
    ]
    moment = datetime.fromtimestamp((desk.shop.now - clock.MINUTE) / 1000, UTC)
    weekday = analytics.WEEKDAYS[moment.weekday()]
    assert told["engagement_by_hour"] == {str(moment.hour): 0.5}
    assert {day: rate for day, rate in told["engagement_by_day"].items() if rate} == {weekday: 0.5}
    month = await desk.data("overview")
    assert [len(month["trends"][name]) for name in ("sent", "delivered", "opened", "clicked")] == [30] * 4
    assert sum(each["value"] for each in month["trends"]["opened"]) == 1


async def test_the_audience_is_told_whole(desk: Desk) -> None:
    shown = (await desk.http.post("/v2/contacts", json={"email": "cid@example.com"})).json()["data"]["id"]
    await desk.http.post(f"/v2/contacts/{shown}/unsubscribe", json={})

    async def is_followed() -> bool:
        days = (await desk.data("contacts"))["list_growth"]
        return [each["total"] for each in days[-2:]] == [0, 3]

    await until(is_followed, "the follower counts")
    told = await desk.data("contacts")
    assert (told["total_contacts"], told["subscribed"], told["unsubscribed"]) == (3, 2, 1)
    assert (told["bounced"], told["pending"]) == (0, 0)
    assert told["sources"] == {"import": 1, "api": 2, "signup_form": 0, "manual": 0}
    assert told["engagement_segments"] == {
        "highly_engaged": 0, "engaged": 1, "inactive": 0, "never_engaged": 2,
    }  # fmt: skip
    assert (told["growth_rate"], told["churn_rate"]) == (0.0, 0.0), "there was nobody at the start"
    assert [each["total"] for each in told["list_growth"][-2:]] == [0, 3]


async def test_revenue_is_told_by_campaign_and_day(desk: Desk) -> None:
    first = (await desk.convert(amount=125.5, email="Ann@example.com", order_id="order_1"))["data"]
    assert first["id"].startswith("cnv_")
    assert first["attributes"]["campaign_id"] == show(Noun.CAMPAIGN, desk.campaign)
    assert first["attributes"]["attribution"] == "last_click"
    await desk.convert(amount=0.25, email="ben@example.com", metadata={"shop": "north"})
    told = await desk.data("revenue", period="week")
    assert told["total_revenue"] == 125.75
    assert (told["revenue_per_email"], told["revenue_per_contact"]) == (62.875, 62.875)
    assert (told["conversion_rate"], told["average_order_value"]) == (1.0, 62.875)
    assert told["revenue_by_campaign"] == [
        {"campaign_id": show(Noun.CAMPAIGN, desk.campaign), "campaign_name": "Summer Sale", "revenue": 125.5,
         "conversions": 1},
    ]  # fmt: skip
    assert [each["revenue"] for each in told["revenue_timeline"]] == [0.0] * 6 + [125.75]


async def test_what_mail_is_read_with_and_where(desk: Desk) -> None:
    devices = await desk.data("devices")
    assert devices == {
        "total_opens": 2,
        "devices": {"desktop": 0.5, "mobile": 0.5, "tablet": 0.0},
        "breakdown": [
            {"device": "mobile", "opens": 1, "clicks": 1, "share": 0.5},
            {"device": "desktop", "opens": 1, "clicks": 0, "share": 0.5},
        ],
    }
    clients = await desk.data("clients", period="year")
    assert clients["clients"] == {"gmail": 0.0, "outlook": 0.5, "apple_mail": 0.5, "other": 0.0}
    assert [each["client"] for each in clients["breakdown"]] == ["apple_mail", "outlook"]
    places = await desk.data("geographic")
    assert places["countries"] == [
        {"country": "US", "opens": 1, "clicks": 1, "share": 0.5},
        {"country": "unknown", "opens": 1, "clicks": 0, "share": 0.5},
    ]
    assert places["cities"] == [{"city": "New York", "country": "US", "opens": 1, "clicks": 1, "share": 0.5}]


async def test_a_period_is_one_of_days_of_a_zone(desk: Desk) -> None:
    today = datetime.now(UTC).date()
    for first, last, opens in ((today, today, 2), (today - timedelta(9), today - timedelta(2), 0)):
        told = await desk.data(
            "devices", period="custom", start_date=str(first), end_date=str(last), timezone="UTC"
        )
        assert told["total_opens"] == opens
    desk.shop.settings(timezone="Pacific/Kiritimati")

    async def is_theirs() -> bool:
        trend = (await desk.data("overview", period="week"))["trends"]["sent"]
        there = datetime.now(UTC) + timedelta(hours=14)
        return (len(trend), trend[-1]["date"]) == (7, str(there.date()))

    await until(is_theirs, "the organization's zone counts where nobody names one")


@SQLITE
async def test_what_is_no_period_is_a_400(desk: Desk) -> None:
    for query, fields in (
        ({"period": "decade"}, ["period"]),
        ({"timezone": "Mars/Olympus", "period": "x"}, ["period", "timezone"]),
        ({"period": "custom"}, ["start_date", "end_date"]),
        ({"period": "custom", "start_date": "2026-01-01"}, ["end_date"]),
        ({"period": "custom", "start_date": "2026-01-02", "end_date": "2026-01-01"}, ["end_date"]),
        ({"period": "custom", "start_date": "1999-01-01", "end_date": "2026-01-01"}, ["end_date"]),
        ({"period": "custom", "start_date": "now", "end_date": "0001-01-01"}, ["start_date", "end_date"]),
        ({"timezone": "../../etc/passwd"}, ["timezone"]),
        ({"filter[x]": "1"}, ["filter[x]"]),
    ):  # fmt: skip
        for path in REPORTS:
            answer = await desk.http.get(path, params=query)
            assert error_of(answer)[:2] == (400, "ERR_VALIDATION"), (path, query, answer.text)
            found = [each["field"] for each in answer.json()["error"]["details"]]
            assert sorted(found) == sorted(fields), query


@SQLITE
async def test_what_is_no_conversion_is_a_422(desk: Desk) -> None:
    ann = {"email": "ann@example.com"}
    unknown = {"contact_id": show(Noun.CONTACT, new_id()), "campaign_id": show(Noun.CAMPAIGN, new_id())}
    for told, field, code in (
        (ann, "amount", "required"),
        ({**ann, "amount": -1}, "amount", "invalid_value"),
        ({**ann, "amount": "12"}, "amount", "invalid_value"),
        ({**ann, "amount": True}, "amount", "invalid_value"),
        ({"amount": 1}, "contact_id", "required"),
        ({"amount": 1, "email": "nobody@example.com"}, "email", "not_found"),
        ({"amount": 1, "email": "no address"}, "email", "invalid_format"),
        ({"amount": 1, "contact_id": unknown["contact_id"]}, "contact_id", "not_found"),
        ({"amount": 1, "contact_id": "con_7"}, "contact_id", "not_found"),
        ({"amount": 1, **ann, "campaign_id": unknown["campaign_id"]}, "campaign_id", "not_found"),
        ({"amount": 1, **ann, "currency": "dollars"}, "currency", "invalid_value"),
        ({"amount": 1, **ann, "occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at", "invalid_value"),
        ({"amount": 1, **ann, "order_id": ""}, "order_id", "invalid_value"),
    ):
        body = await desk.convert(422, **told)
        (detail,) = body["error"]["details"]
        assert (detail["field"], detail["code"]) == (field, code), told
    broken = await desk.http.post("/v2/conversions", content=b"{")
    assert error_of(broken)[0] == 400
    assert (await desk.data("revenue"))["total_revenue"] == 0.0


@SQLITE
async def test_an_order_that_was_told_before_is_a_409(desk: Desk) -> None:
    told: dict[str, Any] = {"amount": 5, "email": "ann@example.com", "order_id": "order_1"}
    await desk.convert(**told)
    again = await desk.convert(409, **told)
    assert again["error"]["code"] == "ERR_DUPLICATE_RESOURCE"
    assert [each["field"] for each in again["error"]["details"]] == ["order_id"]
    assert (await desk.data("revenue"))["total_revenue"] == 5.0


@SQLITE
async def test_scopes_and_roles(desk: Desk) -> None:
    for scopes, allowed in ((["analytics:read"], "GET"), (["conversions:write"], "POST")):
        made = await desk.http.post("/v2/organization/api-keys", json={"name": "Some", "scopes": scopes})
        async with client_of(desk.node, made.json()["data"]["key"]) as http:
            for operation in SERVED.values():
                body = {"amount": 1, "email": "ann@example.com"} if operation.method == "POST" else None
                answer = await http.request(operation.method, operation.paths[0], json=body)
                expected = operation.status if operation.method == allowed else 403
                assert answer.status_code == expected, (scopes, operation.id, answer.text)
    async with httpx2.AsyncClient(base_url=desk.http.base_url) as nobody:
        for operation in SERVED.values():
            assert error_of(await nobody.request(operation.method, operation.paths[0]))[0] == 401


async def test_another_organization_sees_nothing_of_it(desk: Desk) -> None:
    await desk.convert(amount=5, email="ann@example.com")
    stranger = make_account(desk.node.database, desk.node.sealer, email="stranger@example.test")
    async with client_of(desk.node, stranger.keys["nudgecampaign"]) as http:
        theirs = Desk(desk.node, http)
        assert (await theirs.data("overview"))["summary"]["total_sent"] == 0
        assert (await theirs.data("overview"))["top_campaigns"] == []
        assert (await theirs.data("contacts"))["total_contacts"] == 0
        assert (await theirs.data("revenue"))["revenue_by_campaign"] == []
        for path in ("clients", "devices", "geographic"):
            assert (await theirs.data(path))["total_opens"] == 0
        for told in (
            {"email": "ann@example.com"},
            {"email": "x@example.com", "campaign_id": show(Noun.CAMPAIGN, desk.campaign)},
        ):
            await theirs.convert(422, amount=1, **told)


@SQLITE
async def test_a_large_audience_that_was_not_counted_yet_is_null(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take, "LIVE_MAX", 1)
    told = await desk.data("contacts")
    assert (told["total_contacts"], told["subscribed"], told["counted_at"]) == (None, None, None)
    assert set(told["sources"].values()) == set(told["engagement_segments"].values()) == {None}
    assert not missing_keys(
        {"data": told}, [key for key in CONTRACT["getContactAnalytics"].keys if "[]" not in key]
    )
    count = account.begin()
    await desk.node.database.read(account.go_on, desk.node.account.organization_id, count)
    await desk.node.database.write(account.keep, desk.node.account.organization_id, count)
    assert (await desk.data("contacts"))["total_contacts"] == 2
