"""Contacts and tags against their contract: kept, found, imported, tagged, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account

from postrider.engine import journal, suppression
from postrider.engine.audience import contacts as engine
from postrider.engine.audience import segments
from postrider.engine.audience.model import ContactInput, Status
from postrider.engine.suppression import Class, New, Reason
from postrider.kit import clock
from postrider.kit.ids import from_uuid
from postrider.surfaces.mailerlogic import contacts, tags

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("mailerlogic")
OPERATIONS = {operation.id: operation for operation in (*contacts.OPERATIONS, *tags.OPERATIONS)}
NOWHERE = "00000000-0000-4000-8000-000000000000"
ANN = {
    "email": "Ann@Example.com", "first_name": "Ann", "last_name": "Lee", "company": "Acme", "phone": "+33 1",
    "city": "Paris", "country": "FR", "source": "fair", "tags": ["vip", "beta"],
    "custom_properties": {"plan": "pro", "seats": 3},
}  # fmt: skip
Json = dict[str, Any]


class Desk:
    """The operations as one account uses them."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http

    async def call(self, name: str, *, body: Any = None, **given: Any) -> httpx2.Response:
        """`given` fills the path, then the query."""
        operation = OPERATIONS[name]
        path = operation.paths[0]
        query = {field: value for field, value in given.items() if f"{{{field}}}" not in path}
        filled = path.format(**{field: quote(str(value), safe="") for field, value in given.items()})
        return await self.http.request(operation.method, filled, params=query, json=body)

    async def done(self, name: str, **given: Any) -> Json:
        """The answer, as the contract has it: status and keys."""
        answer = await self.call(name, **given)
        assert answer.status_code == CONTRACT[name].status, answer.text
        body: Json = answer.json()
        assert not missing_keys(body, [key for key in CONTRACT[name].keys if "[]" not in key]), answer.text
        return body

    async def refused(self, status: int, name: str, /, **given: Any) -> Json:
        answer = await self.call(name, **given)
        assert answer.status_code == status, answer.text
        body: Json = answer.json()
        assert body["error"]
        return body

    async def make(self, email: str, **said: Any) -> str:
        body = await self.done("createContact", body={"email": email, **said})
        contact_id: str = body["contact"]["id"]
        return contact_id

    async def found(self, **query: Any) -> list[str]:
        body = await self.done("listContacts", **query)
        assert body["pagination"]["total"] >= len(body["contacts"])
        return [each["email"].partition("@")[0] for each in body["contacts"]]

    async def counts(self) -> dict[str, int]:
        return {tag["name"]: tag["contact_count"] for tag in (await self.done("listTags"))["tags"]}


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with client_of(node, node.account.keys["mailerlogic"]) as http:
        yield Desk(node, http)


def client_of(node: Running, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers={"X-API-Key": key})


