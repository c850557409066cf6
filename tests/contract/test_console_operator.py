"""Streams, alerts and the look of an organization through the console, against its contract."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.console_client import Client, Json
from tests.factories import Running, make_account

from postrider.engine import accounts
from postrider.engine.accounts import Brand
from postrider.engine.audience import lists
from postrider.engine.errors import Invalid
from postrider.engine.messages import Stream, queue
from postrider.engine.notices import alerts
from postrider.engine.notices.alerts import AlertKind, Look, Sight
from postrider.engine.principal import Principal
from postrider.kit.ids import new_id, to_uuid

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
STUCK = Look(AlertKind.QUEUE_STUCK, (Sight("relay", {"due_since": "now"}), Sight("mx:a.test", {})))


class Desk(Client):
    """Who runs an installation, and what happens there."""

    def pause(self, stream: Stream) -> None:
        organization_id = self.node.account.organization_id
        self.node.database.write_now(queue.pause_stream, organization_id, stream, "complaints")

    def look(self, *looks: Look) -> None:
        self.node.database.write_now(alerts.settle, self.node.node.installation.letterhead, looks)

    def other(self) -> str:
        """A key of another organization."""
        return make_account(self.node.database, self.node.sealer, email="other@example.test").keys["console"]


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Desk(node, http)


async def test_a_paused_stream_is_seen_and_resumed(desk: Desk) -> None:
    desk.pause(Stream.BROADCAST)
    streams = {each["stream"]: each for each in (await desk.walk("listStreams"))["streams"]}
    assert list(streams) == ["transactional", "shared", "broadcast"]
    assert (streams["broadcast"]["paused"], streams["broadcast"]["reason"]) == (True, "complaints")
    assert streams["broadcast"]["paused_at"]
    assert (streams["shared"]["paused"], streams["shared"]["reason"]) == (False, None)
    told = await desk.walk("resumeStream", stream="broadcast")
    assert told["stream"] == {"stream": "broadcast", "paused": False, "reason": None, "paused_at": None}
    assert not any(each["paused"] for each in (await desk.walk("listStreams"))["streams"])
    await desk.call("resumeStream", 409, stream="broadcast")
    await desk.call("resumeStream", 404, stream="nothing")


@SQLITE
async def test_a_lane_of_a_paused_stream_says_so_and_is_not_resumed_alone(desk: Desk) -> None:
    organization_id = desk.node.account.organization_id
    place = queue.Place(organization_id, Stream.SHARED, "capture")
    desk.node.database.write_now(queue.add_lanes, [place], lambda _: 1)
    desk.pause(Stream.SHARED)
    (site,) = (await desk.walk("listQueues"))["sites"]
    lane = site["lanes"][0]
    assert (lane["paused"], lane["paused_with_stream"]) == (True, True)
    assert (await desk.walk("resumeLane", id=str(lane["id"])))["lane"]["paused"]
    await desk.walk("resumeStream", stream="shared")
    (site,) = (await desk.walk("listQueues"))["sites"]
    assert (site["lanes"][0]["paused"], site["lanes"][0]["paused_with_stream"]) == (False, False)


@SQLITE
async def test_another_organizations_streams_are_not_touched(desk: Desk) -> None:
    desk.pause(Stream.SHARED)
    other = desk.other()
    assert not any(each["paused"] for each in (await desk.walk("listStreams", key=other))["streams"])
    await desk.call("resumeStream", 409, key=other, stream="shared")
    assert any(each["paused"] for each in (await desk.walk("listStreams"))["streams"])


async def test_alerts_are_listed_newest_first_in_pages(desk: Desk) -> None:
    desk.look(STUCK)
    desk.look(Look(AlertKind.QUEUE_STUCK, STUCK.sights[:1]))
    found = (await desk.walk("listAlerts"))["alerts"]
    assert [(each["subject"], each["state"]) for each in found] == [
        ("mx:a.test", "cleared"),
        ("relay", "open"),
    ]
    assert (found[1]["facts"], found[1]["scope"], found[1]["cleared_at"]) == (
        {"due_since": "now"},
        None,
        None,
    )
    assert found[0]["cleared_at"]
    assert [each["subject"] for each in (await desk.walk("listAlerts", state="open"))["alerts"]] == ["relay"]
    page = await desk.walk("listAlerts", limit="1")
    assert page["next"] == page["alerts"][0]["id"]
    rest = await desk.walk("listAlerts", limit="1", before=page["next"])
    assert [each["subject"] for each in rest["alerts"]] == ["relay"]


@SQLITE
async def test_bad_parameters_and_strangers_are_refused(desk: Desk) -> None:
    for field, value in (("state", "maybe"), ("limit", "0"), ("before", "x"), ("kind", "x")):
        given: Json = {field: value}
        told = await desk.call("listAlerts", 400, **given)
        assert told["error"]["facts"]["field"] == field
    await desk.call("listAlerts", 403, key=desk.other())
    for name in ("listStreams", "resumeStream", "listAlerts", "getOrganization", "changeOrganization"):
        await desk.call(name, 401, key="pr_live_wrong", stream="shared", body={"brand": {}})


async def test_the_look_of_public_pages_is_set_and_taken_back(desk: Desk) -> None:
    shown = (await desk.walk("getOrganization"))["organization"]
    assert (shown["name"], shown["kind"], shown["brand"]) == (
        "Example Ltd",
        "live",
        {"name": "", "color": "", "postal_address": ""},
    )
    brand = {"name": " Bäckerei ", "color": "#A0B1C2"}
    changed = (await desk.walk("changeOrganization", body={"brand": brand}))["organization"]
    assert changed["brand"] == {"name": "Bäckerei", "color": "#a0b1c2", "postal_address": ""}
    await desk.walk("changeOrganization", body={"brand": {"name": ""}})
    kept = (await desk.walk("getOrganization"))["organization"]
    assert kept["brand"] == {"name": "", "color": "#a0b1c2", "postal_address": ""}
    other = (await desk.walk("getOrganization", key=desk.other()))["organization"]
    assert other["brand"] == {"name": "", "color": "", "postal_address": ""}
    assert other["frequency_cap"] == {"count": 0, "days": 7}


async def test_the_postal_address_and_the_cap_are_set_and_kept(desk: Desk) -> None:
    address = {"postal_address": " Bäckerei Süß \r\n\n Marktplatz 1\n12345 Berlin "}
    changed = (await desk.walk("changeOrganization", body={"brand": address}))["organization"]
    assert changed["brand"]["postal_address"] == "Bäckerei Süß\nMarktplatz 1\n12345 Berlin"
    cap = {"count": 3, "days": 14}
    changed = (await desk.walk("changeOrganization", body={"frequency_cap": cap}))["organization"]
    assert changed["frequency_cap"] == cap
    await desk.walk("changeOrganization", body={"frequency_cap": {"count": 0}, "brand": {"name": "B"}})
    kept = (await desk.walk("getOrganization"))["organization"]
    assert kept["frequency_cap"] == {"count": 0, "days": 14}
    assert kept["brand"]["postal_address"] == changed["brand"]["postal_address"]
    taken_back = await desk.walk("changeOrganization", body={"brand": {"postal_address": ""}})
    assert taken_back["organization"]["brand"] == {"name": "B", "color": "", "postal_address": ""}


@SQLITE
@pytest.mark.parametrize(
    "body",
    [
        {}, {"brand": None}, {"frequency_cap": {"count": 101}}, {"frequency_cap": {"count": -1}},
        {"frequency_cap": {"days": 0}}, {"frequency_cap": {"days": 91}}, {"frequency_cap": {"days": "7"}},
        {"frequency_cap": {"count": True}}, {"frequency_cap": 3}, {"brand": {"postal_address": "x" * 301}},
        {"brand": {"postal_address": "a\x07b"}}, {"brand": {"postal_address": "\n".join("abcdefghi")}},
        {"brand": {"postal_address": 7}},
    ],
)  # fmt: skip
async def test_an_address_or_a_cap_beyond_its_limits_is_refused(desk: Desk, body: Any) -> None:
    await desk.call("changeOrganization", 400, body=body)


@SQLITE
async def test_all_that_is_wrong_with_an_organization_is_told_at_once(desk: Desk) -> None:
    wrong = {"brand": {"color": "red", "name": "a\nb"}, "frequency_cap": {"count": 999, "days": 0}}
    told = await desk.call("changeOrganization", 400, body=wrong)
    fields = [fault["field"] for fault in told["error"]["facts"]["faults"]]
    assert fields == ["name", "color", "frequency_cap.count", "frequency_cap.days"]
    kept = (await desk.walk("getOrganization"))["organization"]
    assert (kept["brand"]["name"], kept["frequency_cap"]) == ("", {"count": 0, "days": 7})


@SQLITE
async def test_other_settings_stay_when_the_look_changes(desk: Desk) -> None:
    organization_id, database = desk.node.account.organization_id, desk.node.database
    database.write_now(accounts.change_settings, organization_id, {"inline_css": True})
    await desk.walk("changeOrganization", body={"brand": {"color": "#000000"}})
    organization = database.read_now(accounts.organization, organization_id)
    assert organization is not None
    assert (organization.settings.inline_css, organization.settings.brand_color) == (True, "#000000")


@SQLITE
@pytest.mark.parametrize(
    "brand",
    [
        {"color": "red"}, {"color": "#12345"}, {"color": "#1234567"}, {"color": "#12345g"},
        {"color": "#123456;}"}, {"color": 7}, {"name": "a\nb"}, {"name": "\u202eabc"}, {"name": "x" * 101},
        {"name": 7}, "Shop",
    ],
)  # fmt: skip
async def test_what_cannot_be_shown_is_refused(desk: Desk, brand: Any) -> None:
    await desk.call("changeOrganization", 400, body={"brand": brand})


@SQLITE
async def test_the_engine_itself_refuses_a_colour_that_is_none(desk: Desk) -> None:
    principal = Principal(desk.node.account.organization_id)
    with pytest.raises(Invalid):
        desk.node.database.write_now(accounts.change_brand, principal, Brand(color="url(x)"))


async def test_a_list_is_shown_and_made_public_and_has_a_form_then(desk: Desk) -> None:
    made = [desk.node.database.write_now(lists.create, desk.node.principal, name) for name in ("One", "Two")]
    first = to_uuid(made[0].id)
    await desk.call("getListForm", refused=409, id=first)
    told = await desk.walk("listLists", limit=1)
    assert [each["name"] for each in told["lists"]] == ["One"]
    assert [each["name"] for each in (await desk.walk("listLists", after=told["next"]))["lists"]] == ["Two"]
    assert (await desk.walk("changeList", id=first, body={"is_public": True}))["list"]["is_public"] is True
    assert (await desk.walk("getListForm", id=first))["form"]["list_id"] == first
    assert (await desk.walk("changeList", id=first, body={"is_public": False}))["list"]["is_public"] is False
    for wrong in ({"after": "x"}, {"limit": 0}, {"who": "1"}):
        await desk.call("listLists", refused=400, **wrong)
    await desk.call("changeList", refused=400, id=first, body={"is_public": "perhaps"})
    await desk.call("changeList", refused=400, id=first, body={})
    await desk.call("changeList", refused=404, id=to_uuid(new_id()), body={"is_public": True})
    await desk.call("changeList", refused=401, key="wrong", id=first, body={"is_public": True})


async def test_how_reports_are_made_is_set_and_kept(desk: Desk) -> None:
    shown = (await desk.walk("getOrganization"))["organization"]["reporting"]
    assert shown == {
        "timezone": "UTC", "currency": "USD", "attribution_click_days": 7, "attribution_open_days": 3,
    }  # fmt: skip
    reporting = {"timezone": "Europe/Berlin", "currency": "eur", "attribution_click_days": 0}
    changed = (await desk.walk("changeOrganization", body={"reporting": reporting}))["organization"]
    kept = await desk.walk("changeOrganization", body={"reporting": {"attribution_open_days": 90}})
    assert changed["reporting"] == {**shown, **reporting, "currency": "EUR"}
    assert kept["organization"]["reporting"] == {**changed["reporting"], "attribution_open_days": 90}
    other = (await desk.walk("getOrganization", key=desk.other()))["organization"]
    assert other["reporting"] == shown
    bad = {**shown, "timezone": "Mars/Olympus", "currency": "euro"}
    bad |= {"attribution_click_days": 91, "attribution_open_days": -1}
    told = await desk.call("changeOrganization", 400, body={"reporting": bad})
    fields = [fault["field"] for fault in told["error"]["facts"]["faults"]]
    assert fields == [f"reporting.{name}" for name in shown]
    assert (await desk.walk("getOrganization"))["organization"] == kept["organization"]
