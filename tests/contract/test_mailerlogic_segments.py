"""Segments against their contract: filters in every spelling, members, and mail to whom they find."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import DOMAIN, Running, make_account

from postrider.engine import messages
from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput, OnKnown, Status
from postrider.engine.messages import Status as MessageStatus
from postrider.kit.ids import new_id, to_uuid
from postrider.surfaces.mailerlogic import segment_mail, segments

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("mailerlogic")
OPERATIONS = {each.id: each for each in (*segments.OPERATIONS, *segment_mail.OPERATIONS)}
NOWHERE = "00000000-0000-4000-8000-000000000000"
VIPS = {"property": "tags", "operator": "in", "value": ["vip"]}
MAIL = {
    "from": f"News <news@{DOMAIN}>",
    "subject": "For {{first_name}}",
    "html": "<p>{{name}} {{plan}} {{promo}}</p>",
}
Json = dict[str, Any]


class Desk:
    """The operations as one account uses them."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http

    async def call(self, name: str, body: Any = None, *, id: str = "", **query: Any) -> httpx2.Response:
        operation = OPERATIONS[name]
        return await self.http.request(
            operation.method, operation.paths[0].format(id=id), params=query, json=body
        )

    async def done(self, name: str, body: Any = None, **given: Any) -> Json:
        """The answer, as the contract has it: status and keys."""
        answer = await self.call(name, body, **given)
        assert answer.status_code == CONTRACT[name].status, answer.text
        told: Json = answer.json()
        assert not missing_keys(told, CONTRACT[name].keys), answer.text
        return told

    async def refused(self, name: str, body: Any = None, status: int = 400, **given: Any) -> str:
        """The field that the refusal names, or its error."""
        answer = await self.call(name, body, **given)
        assert answer.status_code == status, answer.text
        told = answer.json()
        return str(told["errors"][0]["field"]) if "errors" in told else str(told["error"])

    async def contact(self, email: str, **said: Any) -> str:
        given = [ContactInput(email=email, **said)]
        (saved,) = await self.node.database.write(
            lambda tx: contacts.save(tx, self.node.principal, given, on_known=OnKnown.REFUSE, source="api")
        )
        assert saved.contact_id is not None, saved.faults
        return to_uuid(saved.contact_id)

    async def count(self, *filters: Json, **more: Any) -> int:
        told = await self.done("previewSegment", {"filter_conditions": list(filters), **more})
        return int(told["contact_count"])

    async def create(self, *filters: Json, **more: Any) -> Json:
        body = {"name": "VIP", "type": "dynamic", "filter_conditions": list(filters), **more}
        told: Json = (await self.done("createSegment", body))["segment"]
        return told

    async def copies(self, job_id: str, count: int) -> dict[str, Any]:
        """The messages of a segment send by address, once there are so many."""
        campaign_id = bytes.fromhex(job_id.replace("-", ""))
        async with asyncio.timeout(10):
            while True:
                found = await self.node.database.read(
                    messages.search, self.node.account.organization_id, limit=100
                )
                copies = {row.recipient: row for row in found if row.campaign_id == campaign_id}
                if len(copies) >= count:
                    return copies
                await asyncio.sleep(0.02)


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with client_of(node, node.account.keys["mailerlogic"]) as http:
        yield Desk(node, http)


def client_of(node: Running, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers={"X-API-Key": key})


async def fill(desk: Desk) -> list[str]:
    """Three contacts, two of them of importance."""
    return [
        await desk.contact(
            "ann@example.com", first_name="Ann", last_name="Lee", city="Paris", tags=["vip"],
            properties={"plan": "pro", "spent": 120},
        ),
        await desk.contact("bob@example.com", first_name="Bob", tags=["vip", "beta"], city="Rome"),
        await desk.contact("eve@example.com", status=Status.UNSUBSCRIBED, properties={"spent": 7}),
    ]  # fmt: skip


def test_the_methods_and_paths_are_the_contracts() -> None:
    for name, operation in OPERATIONS.items():
        contracted = CONTRACT[name]
        assert (operation.method, operation.paths) == (contracted.method, contracted.paths)
        assert operation.status == contracted.status