async def test_every_operation_answers_with_the_keys_of_its_contract(desk: Desk) -> None:
    made = (await desk.done("createContact", body=ANN))["contact"]
    ben = await desk.make("ben@example.com", tags=["vip"])
    principal, db = desk.node.principal, desk.node.database
    segment = await db.write(lambda tx: segments.create(tx, principal, "VIP", None))
    await db.write(segments.add, principal, segment.id, [from_uuid(made["id"]) or b""])
    assert {**made, **ANN, "email": "Ann@example.com", "tags": ["beta", "vip"]} == made
    assert (made["name"], made["status"], made["engagement_score"]) == ("Ann Lee", "subscribed", 0)
    shown = (await desk.done("getContact", id=made["id"].upper()))["contact"]
    assert [each["name"] for each in shown.pop("segments")] == ["VIP"]
    assert shown == made
    body = await desk.done("listContacts")
    assert not missing_keys(body, CONTRACT["listContacts"].keys), body
    assert body["pagination"] == {"page": 1, "limit": 50, "total": 2, "pages": 1}
    assert not missing_keys(await desk.done("listTags"), CONTRACT["listTags"].keys)
    assert await desk.counts() == {"beta": 1, "vip": 2}
    changed = await desk.done("updateContact", id=ben, body={"email": "benno@example.com", "city": "Lyon"})
    assert (changed["contact"]["email"], changed["contact"]["city"]) == ("benno@example.com", "Lyon")
    added = await desk.done("addContactTags", id=ben, body={"tag": "new", "tags": ["a b", "vip"]})
    assert added["tags"] == ["a b", "new", "vip"]
    removed = await desk.done("removeContactTag", id=ben, tagName="a b")
    assert removed["tags"] == ["new", "vip"]
    renamed = await desk.done("renameTag", tagName="vip", body={"new_name": "VIP"})
    assert (renamed["old_name"], renamed["new_name"], renamed["affected_contacts"]) == ("vip", "VIP", 2)
    merged = await desk.done("mergeTags", body={"source_tags": ["new", "beta", "VIP"], "target_tag": "VIP"})
    assert (merged["source_tags"], merged["affected_contacts"]) == (["new", "beta"], 2)
    assert await desk.counts() == {"a b": 0, "VIP": 2}
    rows = [{"email": "cid@example.com", "tags": "vip, beta"}, {"email": "bad"}, {"email": "cid@example.com"}]
    imported = await desk.done("importContacts", body={"contacts": rows})
    assert imported == {
        "message": "Import finished", "total": 3, "created": 1, "updated": 0, "skipped": 1,
        "errors": [{"index": 1, "email": "bad", "error": "Invalid email address"}],
    }  # fmt: skip
    await desk.done("deleteContact", id=ben)
    await desk.refused(404, "getContact", id=ben)
    async with asyncio.timeout(20):
        while await db.read(journal.tail_length, 1):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await db.read(journal.parked_count) == 0, "every follower takes the events of contacts"


async def test_an_address_is_one_contact(desk: Desk) -> None:
    ann, ben = await desk.make("ann@example.com"), await desk.make("Ben <ben@example.com>")
    assert (await desk.refused(409, "createContact", body={"email": "ANN@example.com"}))[
        "error"
    ] == "conflict"
    await desk.refused(409, "updateContact", id=ben, body={"email": "ann@EXAMPLE.com"})
    assert (await desk.done("updateContact", id=ann, body={"email": "Ann@example.com"}))["contact"][
        "email"
    ] == "Ann@example.com"


@SQLITE
async def test_an_update_changes_what_is_said_and_no_tags(desk: Desk) -> None:
    ann = (await desk.done("createContact", body=ANN))["contact"]["id"]
    body = {
        "first_name": "Anne", "city": None, "tags": ["no"],
        "custom_properties": {"plan": None, "color": "red"},
    }  # fmt: skip
    changed = (await desk.done("updateContact", id=ann, body=body))["contact"]
    assert (changed["first_name"], changed["last_name"], changed["city"]) == ("Anne", "Lee", None)
    assert changed["custom_properties"] == {"seats": 3, "color": "red"}
    assert changed["tags"] == ["beta", "vip"]
    same = (await desk.done("updateContact", id=ann, body={}))["contact"]
    assert same == changed
    named = (await desk.done("updateContact", id=ann, body={"name": "Eve van Dam"}))["contact"]
    assert (named["first_name"], named["last_name"]) == ("Eve", "van Dam")


async def test_who_is_unsubscribed_here_is_refused_and_listed_so(desk: Desk) -> None:
    await desk.make("out@example.com", status="unsubscribed")
    ann = await desk.make("ann@example.com", status="active")
    mail = {"subject": "Hello", "text": "Hello"}
    for email in ("out@example.com", "ann@example.com"):
        if email.startswith("ann"):
            await desk.done("updateContact", id=ann, body={"status": "unsubscribed"})
        told = (await desk.http.post("/api/v1/send", json={"to": email, **mail})).json()
        assert told["error"] == "recipient_unsubscribed"
    still = await desk.done("updateContact", id=ann, body={"status": "subscribed"})
    assert still["contact"]["status"] == "unsubscribed", "only who keeps the list takes an opt-out back"


