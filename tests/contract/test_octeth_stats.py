"""DomainStats, AggrEvents, GetEvents and GET /api/v1/events against their contract and what happened."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.contract.octeth_client import CONTRACT, Client, sender_of
from tests.contract.past import day_of, days_ago, followed, past_of
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_domain

from postrider.engine.insight import Measure
from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.surfaces.octeth import vocabulary
from postrider.surfaces.octeth.events import LIST

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

WALKED = load("octeth")
NOON = days_ago(5)
NONE = {"Opened": 0, "Clicked": 0, "Unsubscribed": 0, "Complained": 0}
Json = dict[str, Any]


@pytest.fixture
async def client(node: Running) -> AsyncIterator[Client]:
    """Domain 1: a mail that was opened, one that bounced, one of 40 days ago; domain 2 has one."""
    past = past_of(node)
    other = make_domain(node.database, node.sealer, node.account.organization_id, "other.example.test")
    ours = node.domain.id
    ann = past.mail(NOON, domain_id=ours, tags=("spring", "shop"), subject="Welcome to 100% of it")
    bob = past.mail(NOON, domain_id=ours, tags=("shop",), recipient="bob@example.org")
    foreign, old = past.mail(NOON, domain_id=other.id), past.mail(days_ago(40), domain_id=ours)
    for kind, at, message_id, data in (
        (EventKind.ACCEPTED, days_ago(40), old, {}),
        (EventKind.ACCEPTED, NOON, ann, {}),
        (EventKind.ACCEPTED, NOON + 1, bob, {}),
        (EventKind.ACCEPTED, NOON + 2, foreign, {}),
        (EventKind.SENT, NOON + 3, ann, {}),
        (EventKind.DELIVERED, NOON + 3, ann, {"code": 250, "enhanced": "2.0.0", "reply": "Taken"}),
        (EventKind.OPENED, NOON + clock.HOUR, ann, {"ip": "203.0.113.4", "user_agent": "Thunderbird"}),
        (EventKind.BOUNCED, NOON + clock.DAY, bob, {"class": "hard", "enhanced": "5.1.1", "reply": "no"}),
    ):
        past.happen(kind, at, message_id, **data)
    await followed(node)
    async with sender_of(node) as client:
        yield client


async def events(client: Client, **asked: Any) -> list[str]:
    body = await client.done("GetEvents", DomainID=1, **{"StartFrom": 0, "RetrieveCount": 50, **asked})
    return [event["event_type"] for event in body["Events"]]


async def listed(client: Client, **query: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {client.sender}"}
    return await client.http.get("/api/v1/events", params=query, headers=headers)


async def words(client: Client, **query: Any) -> list[str]:
    answer = await listed(client, RetrieveCount=50, **query)
    assert answer.status_code == 200, answer.text
    return [event["EventType"] for event in answer.json()["Events"]]


def test_tables_are_whole_and_the_numbers_are_the_contracts() -> None:
    assert set(vocabulary.MEASURES) == set(Measure)
    said = {word for word in vocabulary.EVENTS.values() if word is not None}
    assert {word for word in vocabulary.MEASURES.values() if word is not None} == said
    assert set(vocabulary.EVENT_ALIASES.values()) == said
    documented = {error["code"]: error for error in CONTRACT["listEventsPublic"]["errors"]}
    assert set(LIST.codes) == set(documented)
    for number, code in LIST.codes.items():
        assert code.status == documented[number]["status"]
        assert number == 429 or code.message == documented[number]["message"]


async def test_a_domains_totals_stand_beside_the_period_before_and_by_tag(client: Client) -> None:
    body = await client.done("DomainStats", DomainID="1")
    keys = (*WALKED["domainStats"].keys, *CONTRACT["domainStats"]["success"]["also_keys"])
    assert not missing_keys(body, keys), body
    assert body["Stats"] == {**NONE, "Sent": 2, "Delivered": 1, "Bounced": 1, "Opened": 1}
    assert body["ComparisonStats"]["PreviousPeriod"] == {**NONE, "Sent": 1, "Delivered": 0, "Bounced": 0}
    assert body["TagStats"] == {
        "shop": {**NONE, "Sent": 2, "Delivered": 1, "Bounced": 1, "Opened": 1},
        "spring": {**NONE, "Sent": 1, "Delivered": 1, "Bounced": 0, "Opened": 1},
    }
    day = day_of(NOON)
    one_day = await client.done("DomainStats", DomainID=1, StartDate=day, EndDate=day)
    assert (one_day["Stats"]["Sent"], one_day["Stats"]["Bounced"]) == (2, 0)
    following = day_of(NOON + clock.DAY)
    later = await client.done("DomainStats", DomainID=1, StartDate=following, EndDate=following)
    assert (later["Stats"]["Bounced"], later["ComparisonStats"]["PreviousPeriod"]["Sent"]) == (1, 2)
    empty = await client.done("DomainStats", DomainID=1, StartDate="2020-01-01", EndDate="2019-01-01")
    assert (set(empty["Stats"].values()), empty["TagStats"]) == ({0}, {})


async def test_events_are_grouped_with_the_fullest_group_first(client: Client) -> None:
    async def grouped(**asked: Any) -> list[tuple[str, int]]:
        body = await client.done("AggrEvents", DomainID=1, **asked)
        assert not missing_keys(body, WALKED["aggrEvents"].keys)
        return [(each["key"], each["doc_count"]) for each in body["AggBuckets"]]

    by_type = await grouped()
    assert by_type[0] == ("send", 3)
    assert dict(by_type) == {"send": 3, "delivery": 1, "bounce": 1, "open": 1}
    assert await grouped(AggregatedField="EventType", AggregateSize="1") == [("send", 3)]
    assert await grouped(AggregatedField="Tag") == [("shop", 5), ("spring", 3)]
    assert await grouped(AggregatedField="day") == [(day_of(NOON), 4), (day_of(NOON + clock.DAY), 1)]
    assert await grouped(AggregatedField="moon") == []
    assert dict(await grouped(StartDate=day_of(NOON))) == {"send": 2, "delivery": 1, "bounce": 1, "open": 1}


async def test_a_domains_events_are_narrowed_and_paged(client: Client) -> None:
    body = await client.done("GetEvents", DomainID=1, StartFrom=1, RetrieveCount=2)
    keys = (*WALKED["getEvents"].keys, *CONTRACT["getEvents"]["success"]["also_keys"])
    assert not missing_keys(body, keys), body
    assert (body["TotalRecords"], [each["event"] for each in body["Events"]]) == (6, ["open", "delivery"])
    assert body["Events"][0]["timestamp"] == clock.to_iso(NOON + clock.HOUR)[:19] + "Z"
    everything = ["bounce", "open", "delivery", "send", "send", "send"]
    assert await events(client) == everything
    assert await events(client, RetrieveCount=1_000_000) == everything
    assert await events(client, Event="Opened") == await events(client, Event="open") == ["open"]
    assert await events(client, Event="eaten") == []
    assert await events(client, Query="subject:welcome") == ["open", "delivery", "send"]
    assert await events(client, Query="100%") == ["open", "delivery", "send"]
    assert await events(client, Query="BOB@") == await events(client, Query="to:bob") == ["bounce", "send"]
    assert await events(client, Query="from:nobody") == []
    day = day_of(NOON)
    assert await events(client, StartDate=day, EndDate=day) == ["open", "delivery", "send", "send"]
    assert await events(client, StartDate=day, EndDate=str(NOON // 1_000)) == ["delivery", "send", "send"]
    assert await events(client, StartDate="soon", EndDate={}) == everything
    assert await client.code("GetEvents", DomainID=1, StartFrom=-1, RetrieveCount=5) == 4


async def test_a_keys_events_are_those_of_its_domain(client: Client) -> None:
    answer = await listed(client)
    keys = (
        *WALKED["listEventsPublic"].keys,
        "Events[].Event",
        "Events[].LoggedAt",
        "Events[].Message.Headers",
    )
    assert not missing_keys(answer.json(), keys), answer.text
    assert (answer.json()["TotalRecords"], len(answer.json()["Events"])) == (6, 5)
    assert answer.headers["x-ratelimit-limit"] == "100"
    bounce, opened = answer.json()["Events"][:2]
    assert bounce["Details"] == {"BounceType": "hard", "SmtpCode": "5.1.1", "Reason": "no"}
    assert opened["Details"] == {"UserAgent": "Thunderbird", "IpAddress": "203.0.113.4"}
    delivered = answer.json()["Events"][2]
    assert delivered["Details"] == {"SmtpCode": "250", "Response": "2.0.0 Taken"}
    assert await words(client, MessageID=opened["MessageId"]) == ["open", "delivery", "send"]
    assert await words(client, MessageID="12345") == []
    assert await words(client, Event="delivered", StartDate=str(NOON // 1_000)) == ["delivery"]
    form = {"StartFrom": "1", "RetrieveCount": "1", "SenderAPIKey": client.sender}
    in_form = await client.http.request("GET", "/api/v1/events", data=form)
    assert [each["EventType"] for each in in_form.json()["Events"]] == ["open"]
    foreign = (await client.done("GetEvents", DomainID=2, StartFrom=0, RetrieveCount=5))["Events"]
    assert len(foreign) == 1
    assert await words(client, MessageID=foreign[0]["message_id"]) == []


@SQLITE
async def test_a_key_that_is_not_good_and_what_is_no_number_are_told_by_number(
    client: Client, node: Running
) -> None:
    async def told(response: httpx2.Response) -> tuple[int, list[int]]:
        return response.status_code, [error["Code"] for error in response.json()["Errors"]]

    assert await told(await client.http.get("/api/v1/events")) == (401, [1])
    query = {"SenderAPIKey": client.key}
    assert await told(await client.http.get("/api/v1/events", params=query)) == (401, [13])
    assert await told(await listed(client, StartFrom="-1", RetrieveCount="x")) == (422, [4, 5])
    await node.database.write(lambda tx: tx.execute(text("UPDATE organizations SET status = 'suspended'")))
    node.node.keyring.forget()
    assert await told(await listed(client)) == (404, [2])