async def test_every_operation_answers_with_the_keys_of_its_contract(desk: Desk) -> None:
    ids = await fill(desk)
    first, second = await desk.create(VIPS), await desk.create(VIPS, description="Two", match_type="any")
    assert (first["contact_count"], second["description"]) == (2, "Two")
    told = (await desk.done("listSegments"))["segments"]
    assert [each["id"] for each in told] == [first["id"], second["id"]]
    assert told[0] == (await desk.done("getSegment", id=first["id"]))["segment"]
    shown = await desk.done("getSegment", id=first["id"], include_contacts="true", limit=1, page=2)
    assert [each["email"] for each in shown["contacts"]] == ["bob@example.com"]
    assert shown["pagination"] == {"page": 2, "limit": 1, "total": 2, "pages": 2}
    added = await desk.done("addSegmentContacts", {"contact_ids": [ids[2], NOWHERE]}, id=first["id"])
    assert (added["added"], added["contact_count"], added["not_found"]) == (1, 3, [NOWHERE])
    removed = await desk.done("removeSegmentContacts", {"contact_ids": [ids[0]]}, id=first["id"])
    assert (removed["removed"], removed["contact_count"]) == (1, 2)
    refreshed = await desk.done("refreshSegment", id=first["id"])
    assert (refreshed["added"], refreshed["removed"], refreshed["contact_count"]) == (1, 1, 2)
    await desk.done("deleteSegment", id=first["id"])
    assert await desk.refused("getSegment", id=first["id"], status=404) == "Not found"


async def test_a_dynamic_segment_changes_with_its_filters_at_the_next_refresh(desk: Desk) -> None:
    await fill(desk)
    segment = await desk.create(VIPS)
    new = {"filter_conditions": [{"property": "city", "operator": "equals", "value": "ROME"}]}
    changed = (await desk.done("updateSegment", new, id=segment["id"]))["segment"]
    assert (changed["filter_conditions"], changed["contact_count"]) == (new["filter_conditions"], 2)
    assert (await desk.done("refreshSegment", id=segment["id"]))["contact_count"] == 1
    renamed = (await desk.done("updateSegment", {"name": "Rome"}, id=segment["id"]))["segment"]
    assert (renamed["name"], renamed["filter_conditions"]) == ("Rome", new["filter_conditions"])


@SQLITE
async def test_a_static_segment_has_no_filters(desk: Desk) -> None:
    static = (await desk.done("createSegment", {"name": "By hand", "type": "static"}))["segment"]
    assert (static["filter_conditions"], static["contact_count"]) == (None, 0)
    assert await desk.refused("refreshSegment", id=static["id"]) == "not_allowed"
    given = {"filter_conditions": [VIPS]}
    assert await desk.refused("updateSegment", given, id=static["id"])
    assert (
        await desk.refused("createSegment", {"name": "B", "type": "static", **given}) == "filter_conditions"
    )


@SQLITE
async def test_filters_find_whom_they_say_in_every_spelling(desk: Desk) -> None:
    await fill(desk)
    for expected, filters in (
        (2, [{"property": "status", "operator": "equals", "value": "active"}]),
        (1, [{"property": "status", "operator": "not_equals", "value": "subscribed"}]),
        (2, [{"field": "tags", "operator": "contains", "value": "VI"}]),
        (1, [{"property": "tags_has_all", "operator": "has_all", "value": ["vip", "beta"]}]),
        (2, [{"property": "tags_not", "operator": "not_in", "value": ["beta"]}]),
        (1, [{"property": "custom_properties.spent", "operator": ">=", "value": 100}]),
        (1, [{"property": "custom_properties.spent", "operator": "greater_than", "value": "100"}]),
        (2, [{"property": "custom_properties.spent", "operator": "exists"}]),
        (2, [{"property": "custom_properties.plan", "operator": "is_empty"}]),
        (3, [{"property": "campaign_opened", "operator": "never"}]),
        (0, [{"property": "campaign_sent", "operator": "has_received", "value": NOWHERE}]),
        (3, [{"property": "campaign_clicked", "operator": "less_than", "value": 2, "time_period_days": 30}]),
        (3, [{"property": "opens", "operator": "=", "value": 0}]),
        (3, [{"property": "created_at", "operator": "within_days", "value": 1}]),
        (1, [VIPS, {"property": "city", "operator": "starts_with", "value": "par"}]),
    ):
        assert await desk.count(*filters) == expected, filters
    either = [{"property": "city", "operator": "equals", "value": city} for city in ("Paris", "Rome")]
    assert (await desk.count(*either), await desk.count(*either, match_type="any")) == (0, 2)
    groups = {"filter_groups": [{"match_type": "any", "filters": either}, {"filters": [VIPS]}]}
    assert (await desk.done("previewSegment", groups))["contact_count"] == 2


@SQLITE
async def test_filters_are_told_back_so_that_they_can_be_sent_again(desk: Desk) -> None:
    told: list[Json] = [
        {"property": "campaign_opened", "operator": "has_not_opened", "campaign_ids": [NOWHERE]},
        {
            "property": "campaign_clicked", "operator": "at_least", "value": 3, "time_period_days": 7,
            "link_url": "https://example.com/a", "exclude_scanner": True,
        },
        {"property": "custom_properties.a.b", "operator": ">=", "value": 1.5},
        {"property": "custom_properties.plan", "operator": "equals", "value": "pro"},
        {"property": "custom_properties.spent", "operator": "=", "value": 3},
        {"match_type": "any", "filter_conditions": [VIPS, {"property": "phone", "operator": "is_empty"}]},
        {"property": "created_at", "operator": "before", "value": "2026-01-31"},
    ]  # fmt: skip
    segment = await desk.create(*told)
    assert segment["filter_conditions"] == told
    again = await desk.create(*segment["filter_conditions"])
    assert again["filter_conditions"] == told