@SQLITE
async def test_the_list_is_narrowed_sorted_and_paged(desk: Desk) -> None:
    db, principal = desk.node.database, desk.node.principal
    gone = New(address_key="dot@example.com", class_=Class.BLOCK, reason=Reason.HARD_BOUNCE)
    await db.write(suppression.put, principal, gone)
    await desk.make("ann@example.com", first_name="Zoë", tags=["vip"])
    await desk.make("cid@example.org", source="fair", tags=["vip"])
    await desk.make("ben@example.com")
    await desk.make("dot@example.com")
    await db.write(
        lambda tx: engine.create(
            tx, principal, ContactInput(email="eve@example.com", status=Status.PENDING), source="form"
        )
    )
    assert await desk.found() == ["eve", "dot", "ben", "cid", "ann"]
    assert await desk.found(sort="email", order="asc") == ["ann", "ben", "cid", "dot", "eve"]
    assert await desk.found(sort="engagement_score") == ["eve", "dot", "ben", "cid", "ann"]
    assert await desk.found(status="active") == await desk.found(status="subscribed") == ["ben", "cid", "ann"]
    assert await desk.found(status="bounced") == ["dot"]
    assert await desk.found(status="unsubscribed") == ["eve"], "who has not confirmed is not mailed"
    assert await desk.found(status="complained") == []
    assert await desk.found(search="ZOË") == ["ann"]
    assert await desk.found(search="example.org") == ["cid"]
    assert await desk.found(tag="vip", search="example.com") == ["ann"]
    assert await desk.found(tag="VIP") == []
    assert await desk.found(source="fair") == ["cid"]
    hour_ago = clock.to_iso(clock.now_ms() - clock.HOUR)
    assert (await desk.found(to_date=hour_ago), len(await desk.found(from_date=hour_ago))) == ([], 5)
    page = await desk.done("listContacts", page=2, limit=2)
    assert [each["email"][:3] for each in page["contacts"]] == ["ben", "cid"]
    assert page["pagination"] == {"page": 2, "limit": 2, "total": 5, "pages": 3}
    for field, value in (
        ("page", "0"), ("limit", "1001"), ("status", "pending"), ("sort", "first_name"), ("order", "up"),
        ("search", "x" * 255), ("search", "a\0"),
    ):  # fmt: skip
        told = await desk.refused(400, "listContacts", **{field: value})
        assert [each["field"] for each in told["errors"]] == [field], (field, value)


async def test_an_import_keeps_the_good_rows_and_names_the_bad_ones(desk: Desk) -> None:
    await desk.make("known@example.com", city="Rome")
    rows: list[Any] = [
        {"email": f"user{number}@example.com", "name": f"User {number}"} for number in range(600)
    ]
    rows += [
        {"email": "known@example.com", "city": "Oslo", "tags": ["late"]},
        {"email": "a@example.com", "custom_properties": {"": 1}},
        {"email": 7},
        "no object",
        {"email": "b@example.com", "status": "asleep"},
        {"city": "Oslo"},
    ]
    skipped = await desk.done("importContacts", body={"contacts": rows})
    assert (skipped["created"], skipped["updated"], skipped["skipped"]) == (600, 0, 1)
    assert [error["index"] for error in skipped["errors"]] == [601, 602, 603, 604, 605]
    assert "custom_properties." in skipped["errors"][0]["error"]
    again = await desk.done("importContacts", body={"contacts": rows, "on_conflict": "update"})
    assert (again["created"], again["updated"], again["skipped"]) == (0, 601, 0)
    (known,) = (await desk.done("listContacts", search="known@"))["contacts"]
    assert (known["city"], known["tags"], known["source"]) == ("Oslo", ["late"], "api")
    assert (await desk.done("listContacts"))["pagination"]["total"] == 601


