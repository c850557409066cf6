"""Definitions and groups of properties through the console: changed and removed, which no dialect offers."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.console_client import Client, Json
from tests.factories import Running

from postrider.engine.audience import contacts
from postrider.engine.audience.model import Contact, ContactInput, OnKnown
from postrider.engine.errors import Invalid
from postrider.kit.ids import new_id, to_uuid

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class Desk(Client):
    """Who defines properties, and whose contacts have them."""

    def save(self, **properties: Any) -> Contact:
        """The one contact, given these as well."""
        given = ContactInput(email="ann@example.com", properties=properties)
        db, who = self.node.database, self.node.principal
        (saved,) = db.write_now(
            lambda tx: contacts.save(tx, who, [given], on_known=OnKnown.UPDATE, source="api")
        )
        if saved.contact_id is None:
            raise Invalid(field=saved.faults[0].field, message=saved.faults[0].message)
        return db.read_now(contacts.get, who, saved.contact_id)

    async def define(self, name: str, type_: str, **more: Any) -> Json:
        told: Json = await self.walk("defineProperty", body={"name": name, "type": type_, **more})
        made: Json = told["property"]
        return made

    async def change(self, id_: str, **said: Any) -> Json:
        told: Json = (await self.walk("changeProperty", id=id_, body=said))["property"]
        return told


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Desk(node, http)


async def test_a_changed_definition_checks_what_is_written_and_leaves_what_stands(desk: Desk) -> None:
    seats = await desk.define("seats", "number", validation_rules={"min": 1}, label="Seats")
    desk.save(seats=3)
    with pytest.raises(Invalid):
        desk.save(seats=0)
    changed = await desk.change(seats["id"], validation_rules={"min": 0, "max": 2}, help_text="Chairs")
    assert changed["updated_at"] >= seats["updated_at"]
    assert {**changed, "updated_at": seats["updated_at"]} == {
        **seats, "validation_rules": {"min": 0, "max": 2}, "help_text": "Chairs", "contacts": 1,
    }  # fmt: skip
    assert desk.save().properties == {"seats": 3}, "what stands stays"
    assert desk.save(seats="0").properties == {"seats": 0}
    with pytest.raises(Invalid):
        desk.save(seats=3)
    refused = await desk.call("changeProperty", 400, id=seats["id"], body={"type": "text"})
    assert refused["error"]["facts"]["field"] == "validation_rules.min", "the old rules are not a text's"
    changed = await desk.change(seats["id"], type="text", validation_rules={}, label=None, default_value="0")
    assert (changed["type"], changed["label"], changed["default_value"]) == ("text", "seats", "0")
    assert desk.save(seats="many").properties == {"seats": "many"}


async def test_a_removed_definition_leaves_values_that_anything_may_follow(desk: Desk) -> None:
    plan = await desk.define("plan", "select", options=["pro", "free"], is_required=True)
    desk.save(plan="pro")
    assert await desk.walk("removeProperty", id=plan["id"]) == {"removed": {"id": plan["id"]}}
    assert (await desk.call("listProperties"))["properties"] == []
    assert desk.save().properties == {"plan": "pro"}
    assert desk.save(plan=["anything"]).properties == {"plan": ["anything"]}
    assert desk.save(plan=None).properties == {}, "nothing is required any more"
    again = await desk.define("plan", "text")
    assert again["id"] != plan["id"]


async def test_a_group_is_changed_and_its_properties_outlive_it(desk: Desk) -> None:
    made = [
        (await desk.walk("createPropertyGroup", body={"name": name, "label": name.upper()}))["property_group"]
        for name in ("work", "home")
    ]
    work, home = (each["id"] for each in made)
    title = await desk.define("title", "text", group_id=work, display_order=1)
    await desk.define("team", "text", group_id=home)
    said = {"name": "job", "label": None, "description": "At work", "display_order": 7}
    changed = (await desk.walk("changePropertyGroup", id=work, body=said))["property_group"]
    assert changed == {**made[0], **said, "label": "job", "properties": 1}
    listed = (await desk.walk("listPropertyGroups"))["property_groups"]
    assert [(each["name"], each["properties"]) for each in listed] == [("home", 1), ("job", 1)]
    only = await desk.walk("listProperties", group_id=work)
    assert [each["name"] for each in only["properties"]] == ["title"]
    await desk.call("changePropertyGroup", 409, id=work, body={"name": "home"})
    await desk.call("createPropertyGroup", 409, body={"name": "home"})
    assert await desk.walk("removePropertyGroup", id=work) == {"removed": {"id": work}}
    assert (await desk.change(title["id"]))["group_id"] is None
    refused = await desk.call("changeProperty", 400, id=title["id"], body={"group_id": work})
    assert refused["error"]["facts"]["field"] == "group_id"
    assert (await desk.change(title["id"], group_id=home))["group_id"] == home


@SQLITE
async def test_what_makes_no_sense_is_told_at_once(desk: Desk) -> None:
    plan = await desk.define("plan", "text")
    bad: Json = {"label": "x" * 201, "options": ["a"], "display_order": -1, "validation_rules": {"min": 1}}
    for name, given in (("changeProperty", {"id": plan["id"]}), ("defineProperty", {})):
        body = bad if given else {**bad, "name": " x", "type": "text"}
        facts = (await desk.call(name, 400, body=body, **given))["error"]["facts"]
        fields = {each["field"] for each in facts["faults"]}
        assert fields >= {"label", "options", "display_order", "validation_rules.min"}
        assert ("name" in fields) is not bool(given)
    for wrong in ({"name": "other"}, {"type": "colour"}, {"group_id": "x"}, {"is_required": None}):
        await desk.call("changeProperty", 400, id=plan["id"], body=wrong)
    group = (await desk.call("createPropertyGroup", body={"name": "g"}))["property_group"]["id"]
    too_long = {"name": "", "description": "x" * 1_001}
    refused = await desk.call("changePropertyGroup", 400, id=group, body=too_long)
    assert {each["field"] for each in refused["error"]["facts"]["faults"]} == {"name", "description"}
    await desk.call("changePropertyGroup", 400, id=group, body={"colour": "red"})
    await desk.call("defineProperty", 409, body={"name": "plan", "type": "text"})
    await desk.call("defineProperty", 400, body={"name": "plan"})
    for wrong in ({"group_id": "x"}, {"page": "1"}):
        await desk.call("listProperties", 400, **wrong)
    await desk.call("listPropertyGroups", 400, page="1")


@SQLITE
async def test_what_is_not_there_is_not_found_and_who_has_no_key_is_told_nothing(desk: Desk) -> None:
    nobody = to_uuid(new_id())
    for name, body in (
        ("changeProperty", {"label": "x"}),
        ("removeProperty", None),
        ("changePropertyGroup", {"label": "x"}),
        ("removePropertyGroup", None),
    ):
        await desk.call(name, 404, id=nobody, body=body)
        await desk.call(name, 401, key="wrong", id=nobody, body=body)
    for name in ("listProperties", "listPropertyGroups", "defineProperty", "createPropertyGroup"):
        await desk.call(name, 401, key="wrong", body={"name": "x", "type": "text"})