REFUSED: list[tuple[Json, str]] = [
    ({}, "filter_conditions"),
    ({"filter_conditions": []}, "filter_conditions"),
    ({"filter_conditions": "all"}, "filter_conditions"),
    ({"filter_conditions": [7]}, "filter_conditions.0"),
    ({"filter_conditions": [VIPS], "match_type": "none"}, "match_type"),
    ({"filter_conditions": [VIPS, {**VIPS, "property": "password"}]}, "filter_conditions.1.property"),
    ({"filter_conditions": [{**VIPS, "property": ["tags"]}]}, "filter_conditions.0.property"),
    ({"filters": [{**VIPS, "operator": "'; DROP TABLE contacts"}]}, "filters.0.operator"),
    ({"filter_conditions": [{**VIPS, "operator": {}}]}, "filter_conditions.0.operator"),
    ({"filter_conditions": [{**VIPS, "value": 7}]}, "filter_conditions.0.value"),
    ({"filter_conditions": [{**VIPS, "property": "tags_not"}]}, "filter_conditions.0.operator"),
    (
        {"filter_conditions": [{"property": "custom_properties.", "operator": "exists"}]},
        "filter_conditions.0.property",
    ),
    (
        {"filter_conditions": [{"property": "campaign_opened", "operator": "at_least"}]},
        "filter_conditions.0.value",
    ),
    (
        {
            "filter_conditions": [VIPS],
            "filter_groups": [{"filters": [VIPS, {**VIPS, "value": []}]}],
        },
        "filter_groups.0.filter_conditions.1.value",
    ),
    ({"filter_conditions": [VIPS] * 21}, "filter_conditions"),
    ({"filter_groups": [{"filters": [VIPS]}] * 11}, "filter_conditions"),
    ({"filter_groups": [{"filters": [VIPS] * 11}] * 10}, "filter_conditions"),
]


@SQLITE
async def test_filters_that_cannot_be_are_refused_where_they_stand(desk: Desk) -> None:
    for body, field in REFUSED:
        assert await desk.refused("previewSegment", body) == field, body
        assert await desk.refused("createSegment", {"name": "A", "type": "dynamic", **body}) == field, body
        inline = {**MAIL, "segment_filters": body}
        assert (await desk.refused("sendSegment", inline)).removeprefix("segment_filters.") == field, body


@SQLITE
async def test_what_is_malformed_is_named(desk: Desk) -> None:
    segment = await desk.create(VIPS)
    for name, body, field in (
        ("createSegment", {"type": "static"}, "name"),
        ("createSegment", {"name": "A", "type": "both"}, "type"),
        ("createSegment", {"name": " ", "type": "static"}, "name"),
        ("updateSegment", {"name": 7}, "name"),
        ("updateSegment", {"filter_conditions": [{}]}, "filter_conditions.0.property"),
        ("addSegmentContacts", {"contact_ids": []}, "contact_ids"),
        ("addSegmentContacts", {"contact_ids": ["ann"]}, "contact_ids.0"),
        ("removeSegmentContacts", {"contact_ids": [segment["id"]] * 1_001}, "contact_ids"),
    ):
        assert await desk.refused(name, body, id=segment["id"]) == field


@SQLITE
async def test_another_accounts_segments_and_contacts_are_not_found(desk: Desk, node: Running) -> None:
    ids = await fill(desk)
    theirs = await desk.create(VIPS)
    stranger = make_account(node.database, node.sealer, email="stranger@example.test")
    async with client_of(node, stranger.keys["mailerlogic"]) as http:
        strange = Desk(node, http)
        for name, body in (
            ("getSegment", None),
            ("updateSegment", {"name": "Mine"}),
            ("refreshSegment", None),
            ("addSegmentContacts", {"contact_ids": ids}),
            ("removeSegmentContacts", {"contact_ids": ids}),
            ("deleteSegment", None),
        ):
            assert await strange.refused(name, body, id=theirs["id"], status=404) == "Not found"
        assert await strange.refused("sendSegment", {**MAIL, "segment_id": theirs["id"]}, 404) == "Not found"
        assert (await strange.call("listSegments")).json() == {"segments": []}
        assert await strange.count({"property": "status", "operator": "equals", "value": "active"}) == 0
        own = (await strange.done("createSegment", {"name": "Own", "type": "static"}))["segment"]
        added = await strange.done("addSegmentContacts", {"contact_ids": ids}, id=own["id"])
        assert (added["added"], added["not_found"]) == (0, ids)


