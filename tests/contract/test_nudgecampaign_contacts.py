"""Contacts and lists against their contract: kept, found in every order, subscribed, and refused in words."""

import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx2
import pytest
from tests.contract.test_nudgecampaign import client_of, error_of
from tests.factories import Running, make_account
from tests.flow.world import until

from postrider.engine import suppression
from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput, Status
from postrider.engine.delivery import control
from postrider.engine.suppression import Class, New, Reason
from postrider.kit.ids import new_id
from postrider.surfaces.nudgecampaign.ids import Noun, show

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
Json = dict[str, Any]


class Desk:
    """The operations as one account uses them."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http

    async def done(self, method: str, path: str, body: Any = None, **query: str) -> Json:
        answer = await self.http.request(method, f"/v2{path}", json=body, params=query)
        assert answer.status_code in (200, 201), (path, body, answer.text)
        told: Json = answer.json()
        return told

    async def make(self, email: str, **said: Any) -> Json:
        made: Json = (await self.done("POST", "/contacts", {"email": email, **said}))["data"]
        return made

    async def listing(self, name: str, **said: Any) -> str:
        made: str = (await self.done("POST", "/lists", {"name": name, **said}))["data"]["id"]
        return made

    async def shown(self, contact_id: str) -> Json:
        found: Json = (await self.done("GET", f"/contacts/{contact_id}"))["data"]["attributes"]
        return found

    async def found(self, **query: str) -> list[str]:
        told = await self.done("GET", "/contacts", **query)
        assert told["meta"]["total"] >= len(told["data"])
        return [each["attributes"]["email"].partition("@")[0] for each in told["data"]]

    async def walked(self, path: str, **query: str) -> list[Json]:
        """All pages of a list, by the links that it gives."""
        told = await self.done("GET", path, **query)
        rows: list[Json] = list(told["data"])
        while (link := told["links"]["next"]) is not None:
            told = (await self.http.get(f"{self.node.base_url}{link}")).json()
            rows += told["data"]
        assert len(rows) == told["meta"]["total"]
        return rows

    async def refused(self, status: int, method: str, path: str, body: Any = None) -> list[Json]:
        answer = await self.http.request(method, f"/v2{path}", json=body)
        assert error_of(answer)[0] == status, (path, body, answer.text)
        details: list[Json] = answer.json()["error"]["details"]
        return details


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with client_of(node, node.account.keys["nudgecampaign"]) as http:
        yield Desk(node, http)


async def test_a_contact_is_kept_as_it_was_said(desk: Desk) -> None:
    readers = await desk.listing("Readers", description="Monthly")
    custom = {"company": "Tech Corp", "preferences": {"frequency": "weekly", "categories": ["tech", "news"]}}
    made = await desk.make(
        "New.Contact@Example.com", first_name="Jane", last_name="Smith", tags=["webinar", "lead", "lead"],
        custom_fields={**custom, "gone": None}, lists=[readers],
    )  # fmt: skip
    attributes = made["attributes"]
    assert (made["type"], made["relationships"]) == ("contact", {})
    assert made["meta"] == {name: attributes[name] for name in ("created_at", "updated_at")}
    assert (attributes["email"], attributes["first_name"]) == ("New.Contact@example.com", "Jane")
    assert (attributes["tags"], attributes["lists"]) == (["lead", "webinar"], [readers])
    assert attributes["custom_fields"] == custom
    assert (attributes["status"], attributes["source"]) == ("subscribed", "api")
    assert attributes["subscribed_at"] == attributes["created_at"]
    assert attributes["unsubscribed_at"] is None
    assert attributes["stats"] == {
        "campaigns_received": 0, "campaigns_opened": 0, "campaigns_clicked": 0,
        "last_opened_at": None, "last_clicked_at": None,
    }  # fmt: skip
    assert await desk.shown(made["id"]) == attributes
    assert (await desk.done("GET", f"/lists/{readers}"))["data"]["attributes"]["contact_count"] == 1
    (double,) = await desk.refused(409, "POST", "/contacts", {"email": "new.contact@EXAMPLE.com"})
    assert (double["field"], double["code"]) == ("email", "duplicate")


async def test_an_update_merges_what_is_said(desk: Desk) -> None:
    one, two = await desk.listing("One"), await desk.listing("Two")
    made = await desk.make(
        "ann@example.com", first_name="Ann", last_name="Lee", tags=["a", "b"], lists=[one],
        custom_fields={"plan": "pro", "seats": 3, "nested": {"a": 1}},
    )  # fmt: skip
    path = f"/contacts/{made['id']}"
    body = {
        "first_name": "Anne", "last_name": None, "tags": ["b", "c"], "lists": [two], "status": "bounced",
        "custom_fields": {"plan": None, "nested": {"b": 2}},
    }  # fmt: skip
    changed = (await desk.done("PUT", path, body))["data"]["attributes"]
    assert (changed["first_name"], changed["last_name"]) == ("Anne", None)
    assert (changed["tags"], changed["lists"]) == (["b", "c"], [two])
    assert changed["custom_fields"] == {"seats": 3, "nested": {"b": 2}}
    assert changed["status"] == "subscribed", "only subscribe and unsubscribe set it"
    assert (await desk.done("PUT", path, {}))["data"]["attributes"] == changed
    emptied = (await desk.done("PUT", path, {"tags": [], "lists": []}))["data"]["attributes"]
    assert (emptied["tags"], emptied["lists"]) == ([], [])
    moved = (await desk.done("PUT", path, {"email": "ANNE@example.com"}))["data"]["attributes"]
    assert moved["email"] == "ANNE@example.com"
    await desk.make("ben@example.com")
    (double,) = await desk.refused(409, "PUT", path, {"email": "Ben@example.com"})
    assert (double["field"], double["code"]) == ("email", "duplicate")


async def test_who_unsubscribes_is_left_alone_until_he_subscribes(desk: Desk) -> None:
    readers = await desk.listing("Readers")
    path = f"/contacts/{(await desk.make('ann@example.com', lists=[readers]))['id']}"
    asked = {"reason": "User requested", "feedback": "Too many emails", "suppress_notification": False}
    for _ in range(2):
        gone = (await desk.done("POST", f"{path}/unsubscribe", asked))["data"]["attributes"]
        assert (gone["status"], gone["lists"]) == ("unsubscribed", [readers])
        assert gone["unsubscribed_at"] is not None
    mail = {"to": "ann@example.com", "subject": "Hello", "text": "Hello"}
    headers = {"X-API-Key": desk.node.account.keys["mailerlogic"]}
    url = f"{desk.node.base_url}/mailerlogic/api/v1/send"
    assert (await desk.http.post(url, json=mail, headers=headers)).json()["error"] == "recipient_unsubscribed"
    answer = await desk.http.post(f"/v2{path}/subscribe")  # without a body: no reason is given
    back = answer.json()["data"]["attributes"]
    assert (back["status"], back["unsubscribed_at"]) == ("subscribed", None)
    assert (await desk.http.post(url, json=mail, headers=headers)).status_code == 200
    told = (await desk.done("GET", f"{path}/activity"))["data"]
    assert [each["type"] for each in told].count("contact_unsubscribed") == 1


async def test_a_status_follows_from_what_is_suppressed(desk: Desk) -> None:
    db, principal = desk.node.database, desk.node.principal
    for name, reason in (("bob", Reason.HARD_BOUNCE), ("cat", Reason.COMPLAINT)):
        new = New(address_key=f"{name}@example.com", class_=Class.BLOCK, reason=reason)
        await db.write(suppression.put, principal, new)
    bob, cat = await desk.make("bob@example.com"), await desk.make("cat@example.com")
    dan = await desk.make("dan@example.com", double_opt_in=True)
    assert [each["attributes"]["status"] for each in (bob, cat, dan)] == [
        "bounced",
        "unsubscribed",
        "pending",
    ]
    assert dan["attributes"]["subscribed_at"] is None
    assert await desk.found(**{"filter[status]": "bounced"}) == ["bob"]
    assert await desk.found(**{"filter[status]": "unsubscribed"}) == ["cat"]
    assert await desk.found(**{"filter[status]": "pending"}) == ["dan"]
    back = await desk.done("POST", f"/contacts/{bob['id']}/subscribe", {})
    assert back["data"]["attributes"]["status"] == "subscribed"
    (state,) = await desk.refused(409, "POST", f"/contacts/{cat['id']}/subscribe", {})
    assert (state["field"], state["code"]) == ("status", "invalid_state")


async def test_double_opt_in_asks_by_mail_and_the_link_subscribes(desk: Desk) -> None:
    db, principal = desk.node.database, desk.node.principal
    gone = New(address_key="gone@example.com", class_=Class.OPTOUT, reason=Reason.UNSUBSCRIBED)
    await db.write(suppression.put, principal, gone)
    unasked = await desk.make("gone@example.com", double_opt_in=True)
    assert unasked["attributes"]["status"] == "unsubscribed"
    await desk.make("at-once@example.com", double_opt_in=False)
    readers = await desk.listing("Readers")
    ann = await desk.make("ann@example.com", double_opt_in=True, lists=[readers])
    organizations = [principal.organization_id]

    async def is_mailed() -> bool:
        return bool(await db.read(lambda tx: control.list_captured(tx, organizations, limit=5)))

    await until(is_mailed, "captured")
    (mail,) = await db.read(lambda tx: control.list_captured(tx, organizations, limit=5))
    found = await db.read(control.one_captured, organizations, mail.id)
    assert found is not None
    raw = found[1].decode("utf-8", "replace").replace("=\r\n", "")
    (link,) = set(re.findall(r"/track/confirm/[a-z2-7]+", raw))
    assert (await desk.http.get(f"{desk.node.base_url}{link}")).status_code == 200
    assert (await desk.shown(ann["id"]))["status"] == "pending"
    assert (await desk.http.post(f"{desk.node.base_url}{link}")).status_code == 200
    confirmed = await desk.shown(ann["id"])
    assert (confirmed["status"], confirmed["lists"]) == ("subscribed", [readers])
    assert confirmed["subscribed_at"] is not None


async def test_contacts_are_narrowed_sorted_and_walked_by_cursor(desk: Desk) -> None:
    readers = await desk.listing("Readers")
    await desk.make("dot@example.com", tags=["vip"], lists=[readers])
    await desk.make("ann@example.org", first_name="Zoë", tags=["vip", "beta"])
    ben = await desk.make("ben@example.com", lists=[readers])
    await desk.make("cid@example.com")
    await desk.done("PUT", f"/contacts/{ben['id']}", {"last_name": "Updated"})
    expected = {
        "created_at": ["dot", "ann", "ben", "cid"],
        "email": ["ann", "ben", "cid", "dot"],
        "updated_at": ["dot", "ann", "cid", "ben"],
    }
    for name, order in expected.items():
        for sort, names in ((name, order), (f"-{name}", order[::-1])):
            for size in ("1", "3"):
                rows = await desk.walked("/contacts", sort=sort, **{"page[size]": size})
                got = [each["attributes"]["email"].partition("@")[0] for each in rows]
                assert got == names, (sort, size)
    assert await desk.found() == ["cid", "ben", "ann", "dot"]
    assert await desk.found(**{"filter[tag]": "vip"}) == ["ann", "dot"]
    assert await desk.found(**{"filter[list_id]": readers, "search": "EXAMPLE.COM"}) == ["ben", "dot"]
    assert await desk.found(**{"filter[list_id]": show(Noun.LIST, new_id())}) == []
    assert await desk.found(search="zoë") == await desk.found(search="ANN@") == ["ann"]
    walked = await desk.walked("/contacts", **{"filter[tag]": "vip", "page[size]": "1"})
    assert len(walked) == 2
    few = await desk.done("GET", "/contacts", **{"fields[contact]": "email,status", "page[size]": "1"})
    assert set(few["data"][0]["attributes"]) == {"email", "status"}


@SQLITE
async def test_lists_are_included_once_each(desk: Desk) -> None:
    one, two = await desk.listing("One"), await desk.listing("Two")
    ann = await desk.make("ann@example.com", lists=[one, two])
    await desk.make("ben@example.com", lists=[two])
    await desk.listing("Of nobody")
    told = await desk.done("GET", "/contacts", include="lists", **{"fields[list]": "name"})
    assert [(each["type"], each["attributes"]) for each in told["included"]] == [
        ("list", {"name": "One"}), ("list", {"name": "Two"}),
    ]  # fmt: skip
    one_of_them = await desk.done("GET", f"/contacts/{ann['id']}", include="lists")
    assert {each["id"] for each in one_of_them["included"]} == {one, two}
    assert "included" not in await desk.done("GET", "/contacts")


async def test_lists_are_named_found_and_deleted_and_their_contacts_stay(desk: Desk) -> None:
    news = await desk.listing("News", description="Monthly readers")
    other, third = await desk.listing("Other_1"), await desk.listing("a third")
    ann = await desk.make("ann@example.com", lists=[news, other])
    await desk.make("ben@example.com", lists=[other])
    for sort, names in (
        ("name", ["News", "Other_1", "a third"]),
        ("created_at", ["News", "Other_1", "a third"]),
        ("-contact_count", ["Other_1", "News", "a third"]),
    ):
        for size in ("1", "2"):
            rows = await desk.walked("/lists", sort=sort, **{"page[size]": size})
            assert [each["attributes"]["name"] for each in rows] == names, (sort, size)
    for search, ids in (("NEW", [news]), ("_1", [other]), ("%", []), ("", [third, other, news])):
        told = await desk.done("GET", "/lists", search=search)
        assert [each["id"] for each in told["data"]] == ids, search
        assert told["meta"]["total"] == len(ids)
    changed = (await desk.done("PUT", f"/lists/{news}", {"name": "Weekly"}))["data"]["attributes"]
    assert (changed["name"], changed["description"], changed["contact_count"]) == (
        "Weekly", "Monthly readers", 1,
    )  # fmt: skip
    gone = (await desk.done("PUT", f"/lists/{news}", {"description": None}))["data"]["attributes"]
    assert gone["description"] is None
    for method, path in (("POST", "/lists"), ("PUT", f"/lists/{news}")):
        (double,) = await desk.refused(409, method, path, {"name": "Other_1"})
        assert (double["field"], double["code"]) == ("name", "duplicate")
    assert (await desk.http.delete(f"/v2/lists/{other}")).status_code == 204
    await desk.refused(404, "GET", f"/lists/{other}")
    assert (await desk.shown(ann["id"]))["lists"] == [news]
    assert await desk.found() == ["ben", "ann"]


@SQLITE
async def test_all_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    body = {
        "email": "bad", "first_name": "x" * 201, "last_name": "a\nb", "tags": ["ok", " "],
        "custom_fields": [], "lists": ["lst_x"], "double_opt_in": "yes",
    }  # fmt: skip
    told = {(each["field"], each["code"]) for each in await desk.refused(422, "POST", "/contacts", body)}
    assert told == {
        ("email", "invalid_format"), ("first_name", "too_long"), ("last_name", "invalid_value"),
        ("tags", "invalid_value"), ("custom_fields", "invalid_type"), ("lists.0", "not_found"),
        ("double_opt_in", "invalid_type"),
    }  # fmt: skip
    told = {
        (each["field"], each["code"])
        for each in await desk.refused(
            422,
            "POST",
            "/contacts",
            {
                "email": "ann@example.com",
                "lists": [show(Noun.LIST, new_id())],
                "custom_fields": {"a": "x" * 10_001, " ": 1},
            },
        )
    }
    assert told == {
        ("lists", "not_found"), ("custom_fields.a", "invalid_value"), ("custom_fields. ", "invalid_value"),
    }  # fmt: skip
    assert await desk.found() == []


@SQLITE
async def test_what_may_not_be_said_is_refused_by_field(desk: Desk) -> None:
    ann, news = await desk.make("ann@example.com"), await desk.listing("News")
    one = f"/contacts/{ann['id']}"
    wrong: list[tuple[str, str, Json, str]] = [
        ("POST", "/contacts", {"email": None}, "email"),
        ("POST", "/contacts", {"email": "Ann <x@example.com>"}, "email"),
        ("POST", "/contacts", {"email": "x@example.com\r\nBcc: y@example.com"}, "email"),
        ("POST", "/contacts", {"email": "x@example.com", "tags": [f"t{n}" for n in range(101)]}, "tags"),
        ("POST", "/contacts", {"email": "x@example.com", "tags": [7]}, "tags.0"),
        ("POST", "/contacts", {"email": "x@example.com", "lists": [7]}, "lists.0"),
        ("POST", "/contacts", {"email": "x@example.com", "lists": [ann["id"]]}, "lists.0"),
        ("POST", "/contacts", {"email": "x@example.com", "first_name": "a\0"}, "first_name"),
        ("PUT", one, {"email": None}, "email"),
        ("PUT", one, {"email": ""}, "email"),
        ("PUT", one, {"tags": None}, "tags"),
        ("PUT", one, {"lists": None}, "lists"),
        ("PUT", one, {"custom_fields": None}, "custom_fields"),
        ("POST", f"{one}/unsubscribe", {"reason": "x" * 501}, "reason"),
        ("POST", f"{one}/subscribe", {"feedback": ["x"]}, "feedback"),
        ("POST", "/lists", {"name": ""}, "name"),
        ("POST", "/lists", {"name": " "}, "name"),
        ("POST", "/lists", {"name": "a\nb"}, "name"),
        ("POST", "/lists", {"name": "x" * 256}, "name"),
        ("POST", "/lists", {"name": "x", "description": "x" * 2_001}, "description"),
        ("PUT", f"/lists/{news}", {"name": None}, "name"),
        ("PUT", f"/lists/{news}", {"name": ""}, "name"),
        ("PUT", f"/lists/{news}", {"description": 7}, "description"),
    ]
    for method, path, body, field in wrong:
        told = await desk.refused(422, method, path, body)
        assert [each["field"] for each in told] == [field], (method, path, body, told)
    for query, code in (
        ("filter[status]=active", "invalid_value"), ("filter[list_id]=lst_x", "not_found"),
        ("filter[list_id]=%00", "not_found"), ("filter[tag]=%00", "invalid_value"),
        ("search=%00", "invalid_value"), ("search=" + "x" * 255, "too_long"),
        ("sort=first_name", "invalid_value"), ("include=stats", "invalid_value"),
        ("filter[email]=x", "invalid_value"), ("fields[list]=secret", "invalid_value"),
    ):  # fmt: skip
        told = await desk.refused(400, "GET", f"/contacts?{query}")
        assert [each["code"] for each in told] == [code], query
    await desk.refused(400, "GET", "/lists?search=%00")
    for path in ("/contacts/con_x", f"/contacts/{news}", "/contacts/import", "/lists/%00"):
        await desk.refused(404, "GET", path)
    assert await desk.found() == ["ann"]


@SQLITE
async def test_a_scope_of_lists_is_none_of_contacts_and_writing_is_not_reading(desk: Desk) -> None:
    ann, news = await desk.make("ann@example.com"), await desk.listing("News")
    asked = {
        ("lists:read",): {"GET /lists", f"GET /lists/{news}"},
        ("lists:write",): {f"PUT /lists/{news}"},
        ("contacts:read",): {"GET /contacts", f"GET /contacts/{ann['id']}"},
        ("contacts:write",): {f"PUT /contacts/{ann['id']}", f"POST /contacts/{ann['id']}/unsubscribe"},
    }
    for scopes, allowed in asked.items():
        made = await desk.done("POST", "/organization/api-keys", {"name": "Key", "scopes": list(scopes)})
        async with client_of(desk.node, made["data"]["key"]) as http:
            for call in set[str]().union(*asked.values()):
                method, path = call.split()
                body: Json | None = None if method == "GET" else {}
                answer = await http.request(method, f"/v2{path}", json=body)
                assert answer.status_code == (200 if call in allowed else 403), (scopes, call, answer.text)


async def test_another_organizations_contacts_and_lists_are_neither_seen_nor_touched(desk: Desk) -> None:
    news = await desk.listing("News")
    ann = await desk.make("ann@example.com", tags=["vip"], lists=[news])
    stranger = make_account(desk.node.database, desk.node.sealer, email="stranger@example.test")
    async with client_of(desk.node, stranger.keys["nudgecampaign"]) as http:
        strange = Desk(desk.node, http)
        assert await strange.found() == await strange.found(search="ann@") == []
        assert await strange.found(**{"filter[list_id]": news}) == []
        assert (await strange.done("GET", "/lists"))["data"] == []
        (fault,) = await strange.refused(
            422, "POST", "/contacts", {"email": "x@example.com", "lists": [news]}
        )
        assert (fault["field"], fault["code"]) == ("lists", "not_found")
        mine = await strange.make("ann@example.com")
        assert mine["id"] != ann["id"]
        await strange.listing("News")
    assert (await desk.shown(ann["id"]))["lists"] == [news]
    assert (await desk.http.delete(f"/v2/contacts/{ann['id']}")).status_code == 204
    await desk.refused(404, "GET", f"/contacts/{ann['id']}")
    assert (await desk.done("GET", f"/lists/{news}"))["data"]["attributes"]["contact_count"] == 0


@SQLITE
async def test_a_source_of_another_api_is_told_as_api(desk: Desk) -> None:
    db, principal = desk.node.database, desk.node.principal
    for source, shown in (("import", "import"), ("signup_form", "signup_form"), ("fair 2026", "api")):
        given = ContactInput(email=f"{shown}-{len(source)}@example.com", status=Status.SUBSCRIBED)
        contact_id = await db.write(partial(contacts.create, source=source), principal, given)
        assert (await desk.shown(show(Noun.CONTACT, contact_id)))["source"] == shown