@SQLITE
async def test_bad_bodies_are_told_apart(desk: Desk) -> None:
    ann = await desk.make("ann@example.com")
    body: Json
    for body, field in (
        ({}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@example.com", "city": 7}, "city"),
        ({"email": "a@example.com", "city": "a\nb"}, "city"),
        ({"email": "a@example.com", "city": "x" * 201}, "city"),
        ({"email": "a@example.com", "first_name": "a\0"}, "first_name"),
        ({"email": "a@example.com", "status": "pending"}, "status"),
        ({"email": "a@example.com", "tags": [7]}, "tags.0"),
        ({"email": "a@example.com", "tags": [" "]}, "tags"),
        ({"email": "a@example.com", "custom_properties": ["list"]}, "custom_properties"),
        ({"email": "a@example.com", "custom_properties": {"a": "x" * 10_001}}, "custom_properties.a"),
    ):
        told = await desk.refused(400, "createContact", body=body)
        assert [each["field"] for each in told["errors"]] == [field], (body, told)
    assert (await desk.refused(400, "createContact", body={"email": "x"}))["error"] == "Invalid email address"
    await desk.refused(400, "updateContact", id=ann, body={"email": None, "city": "a\nb"})
    for rows in ([], [{"email": "a@example.com"}] * 10_001, "text"):
        await desk.refused(400, "importContacts", body={"contacts": rows})
    await desk.refused(400, "importContacts", body={"contacts": [{}], "on_conflict": "maybe"})
    for body in ({}, {"tags": []}, {"tag": ""}, {"tags": ["x" * 101]}, {"tag": "a\nb"}):
        await desk.refused(400, "addContactTags", id=ann, body=body)
    await desk.done("addContactTags", id=ann, body={"tags": "one, two"})
    for body in ({}, {"new_name": " "}, {"new_name": 7}):
        await desk.refused(400, "renameTag", tagName="one", body=body)
    await desk.refused(409, "renameTag", tagName="one", body={"new_name": "two"})
    await desk.refused(404, "renameTag", tagName="never", body={"new_name": "two"})
    for body in ({}, {"source_tags": [], "target_tag": "a"}, {"source_tags": ["one"], "target_tag": ""}):
        await desk.refused(400, "mergeTags", body=body)
    await desk.refused(404, "removeContactTag", id=ann, tagName="never")
    for contact_id in (NOWHERE, "seven"):
        for name in ("getContact", "updateContact", "deleteContact", "addContactTags", "removeContactTag"):
            await desk.refused(404, name, id=contact_id, tagName="one", body={"tag": "one"})
    assert await desk.found() == ["ann"]


@SQLITE
async def test_without_a_key_nothing_is_told(desk: Desk) -> None:
    desk.http.headers["X-API-Key"] = "ml_live_" + "0" * 64
    for name in OPERATIONS:
        told = await desk.refused(401, name, body={}, id=NOWHERE, tagName="vip")
        assert told["error"] == "Unauthorized"


@SQLITE
async def test_another_accounts_contacts_and_tags_are_neither_seen_nor_touched(desk: Desk) -> None:
    ann = (await desk.done("createContact", body=ANN))["contact"]["id"]
    stranger = make_account(desk.node.database, desk.node.sealer, email="stranger@example.test")
    async with client_of(desk.node, stranger.keys["mailerlogic"]) as http:
        strange = Desk(desk.node, http)
        assert (await strange.found(), await strange.counts()) == ([], {})
        assert await strange.found(search="ann") == await strange.found(tag="vip") == []
        merged = await strange.done("mergeTags", body={"source_tags": ["vip"], "target_tag": "mine"})
        assert merged["affected_contacts"] == 0
        await strange.refused(404, "renameTag", tagName="vip", body={"new_name": "mine"})
        await strange.refused(404, "updateContact", id=ann, body={"city": "Oslo"})
        assert await strange.make("ann@example.com") != ann
    assert (await desk.done("getContact", id=ann))["contact"]["city"] == "Paris"
    assert await desk.counts() == {"beta": 1, "vip": 1}