async def test_a_segment_is_sent_to_whoever_is_subscribed(desk: Desk) -> None:
    await fill(desk)
    everybody = {"property": "email", "operator": "ends_with", "value": "@example.com"}
    body = {**MAIL, "segment_filters": {"filter_conditions": [everybody]}}
    told = await desk.done("sendSegment", {**body, "account_merge_fields": {"promo": "SAVE20", "unused": 1}})
    assert told["total_recipients"] == 2
    copies = await desk.copies(told["job_id"], 2)
    assert set(copies) == {"ann@example.com", "bob@example.com"}
    ann = copies["ann@example.com"]
    assert ann.vars == {"first_name": "Ann", "name": "Ann Lee", "plan": "pro", "promo": "SAVE20"}
    assert messages.Stream(ann.stream) is messages.Stream.BROADCAST


@SQLITE
async def test_a_saved_segment_is_sent_to_its_members_or_to_whom_it_finds(desk: Desk) -> None:
    ids = await fill(desk)
    static = (await desk.done("createSegment", {"name": "By hand", "type": "static"}))["segment"]
    await desk.done("addSegmentContacts", {"contact_ids": ids[1:]}, id=static["id"])
    told = await desk.done("sendSegment", {**MAIL, "segment_id": static["id"]})
    assert (told["segment_id"], told["total_recipients"]) == (static["id"], 1)
    assert set(await desk.copies(told["job_id"], 1)) == {"bob@example.com"}
    dynamic = await desk.create({"property": "tags", "operator": "in", "value": ["new"]})
    await desk.contact("new@example.com", tags=["new"])
    told = await desk.done("sendSegment", {**MAIL, "segment_id": dynamic["id"]})
    assert set(await desk.copies(told["job_id"], 1)) == {"new@example.com"}


@SQLITE
async def test_an_opt_out_of_one_domain_is_kept_as_suppressed(desk: Desk) -> None:
    await fill(desk)
    domain_id = to_uuid(desk.node.domain.id)
    optout = {"email": "bob@example.com", "domain_id": domain_id}
    assert (await desk.http.post("/api/v1/customer/unsubscribes", json=optout)).status_code == 201
    told = await desk.done("sendSegment", {**MAIL, "segment_filters": {"filters": [VIPS]}})
    copies = await desk.copies(told["job_id"], 2)
    assert copies["bob@example.com"].status == MessageStatus.SUPPRESSED
    assert copies["ann@example.com"].status != MessageStatus.SUPPRESSED


@SQLITE
async def test_the_same_request_under_a_key_is_sent_once(desk: Desk) -> None:
    await fill(desk)
    body = {**MAIL, "segment_filters": {"filters": [VIPS]}}
    key = {"Idempotency-Key": new_id().hex()}
    first, again = [
        (await desk.http.post("/api/v1/send-segment", json=body, headers=key)).json() for _ in range(2)
    ]
    assert first["job_id"] == again["job_id"]
    other = await desk.http.post("/api/v1/send-segment", json={**body, "tag": "x"}, headers=key)
    assert other.status_code == 409


@SQLITE
async def test_a_segment_send_needs_whom_and_what(desk: Desk) -> None:
    inline = {"segment_filters": {"filters": [VIPS]}}
    for body, field in (
        (MAIL, "body"),
        ({**MAIL, **inline, "segment_id": NOWHERE}, "body"),
        ({**inline, "subject": "Hi"}, "text"),
        ({**MAIL, **inline, "html": "{% if %}"}, "html"),
        ({**MAIL, **inline, "unengaged_days": 0}, "unengaged_days"),
        ({**MAIL, **inline, "account_merge_fields": {"a": "x" * 17_000}}, "account_merge_fields"),
        ({**MAIL, **inline, "exclude_unengaged": True, "stream_type": "transactional"}, "exclude_unengaged"),
    ):
        assert await desk.refused("sendSegment", body) == field, body
    assert await desk.refused("sendSegment", {**MAIL, "segment_id": NOWHERE}, 404) == "Not found"
    assert await desk.refused("sendSegment", {**MAIL, **inline, "from": "a@not.ours"}, 403)
    none = await desk.done("sendSegment", {**MAIL, **inline, "exclude_unengaged": True})
    assert none["total_recipients"] == 0


@SQLITE
async def test_a_credential_is_needed(desk: Desk) -> None:
    for operation in OPERATIONS.values():
        answer = await desk.http.request(
            operation.method,
            operation.paths[0].format(id=NOWHERE),
            headers={"X-API-Key": "ml_live_" + "0" * 64},
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized")
