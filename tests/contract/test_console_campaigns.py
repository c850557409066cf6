"""Campaigns through the console, against its contract: seen, aimed, split, paused, called off."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from tests.contract.console_client import Client, Json
from tests.factories import Running, make_account
from tests.flow.crowds import draw_up, fill_list, look, people, start, until

from postrider.engine.audience import segments
from postrider.engine.sending import campaigns
from postrider.engine.sending.campaigns import Campaign
from postrider.kit import clock
from postrider.kit.ids import new_id, to_uuid

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
SPLIT = {
    "variants": [{"name": "B", "subject": "Better"}],
    "percent": 50,
    "decided_by": "clicks",
    "wait_minutes": 60,
}


class Desk(Client):
    """Who looks after campaigns."""

    def draw(self, **said: object) -> Campaign:
        return draw_up(self.node.database, self.node.principal, **said)  # type: ignore[arg-type]

    async def see(self, campaign: Campaign) -> Json:
        found: Json = (await self.walk("getCampaign", id=to_uuid(campaign.id)))["campaign"]
        return found


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Desk(node, http)


async def test_all_kinds_are_listed_newest_first_in_pages(desk: Desk) -> None:
    made = [desk.draw() for _ in range(3)]
    page = await desk.walk("listCampaigns", limit="2")
    assert [each["id"] for each in page["campaigns"]] == [to_uuid(each.id) for each in made[:0:-1]]
    rest = await desk.walk("listCampaigns", limit="2", before=page["next"])
    assert ([each["id"] for each in rest["campaigns"]], rest["next"]) == ([to_uuid(made[0].id)], None)
    assert (await desk.call("listCampaigns", status="sent,paused", kind="bulk"))["campaigns"] == []
    for given in ({"status": "lost"}, {"kind": "x"}, {"before": "x"}, {"limit": "0"}, {"colour": "red"}):
        told = await desk.call("listCampaigns", 400, **given)
        assert told["error"]["facts"]["field"] in given


async def test_a_campaign_is_aimed_at_a_segment_and_sent_in_batches(desk: Desk) -> None:
    list_id = fill_list(desk.node.database, desk.node.principal, people(4))
    criteria = segments.parse({"items": [{"field": "email", "op": "starts_with", "value": "r1"}]})
    segment = desk.node.database.write_now(segments.create, desk.node.principal, "Ones", criteria)
    campaign = desk.draw(list_id=list_id)
    changes = {
        "segment_id": to_uuid(segment.id),
        "timing": "optimized",
        "batch_size": 10,
        "batch_delay_s": 1.5,
    }
    told = (await desk.walk("changeCampaign", id=to_uuid(campaign.id), body=changes))["campaign"]
    assert {name: told[name] for name in changes} == changes
    assert told["list_id"] == to_uuid(list_id)
    assert (await start(desk.node, campaign)).total == 1
    await desk.call("changeCampaign", 409, id=to_uuid(campaign.id), body={"batch_size": 1})


@SQLITE
async def test_what_a_change_names_must_be_there(desk: Desk) -> None:
    campaign_id = to_uuid(desk.draw().id)
    for body in (
        {"list_id": to_uuid(new_id())}, {"segment_id": "x"}, {"timing": "whenever"}, {"timezone": "Mars"},
        {"batch_size": 0}, {"batch_delay_s": -1}, {"batch_delay_s": 1e9},
    ):  # fmt: skip
        told = await desk.call("changeCampaign", 400, id=campaign_id, body=body)
        assert told["error"]["code"] == "invalid", told


async def test_variants_are_set_shown_and_chosen_by_hand(desk: Desk) -> None:
    list_id = fill_list(desk.node.database, desk.node.principal, people(40))
    campaign = desk.draw(list_id=list_id, subject="Good")
    campaign_id = to_uuid(campaign.id)
    told = (await desk.walk("setSplitTest", id=campaign_id, body=SPLIT))["campaign"]
    assert [(each["number"], each["name"], each["subject"]) for each in told["variants"]] == [
        (1, "A", "Good"), (2, "B", "Better"),
    ]  # fmt: skip
    assert (await desk.walk("removeSplitTest", id=campaign_id))["campaign"]["variants"] == []
    await desk.walk("setSplitTest", id=campaign_id, body=SPLIT)
    await desk.call("chooseWinner", 409, id=campaign_id, body={"variant": 2})
    await start(desk.node, campaign)
    await desk.call("chooseWinner", 400, id=campaign_id, body={"variant": 3})
    assert (await desk.walk("chooseWinner", id=campaign_id, body={"variant": 2}))["campaign"]["winner"] == 2
    await desk.call("chooseWinner", 409, id=campaign_id, body={"variant": 1})
    for body in ({**SPLIT, "percent": 0}, {**SPLIT, "variants": []}, {**SPLIT, "decided_by": "luck"}):
        await desk.call("setSplitTest", 400, id=campaign_id, body=body)


async def test_it_is_paused_let_go_on_and_called_off(desk: Desk) -> None:
    list_id = fill_list(desk.node.database, desk.node.principal, people(3))
    campaign = desk.draw(list_id=list_id, batch_size=1, batch_delay_s=600.0)
    campaign_id = to_uuid(campaign.id)
    for act in ("pauseCampaign", "resumeCampaign", "unscheduleCampaign"):
        await desk.call(act, 409, id=campaign_id)
    at = clock.now_ms() + clock.HOUR
    desk.node.database.write_now(campaigns.schedule_campaign, desk.node.principal, campaign.id, at=at)
    assert (await desk.walk("unscheduleCampaign", id=campaign_id))["campaign"]["status"] == "draft"
    await start(desk.node, campaign)
    assert (await desk.walk("pauseCampaign", id=campaign_id))["campaign"]["status"] == "paused"
    assert (await desk.walk("resumeCampaign", id=campaign_id))["campaign"]["status"] == "sending"
    await until(lambda: look(desk.node.database, campaign).accepted == 3, "all made")
    assert (await desk.walk("cancelCampaign", id=campaign_id))["campaign"]["status"] == "cancelled"
    await desk.call("cancelCampaign", 409, id=campaign_id)


@SQLITE
async def test_another_organization_finds_nothing(desk: Desk) -> None:
    other = make_account(desk.node.database, desk.node.sealer, email="other@example.test").keys["console"]
    campaign_id = to_uuid(desk.draw().id)
    bodies: dict[str, Json] = {"changeCampaign": {}, "setSplitTest": SPLIT, "chooseWinner": {"variant": 1}}
    for name in (
        "getCampaign", "changeCampaign", "setSplitTest", "removeSplitTest", "chooseWinner", "pauseCampaign",
        "resumeCampaign", "cancelCampaign", "unscheduleCampaign",
    ):  # fmt: skip
        await desk.call(name, 404, key=other, id=campaign_id, body=bodies.get(name))
        await desk.call(name, 404, id=to_uuid(new_id()), body=bodies.get(name))
        await desk.call(name, 401, key="pr_live_wrong", id=campaign_id, body=bodies.get(name))
    assert (await desk.call("listCampaigns", key=other))["campaigns"] == []
