"""Imports and exports of contacts against their contract: status, keys, documented errors, the files."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from tests.contract.test_nudgecampaign import client_of, error_of
from tests.contract.walk import load, missing_keys
from tests.factories import Running

from postrider.engine.audience.transfer import exports
from postrider.kit import clock
from postrider.kit.ids import new_id, to_uuid
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.transfers import OPERATIONS

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CONTRACT = load("nudgecampaign")
SERVED = {operation.id: operation for operation in OPERATIONS}
UPLOAD = "importContacts"
MAPPING = {"email": 0, "first_name": 1, "custom_fields.note": 2, "tags": 3}
ROWS = (
    "Email,First,Note,Tags\n"
    'ann@example.com,Ann,"=HYPERLINK(""http://evil.test"")",customer;vip\n'
    "bob@example.com,Bob,-5,\n"
    "nobody,Carl,,\n"
)
ASKED = {
    "format": "csv",
    "fields": ["email", "first_name", "tags", "custom_fields.note"],
    "filters": {"status": "subscribed"},
}
PATIENCE_S = 30


@dataclass
class World:
    """Three contacts, of which one was refused; a finished import and a finished export."""

    client: httpx2.AsyncClient
    ids: dict[str, str] = field(default_factory=dict)

    async def call(self, operation_id: str, body: Any = None, **options: Any) -> httpx2.Response:
        operation = SERVED[operation_id]
        path = operation.paths[0].format(**self.ids)
        if operation_id == UPLOAD and body is None:
            options |= {"files": {"file": ("contacts.csv", ROWS)}, "data": {"mapping": json.dumps(MAPPING)}}
        elif operation.body is not None or body is not None:
            options["json"] = ASKED if body is None else body
        return await self.client.request(operation.method, path, **options)

    async def ended(self, operation_id: str, id_: str) -> dict[str, Any]:
        other = World(self.client, dict.fromkeys(("import_id", "export_id"), id_))
        async with asyncio.timeout(PATIENCE_S):
            while True:
                data: dict[str, Any] = (await other.call(operation_id)).json()["data"]
                if data["status"] != "processing":
                    return data
                await asyncio.sleep(0.02)

    async def exported(self, **asked: Any) -> bytes:
        made = (await self.call("exportContacts", {**ASKED, **asked})).json()["data"]
        await self.ended("getContactExport", made["export_id"])
        other = World(self.client, {"export_id": made["export_id"]})
        answer = await other.call("downloadContactExport")
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture
async def world(node: Running) -> AsyncIterator[World]:
    async with client_of(node, node.account.keys["nudgecampaign"]) as client:
        world = World(client)
        taken = (await world.call(UPLOAD)).json()["data"]
        world.ids["import_id"] = taken["import_id"]
        await world.ended("getContactImport", taken["import_id"])
        made = (await world.call("exportContacts")).json()["data"]
        world.ids["export_id"] = made["export_id"]
        await world.ended("getContactExport", made["export_id"])
        yield world


def test_routes_and_contract_name_the_same_operations() -> None:
    starts = ("/v2/contacts/import", "/v2/contacts/export")
    assert set(SERVED) == {id_ for id_, each in CONTRACT.items() if each.paths[0].startswith(starts)}


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(world: World) -> None:
    for operation_id in SERVED:
        contracted, answer = CONTRACT[operation_id], await world.call(operation_id)
        assert answer.status_code == contracted.status, (operation_id, answer.text)
        if contracted.keys:
            assert not missing_keys(answer.json(), contracted.keys), (operation_id, answer.text)


@SQLITE
async def test_every_operation_answers_its_documented_errors(world: World) -> None:
    wrong: dict[str, tuple[Any, ...]] = {
        "exportContacts": (
            {"format": "xls"}, {"fields": []}, {"fields": ["shoe"]}, {"fields": ["email", "email"]},
            {"filters": {"status": "lost"}}, {"filters": {"list_id": "lst_x"}},
            {"filters": {"list_id": show(Noun.LIST, new_id())}}, {"filters": {"shoe": 1}},
        ),
    }  # fmt: skip
    elsewhere = {400, 403, 409, 422, 429, 503}
    for operation_id, operation in SERVED.items():
        unknown = await world.call(operation_id, headers={"X-API-Key": "sk_live_" + "0" * 40})
        assert error_of(unknown) == (401, "ERR_AUTH_INVALID_TOKEN", "authentication_error")
        answered = {401}
        if "{" in operation.paths[0]:
            for nowhere in (show(Noun.IMPORT, new_id()), show(Noun.EXPORT, new_id()), "imp_x", "%00"):
                lost = World(world.client, dict.fromkeys(("import_id", "export_id"), nowhere))
                answer = await lost.call(operation_id)
                assert error_of(answer) == (404, "ERR_RESOURCE_NOT_FOUND", "not_found_error"), operation_id
            answered.add(404)
        for malformed in wrong.get(operation_id, ()):
            answer = await world.call(operation_id, malformed)
            assert error_of(answer) == (422, "ERR_VALIDATION", "validation_error"), malformed
        assert CONTRACT[operation_id].errors <= answered | elsewhere, operation_id


async def test_a_csv_has_the_columns_in_order_and_no_formula(world: World) -> None:
    rows = list(csv.reader(io.StringIO((await world.exported()).decode(), newline="")))
    assert rows == [
        ["email", "first_name", "tags", "custom_fields.note"],
        ["ann@example.com", "Ann", "customer;vip", '\'=HYPERLINK("http://evil.test")'],
        ["bob@example.com", "Bob", "", "'-5"],
    ]


async def test_what_was_exported_can_be_imported_as_it_was(world: World) -> None:
    body = await world.exported(fields=["email", "first_name", "custom_fields.note", "tags"])
    files, data = (
        {"file": ("contacts.csv", body)},
        {"mapping": json.dumps(MAPPING), "update_existing": "true"},
    )
    path = SERVED[UPLOAD].paths[0]
    taken = (await world.client.post(path, files=files, data=data)).json()["data"]
    assert (await world.ended("getContactImport", taken["import_id"]))["succeeded"] == 2
    assert await world.exported(fields=["email", "first_name", "custom_fields.note", "tags"]) == body


async def test_json_holds_values_as_they_are(world: World) -> None:
    told = json.loads(
        await world.exported(format="json", fields=["email", "status", "tags", "custom_fields"])
    )
    assert told[0] == {
        "email": "ann@example.com",
        "status": "subscribed",
        "tags": ["customer", "vip"],
        "custom_fields": {"note": '=HYPERLINK("http://evil.test")'},
    }
    assert json.loads(await world.exported(format="json", filters={"tags": ["nothing"]})) == []


@SQLITE
async def test_filters_narrow_an_export(world: World) -> None:
    only = (await world.exported(fields=["email"], filters={"tags": ["vip", "customer"]})).decode()
    assert only.split() == ["email", "ann@example.com"]
    assert (await world.exported(fields=["email"], filters={"status": "bounced"})).decode().split() == [
        "email"
    ]


@SQLITE
async def test_an_export_is_fetched_by_its_address_until_it_expires(world: World, node: Running) -> None:
    data = (await world.call("getContactExport")).json()["data"]
    assert data["download_url"].startswith("http://localhost")
    answer = await world.client.get(data["download_url"].partition("/nudgecampaign")[2])
    assert answer.headers["content-disposition"] == 'attachment; filename="contacts.csv"'
    assert answer.headers["content-type"].startswith("text/csv")
    later = clock.now_ms() + exports.KEPT_MS + 1
    clock.set_source(lambda: later)
    assert error_of(await world.call("getContactExport"))[0] == 404
    assert error_of(await world.call("downloadContactExport"))[0] == 404


@SQLITE
async def test_an_export_that_is_not_done_is_not_fetched(
    world: World, node: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "kind_in", lambda kind, folder: "nobody's")
    made = (await world.call("exportContacts")).json()["data"]
    assert (made["status"], made["download_url"], made["expires_at"]) == ("processing", None, None)
    waiting = World(world.client, {"export_id": made["export_id"]})
    assert error_of(await waiting.call("downloadContactExport"))[0] == 409


@SQLITE
async def test_the_rows_that_were_not_kept_are_a_file_in_the_console(world: World, node: Running) -> None:
    import_id = to_uuid(path_id(Noun.IMPORT, world.ids["import_id"]))
    headers = {"X-API-Key": node.account.keys["console"]}
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/console", headers=headers) as http:
        told = (await http.get(f"/v1/imports/{import_id}")).json()
        assert not missing_keys(told, load("console")["getImport"].keys)
        assert (told["import"]["status"], told["import"]["failed"]) == ("done", 1)
        answer = await http.get(f"/v1/imports/{import_id}/errors")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert list(csv.reader(io.StringIO(answer.text, newline=""))) == [
        ["row", "field", "message", "content"],
        ["3", "email", "Invalid email address", "nobody,Carl,,"],
    ]
