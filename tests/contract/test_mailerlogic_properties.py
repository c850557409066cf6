"""Properties of contacts against their contract: defined, found in use, written, refused, searched."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account

from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput, OnKnown
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.mailerlogic import properties

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("mailerlogic")
OPERATIONS = {operation.id: operation for operation in properties.OPERATIONS}
NOWHERE = "00000000-0000-4000-8000-000000000000"
Json = dict[str, Any]


class Desk:
    """The operations as one account uses them, on contacts by their names."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.ids: dict[str, RowId] = {}

    async def call(self, name: str, body: Any = None, *, id: str = "", **query: str) -> httpx2.Response:
        operation = OPERATIONS[name]
        path = operation.paths[0].format(id=id)
        return await self.http.request(operation.method, path, params=query, json=body)

    async def done(self, name: str, body: Any = None, **given: str) -> Json:
        """The answer, as the contract has it: status and keys."""
        answer = await self.call(name, body, **given)
        assert answer.status_code == CONTRACT[name].status, answer.text
        told: Json = answer.json()
        assert not missing_keys(told, CONTRACT[name].keys), answer.text
        return told

    async def refused(self, status: int, name: str, body: Any = None, **given: str) -> str:
        """What the answer says of the fault."""
        answer = await self.call(name, body, **given)
        assert answer.status_code == status, answer.text
        return str(answer.json().get("message") or answer.json()["error"])

    async def know(self, name: str, **values: Any) -> str:
        """A contact with these properties; its id."""
        said = [ContactInput(email=f"{name}@example.com", properties=values)]
        (saved,) = await self.node.database.write(
            lambda tx: contacts.save(tx, self.node.principal, said, on_known=OnKnown.REFUSE, source="api")
        )
        assert saved.contact_id is not None, saved.faults
        return to_uuid(saved.contact_id)

    async def found(self, **body: Any) -> list[str]:
        answer = await self.call("searchByProperty", body)
        assert answer.status_code == 200, answer.text
        return [each["email"].partition("@")[0] for each in answer.json()["contacts"]]


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with client_of(node, node.account.keys["mailerlogic"]) as http:
        yield Desk(node, http)


def client_of(node: Running, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers={"X-API-Key": key})


def test_methods_paths_and_statuses_are_the_contracts() -> None:
    for name, operation in OPERATIONS.items():
        contracted = CONTRACT[name]
        assert (operation.method, operation.paths) == (contracted.method, contracted.paths)
        assert operation.status == contracted.status


async def test_every_operation_answers_with_the_keys_of_its_contract(desk: Desk) -> None:
    ann = await desk.know("ann", plan="pro", seats=3)
    await desk.know("ben", plan="free")
    group = (await desk.done("createPropertyGroup", {"name": "company_info", "label": "Company Info"}))[
        "group"
    ]
    assert group["property_count"] == 0
    title = {"name": "job_title", "label": "Job title", "type": "text", "group_id": group["id"]}
    made = (await desk.done("createPropertyDefinition", title))["definition"]
    assert made == {
        **title, "id": made["id"], "options": [], "is_required": False, "is_visible": True,
        "default_value": None, "validation_rules": {}, "help_text": None, "placeholder": None,
        "display_order": 0, "usage_count": 0, "created_at": made["created_at"],
    }  # fmt: skip
    seats = {"name": "plan", "type": "select", "options": ["free", "pro"], "default_value": "free"}
    await desk.done("createPropertyDefinition", seats)
    (listed,) = (await desk.done("listPropertyGroups"))["groups"]
    assert listed == {**group, "property_count": 1}
    definitions = (await desk.done("listPropertyDefinitions"))["definitions"]
    assert [(each["name"], each["usage_count"]) for each in definitions] == [("job_title", 0), ("plan", 2)]
    assert (await desk.done("listPropertyDefinitions", group_id=group["id"]))["definitions"] == [made]
    keys = (await desk.done("discoverPropertyKeys"))["keys"]
    assert keys == [
        {"key": "plan", "usage_count": 2, "percentage": 100.0},
        {"key": "seats", "usage_count": 1, "percentage": 50.0},
    ]
    told = await desk.done("getContactProperties", id=ann)
    assert told == {"contact_id": ann, "custom_properties": {"plan": "pro", "seats": 3}}
    written = await desk.done("updateContactProperties", {"custom_properties": {"lead_score": 85}}, id=ann)
    assert written["custom_properties"] == {"plan": "pro", "seats": 3, "lead_score": 85}
    found = await desk.done(
        "searchByProperty", {"property": "plan", "operator": "exists", "limit": 1, "page": 2}
    )
    assert [each["email"] for each in found["contacts"]] == ["ann@example.com"]
    assert found["pagination"] == {"page": 2, "limit": 1, "total": 2, "pages": 2}


async def test_properties_are_merged_and_null_takes_one_away(desk: Desk) -> None:
    ann = await desk.know("ann", plan="pro", seats=3)
    told = await desk.done("updateContactProperties", {"seats": None, "team": ["a", "b"]}, id=ann)
    assert told["custom_properties"] == {"plan": "pro", "team": ["a", "b"]}
    assert (await desk.found(property="seats", operator="exists")) == []
    assert (await desk.found(property="team", value="b")) == ["ann"]


