"""The list of campaigns: narrowed, sorted, paged; its figures are of all that it is narrowed to."""

from collections.abc import AsyncIterator

import pytest
from tests.contract.past import followed, past_of
from tests.contract.test_penguinmails import client_of, refused
from tests.contract.test_penguinmails_campaigns import ALL, ANN, World
from tests.factories import Running

from postrider.engine import journal
from postrider.engine.insight import conversions
from postrider.engine.insight.conversions import NewConversion
from postrider.engine.journal import Event, EventKind
from postrider.kit import clock
from postrider.surfaces.penguinmails.ids import CAMPAIGN, MESSAGE, from_id


@pytest.fixture
async def world(node: Running) -> AsyncIterator[World]:
    async with client_of(node, node.account.keys["penguinmails"]) as client:
        yield World(client, node)


async def test_a_list_is_narrowed_sorted_and_paged(world: World) -> None:
    far = {"schedule": {"send_at": "2042-01-01T00:00:00Z"}}
    near = {"schedule": {"send_at": "2041-01-01T00:00:00Z"}}
    for name, more in (("a draft", {}), ("c far", far), ("b near", near), ("d sent", {"recipients": [ANN]})):
        await world.make(name=name, **more)
    await world.done("sendCampaign")
    await world.until("sent")
    await world.make(name="e cancelled")
    await world.done("cancelCampaign")
    assert await world.listed(status="active", sort="name", order="asc") == ["b near", "c far"]
    assert await world.listed(status="draft") == ["a draft"]
    assert await world.listed(status="sent") == ["d sent"]
    assert await world.listed(status="failed") == []
    newest_first = ["e cancelled", "d sent", "b near", "c far", "a draft"]
    assert await world.listed() == newest_first
    assert await world.listed(order="asc") == newest_first[::-1]
    assert await world.listed(sort="name", order="asc") == sorted(newest_first)
    assert (await world.listed(sort="scheduled_at"))[:2] == ["c far", "b near"]
    assert (await world.listed(sort="sent_at"))[0] == "d sent"
    assert (await world.listed(sort="status", order="asc"))[0] == "e cancelled"
    assert await world.listed(sort="name", order="asc", per_page=2, page=2) == ["c far", "d sent"]
    page = (await world.client.get(ALL, params={"per_page": 2, "page": 9})).json()
    assert (page["data"], page["meta"]["pagination"]["total"], page["meta"]["pagination"]["pages"]) == (
        [],
        5,
        3,
    )
    for query in ({"status": "eaten"}, {"sort": "size"}, {"order": "up"}, {"page": 0}, {"per_page": 101}):
        assert refused(await world.client.get(ALL, params=query)) == (400, "VALIDATION_ERROR"), query


async def test_figures_of_a_list_are_of_all_that_it_is_narrowed_to(world: World) -> None:
    """Two of four open one, one of two the other: the mean is of the rates, not of the sums."""
    past = past_of(world.node)
    for name, count, openers in (("four", 4, 2), ("two", 2, 1), ("none", 0, 0)):
        people = [{"email": f"{name}{number}@example.com"} for number in range(count)]
        campaign_id = await world.make(name=name, recipients=people)
        if not people:
            continue
        await world.done("sendCampaign")
        await world.until("sent")
        mails = (await world.client.get("/api/v1/emails", params={"campaign_id": campaign_id})).json()["data"]
        for mail in mails[:openers]:
            opened = Event(
                past.organization_id, EventKind.OPENED, clock.now_ms(), from_id(MESSAGE, mail["message_id"]),
                campaign_id=from_id(CAMPAIGN, campaign_id), data={"scanner": 0},
            )  # fmt: skip
            await world.node.database.write(journal.record, [opened])
    sale = NewConversion(
        amount_mils=49_000, campaign_id=from_id(CAMPAIGN, campaign_id), email="ann@example.com"
    )
    await world.node.database.write(conversions.record_order, world.node.principal, sale)
    await followed(world.node)
    meta = (await world.client.get(ALL, params={"per_page": 1})).json()["meta"]
    assert meta["analytics"] == {
        "total_revenue_impact": "$49.00", "avg_open_rate": 0.5, "avg_click_rate": 0.0,
    }  # fmt: skip
    drafts = (await world.client.get(ALL, params={"status": "draft"})).json()
    assert drafts["meta"]["analytics"]["avg_open_rate"] == 0.0
    four = (await world.client.get(ALL, params={"sort": "name"})).json()["data"][2]
    assert (four["metrics"]["sent"], four["metrics"]["delivered"], four["metrics"]["opened"]) == (4, 4, 2)
    assert four["cost"]["total"] == "$0.308"
