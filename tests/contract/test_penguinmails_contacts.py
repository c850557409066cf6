"""Contacts against their contract: kept with their consent and stage, found, taken in by the thousand."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.test_penguinmails import client_of, login, refused
from tests.factories import Running, make_account

from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput
from postrider.kit import clock
from postrider.kit.ids import new_id
from postrider.surfaces.penguinmails.ids import CONTACT, to_id

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
ALL, BULK = "/api/v1/contacts", "/api/v1/contacts/bulk-import"
FLAGS = {"email_marketing", "sms_marketing", "tracking", "third_party_sharing"}
Json = dict[str, Any]


class Desk:
    """The operations as one account uses them."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http

    async def done(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        answer = await self.http.request(method, path, json=body, params=query)
        assert answer.status_code in (200, 201), (path, body, answer.text)
        return answer.json()["data"]

    async def make(self, email: str, **said: Any) -> Json:
        made: Json = await self.done("POST", ALL, {"email": email, **said})
        return made

    async def found(self, **query: str) -> list[str]:
        return [each["email"].partition("@")[0] for each in await self.done("GET", ALL, **query)]

    async def refused(self, code: str, method: str, path: str, body: Any = None) -> list[str]:
        answer = await self.http.request(method, path, json=body)
        assert refused(answer)[1] == code, (path, body, answer.text)
        return [each["field"] for each in answer.json()["error"]["details"]]


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with client_of(node, (await login(node))["access_token"]) as http:
        yield Desk(node, http)


async def test_a_contact_is_kept_as_it_was_said(desk: Desk) -> None:
    made = await desk.make(
        "NewContact@Example.com", first_name="Jane", last_name="", company="Example Corp",
        tags=["prospect", "tech_interested"], lifecycle_stage="lead",
        custom_fields={"lead_score": 85, "last_purchase": "2025-11-15", "nothing": None},
        consent={
            "email_marketing": True, "tracking": True, "date_given": "2025-12-01T10:00:00+01:00",
            "ip_address": "192.0.2.1", "user_agent": "Mozilla/5.0",
        },
    )  # fmt: skip
    assert made["consent"] == {
        "email_marketing": True, "sms_marketing": False, "tracking": True, "third_party_sharing": False,
        "date_given": "2025-12-01T09:00:00Z", "ip_address": "192.0.2.1", "user_agent": "Mozilla/5.0",
    }  # fmt: skip
    assert made["email"] == "newcontact@example.com", "addresses are kept in lower case"
    assert (made["first_name"], made["last_name"], made["company"]) == ("Jane", None, "Example Corp")
    assert made["tags"] == ["prospect", "tech_interested"]
    assert made["custom_fields"] == {"lead_score": 85, "last_purchase": "2025-11-15"}
    assert (made["lifecycle_stage"], made["engagement_score"]) == ("lead", 0)
    assert made["last_activity"] is None
    assert await desk.done("GET", f"{ALL}/{made['id']}") == made
    assert (
        await desk.refused("RESOURCE_ALREADY_EXISTS", "POST", ALL, {"email": "NEWCONTACT@example.com"}) == []
    )


@SQLITE
async def test_what_nobody_said_has_the_defaults(desk: Desk) -> None:
    made = await desk.make("ann@example.com", name="Ann van der Lee", tags=None)
    assert (made["first_name"], made["last_name"]) == ("Ann", "van der Lee")
    assert (made["tags"], made["custom_fields"], made["lifecycle_stage"]) == ([], {}, "subscriber")
    assert {name for name, value in made["consent"].items() if value is False} == FLAGS
    assert made["consent"]["date_given"] == made["created_at"]
    assert (await desk.make("ben@example.com", first_name="Ben", name="No One"))["last_name"] is None


async def test_an_update_merges_what_is_said(desk: Desk) -> None:
    made = await desk.make(
        "ann@example.com", first_name="Ann", company="Acme", tags=["a", "b"], custom_fields={"x": 1, "y": 2},
        consent={"email_marketing": True, "date_given": "2025-01-01"},
    )  # fmt: skip
    path = f"{ALL}/{made['id']}"
    body = {
        "tags": ["b", "vip"], "lifecycle_stage": "customer", "custom_fields": {"x": None, "z": {"deep": [1]}},
        "consent": {"tracking": True}, "company": "", "first_name": None,
    }  # fmt: skip
    changed = await desk.done("PUT", path, body)
    assert (changed["tags"], changed["lifecycle_stage"]) == (["b", "vip"], "customer")
    assert changed["custom_fields"] == {"y": 2, "z": {"deep": [1]}}
    assert (changed["first_name"], changed["company"]) == ("Ann", None)
    consent = changed["consent"]
    assert (consent["email_marketing"], consent["tracking"]) == (True, True)
    assert consent["date_given"] > "2025-01-01T00:00:00Z", "what changes a flag was said now"
    same = await desk.done("PATCH", path, {"consent": {"tracking": True}})
    assert same["consent"] == consent
    dated = await desk.done(
        "PATCH", path, {"consent": {"tracking": False, "date_given": "2025-06-01T00:00Z"}}
    )
    assert dated["consent"] == {**consent, "tracking": False, "date_given": "2025-06-01T00:00:00Z"}
    moved = await desk.done("PATCH", path, {"email": "Anne@Example.com"})
    assert moved["email"] == "anne@example.com"
    await desk.make("ben@example.com")
    await desk.refused("RESOURCE_ALREADY_EXISTS", "PUT", path, {"email": "BEN@example.com"})
    assert await desk.done("DELETE", path) == {"id": made["id"], "deleted": True}
    await desk.refused("RESOURCE_NOT_FOUND", "GET", path)


async def test_contacts_are_narrowed_sorted_and_paged(desk: Desk) -> None:
    await desk.make("dot@example.com", tags=["prospect"], lifecycle_stage="subscriber")
    await desk.make("ann@example.org", first_name="Zoë", tags=["prospect", "beta"], lifecycle_stage="lead")
    ben = await desk.make("ben@example.com")
    await desk.make("cid@example.com", lifecycle_stage="customer")
    await desk.done("PATCH", f"{ALL}/{ben['id']}", {"last_name": "Updated"})
    assert await desk.found() == ["cid", "ben", "ann", "dot"]
    assert await desk.found(order="asc") == ["dot", "ann", "ben", "cid"]
    assert await desk.found(sort="email", order="asc") == ["ann", "ben", "cid", "dot"]
    assert (await desk.found(sort="updated_at"))[0] == "ben"
    assert await desk.found(sort="engagement_score") == ["cid", "ben", "ann", "dot"]
    assert await desk.found(tags="prospect") == ["ann", "dot"]
    assert await desk.found(tags="prospect, beta,") == ["ann"]
    assert await desk.found(tags="Prospect") == []
    assert await desk.found(email="ANN@example.org") == ["ann"]
    assert await desk.found(search="zoë") == await desk.found(search="example.ORG") == ["ann"]
    assert await desk.found(lifecycle_stage="lead") == ["ann"]
    assert await desk.found(lifecycle_stage="subscriber") == ["ben", "dot"]
    told = (await desk.http.get(ALL, params={"page": 2, "per_page": 3})).json()
    assert [each["email"] for each in told["data"]] == ["dot@example.com"]
    assert told["meta"]["pagination"] == {"page": 2, "per_page": 3, "total": 4, "pages": 2}
    assert await desk.found(page="999999999") == []


async def test_a_bulk_import_keeps_the_good_rows_and_names_the_bad_ones(desk: Desk) -> None:
    known = await desk.make("known@example.com", tags=["old"], custom_fields={"x": 1}, lifecycle_stage="lead")
    rows: list[Any] = [{"email": f"user{n}@example.com", "name": f"User {n}"} for n in range(600)]
    rows += [
        {
            "email": "KNOWN@example.com", "tags": ["new"], "custom_fields": {"y": 2}, "company": "Acme",
            "consent": {"email_marketing": True},
        },
        {"email": "a@example.com", "custom_fields": {" ": 1}},
        {"email": 7},
        "no object",
        {"email": "b@example.com", "lifecycle_stage": "friend"},
        {"name": "Nobody"},
        {"email": "bad"},
    ]  # fmt: skip
    told = await desk.done("POST", BULK, {"contacts": rows})
    assert told.pop("import_id").startswith("import_")
    errors = told.pop("errors")
    assert told == {"status": "completed", "total": 607, "imported": 600, "updated": 1, "failed": 6}
    assert [each["index"] for each in errors] == [601, 602, 603, 604, 605, 606]
    assert errors[0]["message"].startswith("custom_fields. : ")
    assert errors[4]["message"] == "This field is required"
    assert errors[5] == {"index": 606, "email": "bad", "message": "Invalid email format"}
    changed = await desk.done("GET", f"{ALL}/{known['id']}")
    assert (changed["tags"], changed["custom_fields"]) == (["new", "old"], {"x": 1, "y": 2})
    assert (changed["company"], changed["lifecycle_stage"]) == ("Acme", "lead")
    assert changed["consent"]["email_marketing"] is True
    (user,) = await desk.done("GET", ALL, email="user7@example.com")
    assert (user["first_name"], user["last_name"], user["lifecycle_stage"]) == ("User", "7", "subscriber")
    again = await desk.done("POST", BULK, {"contacts": rows[:2], "update_existing": False})
    assert (again["imported"], again["updated"], again["failed"]) == (0, 0, 2)
    bare = await desk.done("POST", BULK, [{"email": "bare@example.com"}])
    assert (bare["total"], bare["imported"]) == (1, 1)


@SQLITE
async def test_all_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    body = {
        "email": "bad", "first_name": "x" * 201, "company": "a\nb", "tags": [" "], "custom_fields": [],
        "consent": {"tracking": "yes", "date_given": "yesterday"}, "lifecycle_stage": "friend",
    }  # fmt: skip
    assert set(await desk.refused("VALIDATION_ERROR", "POST", ALL, body)) == {
        "email", "first_name", "company", "tags", "custom_fields", "consent.tracking", "consent.date_given",
        "lifecycle_stage",
    }  # fmt: skip
    body = {"email": "ann@example.com", "custom_fields": {"a": "x" * 10_001, " ": 1}}
    told = await desk.refused("VALIDATION_ERROR", "POST", ALL, body)
    assert set(told) == {"custom_fields.a", "custom_fields. "}
    assert await desk.found() == []


@SQLITE
async def test_what_may_not_be_said_is_refused_by_field(desk: Desk) -> None:
    path = f"{ALL}/{(await desk.make('ann@example.com'))['id']}"
    for field, value, code in (
        ("email", None, "MISSING_REQUIRED_FIELD"),
        ("email", "Ann <ann@example.com>", "INVALID_EMAIL_FORMAT"),
        ("email", "x@example.com\r\nBcc: y@example.com", "INVALID_EMAIL_FORMAT"),
        ("email", ["x@example.com"], "VALIDATION_ERROR"),
        ("tags", [f"t{n}" for n in range(101)], "VALIDATION_ERROR"),
        ("tags", ["x" * 101], "VALIDATION_ERROR"),
        ("tags", "vip", "VALIDATION_ERROR"),
        ("name", "a\0b", "VALIDATION_ERROR"),
        ("custom_fields", {"deep": [{"x": "a\0"}]}, "VALIDATION_ERROR"),
        ("custom_fields", {f"k{n}": n for n in range(201)}, "VALIDATION_ERROR"),
        ("consent", True, "VALIDATION_ERROR"),
        ("consent", {"date_given": "9999-12-31T23:59:59-14:00"}, "VALIDATION_ERROR"),
        ("consent", {"date_given": 1_700_000_000}, "VALIDATION_ERROR"),
        ("consent", {"ip_address": "x" * 65}, "VALIDATION_ERROR"),
        ("consent", {"user_agent": "a\r\nb"}, "VALIDATION_ERROR"),
        ("lifecycle_stage", "Lead", "VALIDATION_ERROR"),
    ):
        told = await desk.refused(code, "POST", ALL, {"email": "new@example.com", field: value})
        assert told, (field, value)
        assert all(each.startswith(field) for each in told), (field, value, told)
        if field != "email":
            assert await desk.refused(code, "PUT", path, {field: value}) == told
    for query in (
        "tags=%00", "tags=" + ",".join(f"t{n}" for n in range(21)), "email=nobody", "search=%00",
        "search=" + "x" * 255, "lifecycle_stage=friend", "sort=last_activity", "per_page=101",
    ):  # fmt: skip
        (field,) = await desk.refused("VALIDATION_ERROR", "GET", f"{ALL}?{query}")
        assert field == query.partition("=")[0]
    for rows in ([], "all", [{"email": "a@example.com"}] * 10_001):
        await desk.refused("VALIDATION_ERROR", "POST", BULK, {"contacts": rows})
    await desk.refused("MISSING_REQUIRED_FIELD", "POST", BULK, {"update_existing": True})
    large = json.dumps({"contacts": [{"email": "a@example.com", "name": "x" * (11 * 1024 * 1024)}]})
    answer = await desk.http.post(BULK, content=large)
    assert refused(answer) == (413, "CONTENT_TOO_LARGE")
    for nobody in (to_id(CONTACT, new_id()), "contact_x", "%00", "bulk-import"):
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            body: Json | None = {} if method in ("PUT", "PATCH") else None
            await desk.refused("RESOURCE_NOT_FOUND", method, f"{ALL}/{nobody}", body)
    assert await desk.found() == ["ann"]


async def test_another_accounts_contacts_are_neither_seen_nor_touched(desk: Desk) -> None:
    ann = await desk.make("ann@example.com", tags=["vip"])
    make_account(desk.node.database, desk.node.sealer, email="stranger@example.test")
    tokens = await login(desk.node, "stranger@example.test")
    async with client_of(desk.node, tokens["access_token"]) as http:
        strange = Desk(desk.node, http)
        assert await strange.found() == await strange.found(email="ann@example.com") == []
        await strange.refused("RESOURCE_NOT_FOUND", "PUT", f"{ALL}/{ann['id']}", {"company": "Theirs"})
        told = await strange.done("POST", BULK, [{"email": "ann@example.com", "company": "Theirs"}])
        assert told["imported"] == 1
    assert await desk.done("GET", f"{ALL}/{ann['id']}") == ann


@SQLITE
async def test_a_key_without_manage_contacts_neither_reads_nor_writes_them(desk: Desk) -> None:
    asked = {"name": "Mail only", "permissions": ["send_email"]}
    key = (await desk.done("POST", "/api/v1/platform/api-keys", asked))["api_key"]
    async with client_of(desk.node, key) as http:
        only = Desk(desk.node, http)
        await only.refused("INSUFFICIENT_PERMISSIONS", "GET", ALL)
        await only.refused("INSUFFICIENT_PERMISSIONS", "POST", BULK, [{"email": "a@example.com"}])


@SQLITE
async def test_who_was_made_elsewhere_is_shown_with_defaults(desk: Desk) -> None:
    db, principal = desk.node.database, desk.node.principal
    clock.set_source(lambda: 1_700_000_000_000)
    contact_id = await db.write(
        lambda tx: contacts.create(tx, principal, ContactInput(email="Eve@example.com"), source="import")
    )
    clock.set_source(None)
    shown = await desk.done("GET", f"{ALL}/{to_id(CONTACT, contact_id)}")
    assert (shown["email"], shown["lifecycle_stage"]) == ("Eve@example.com", "subscriber")
    assert shown["consent"]["date_given"] == shown["created_at"] == "2023-11-14T22:13:20Z"