@SQLITE
async def test_contacts_are_found_by_every_operator(desk: Desk) -> None:
    await desk.know("ann", seats=3, plan="pro")
    await desk.know("ben", seats=20, plan="free")
    for operator, value, expected in (
        ("=", 3, ["ann"]), ("!=", 3, ["ben"]), (">", 3, ["ben"]), (">=", 3, ["ann", "ben"]),
        ("<", 20, ["ann"]), ("<=", 20, ["ann", "ben"]), ("exists", None, ["ann", "ben"]),
    ):  # fmt: skip
        assert await desk.found(property="seats", operator=operator, value=value) == expected, operator
    assert await desk.found(property="plan", operator="contains", value="RE") == ["ben"]


@SQLITE
async def test_a_defined_property_is_checked_when_it_is_written(desk: Desk) -> None:
    ann = await desk.know("ann")
    rules = {"name": "seats", "type": "number", "validation_rules": {"min": 1}}
    await desk.done("createPropertyDefinition", rules)
    said = await desk.refused(400, "updateContactProperties", {"seats": 0, "plan": "pro"}, id=ann)
    assert said == "custom_properties.seats: should be at least 1"
    assert (await desk.done("getContactProperties", id=ann))["custom_properties"] == {}
    told = await desk.done("updateContactProperties", {"seats": "4"}, id=ann)
    assert told["custom_properties"] == {"seats": 4}


@SQLITE
@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("createPropertyGroup", {"label": "No name"}),
        ("createPropertyGroup", {"name": ""}),
        ("createPropertyGroup", {"name": "a\nb"}),
        ("createPropertyDefinition", {"name": "x"}),
        ("createPropertyDefinition", {"name": "x", "type": "colour"}),
        ("createPropertyDefinition", {"name": "x", "type": "select"}),
        ("createPropertyDefinition", {"name": "x", "type": "text", "group_id": "7"}),
        ("createPropertyDefinition", {"name": "x", "type": "text", "group_id": {}}),
        ("createPropertyDefinition", {"name": "x", "type": "text", "group_id": NOWHERE}),
        ("createPropertyDefinition", {"name": "x", "type": "text", "validation_rules": {"pattern": "("}}),
        ("createPropertyDefinition", {"name": "x" * 101, "type": "text"}),
        ("updateContactProperties", {}),
        ("updateContactProperties", []),
        ("updateContactProperties", {"custom_properties": 7}),
        ("updateContactProperties", {"custom_properties": {" plan": 1}}),
        ("updateContactProperties", {"custom_properties": {"plan": "x" * 10_001}}),
        ("searchByProperty", {"operator": "=", "value": 1}),
        ("searchByProperty", {"property": "plan", "operator": "~", "value": 1}),
        ("searchByProperty", {"property": "plan", "operator": "="}),
        ("searchByProperty", {"property": "plan", "operator": "=", "value": {"$gt": 1}}),
        ("searchByProperty", {"property": "plan", "value": 1, "limit": 1001}),
        ("searchByProperty", {"property": "plan", "value": 1, "page": 0}),
        ("searchByProperty", {"property": "plan", "value": 1, "page": 10**6, "limit": 1000}),
    ],
)
async def test_a_malformed_request_is_refused(desk: Desk, name: str, body: Any) -> None:
    ann = await desk.know("ann")
    assert await desk.refused(400, name, body, id=ann)


@SQLITE
async def test_every_operation_answers_its_documented_errors(desk: Desk) -> None:
    bodies: Json = {
        "createPropertyGroup": {"name": "taken"},
        "createPropertyDefinition": {"name": "taken", "type": "text"},
        "updateContactProperties": {"plan": "pro"},
        "searchByProperty": {"property": "plan", "value": "pro"},
    }
    for name in OPERATIONS:
        body = bodies.get(name)
        answered = {401}
        async with client_of(desk.node, "ml_live_" + "0" * 64) as stranger:
            unknown = await Desk(desk.node, stranger).call(name, body, id=NOWHERE)
        assert (unknown.status_code, unknown.json()["error"]) == (401, "Unauthorized"), name
        if "{id}" in OPERATIONS[name].paths[0]:
            await desk.refused(404, name, body, id=NOWHERE)
            answered.add(404)
        if name.startswith("create"):
            await desk.done(name, body)
            await desk.refused(409, name, body)
            answered.add(409)
        if body:
            await desk.refused(400, name, {}, id=NOWHERE)
            answered.add(400)
        assert answered >= CONTRACT[name].errors, name


@SQLITE
async def test_nothing_of_another_account_is_seen(desk: Desk, node: Running) -> None:
    ann = await desk.know("ann", plan="pro")
    await desk.done("createPropertyDefinition", {"name": "plan", "type": "text"})
    other = make_account(node.database, node.sealer, email="other@other.test")
    async with client_of(node, other.keys["mailerlogic"]) as http:
        theirs = Desk(node, http)
        assert await theirs.found(property="plan", value="pro") == []
        assert (await theirs.call("discoverPropertyKeys")).json() == {"keys": []}
        assert (await theirs.call("listPropertyDefinitions")).json() == {"definitions": []}
        await theirs.refused(404, "getContactProperties", id=ann)
        await theirs.refused(404, "updateContactProperties", {"plan": "free"}, id=ann)
    assert (await desk.done("getContactProperties", id=ann))["custom_properties"] == {"plan": "pro"}
