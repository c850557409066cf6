"""Contacts out of files, through the door and the worker: what is kept, what is told of what is not."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.factories import Running, running_node

from postrider.db.database import Tx
from postrider.engine.audience import contacts
from postrider.engine.audience.model import Contact, ContactFilter, Status
from postrider.engine.audience.transfer import pace

PATIENCE_S = 30
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
MAPPING = '{"email": 0, "first_name": 1, "custom_fields.city": 2, "tags": 3}'
Json = dict[str, Any]


class Desk:
    """The API as a key's holder imports by it."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http

    async def post(self, body: bytes, *, status: int = 201, mapping: str = MAPPING, **fields: Any) -> Json:
        answer = await self.http.post(
            "/v2/contacts/import",
            files={"file": ("contacts.csv", body, "text/csv")},
            data={"mapping": mapping, **fields},
        )
        assert answer.status_code == status, answer.text
        told: Json = answer.json()
        data: Json = told["data" if status == 201 else "error"]
        return data

    async def ended(self, import_id: str) -> Json:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await self.http.get(f"/v2/contacts/import/{import_id}")
                data: Json = answer.json()["data"]
                if data["status"] != "processing":
                    return data
                await asyncio.sleep(0.02)

    async def take(self, body: bytes, **fields: Any) -> Json:
        return await self.ended((await self.post(body, **fields))["import_id"])

    async def refusal(self, body: bytes, **fields: Any) -> str:
        error = await self.post(body, status=422, **fields)
        return f"{error['details'][0]['field']}: {error['details'][0]['message']}"

    async def kept(self) -> dict[str, Contact]:
        def read(tx: Tx) -> list[Contact]:
            return contacts.page(tx, self.node.principal, ContactFilter(), limit=1_000)

        return {contact.email: contact for contact in await self.node.database.read(read)}


@asynccontextmanager
async def desk_of(node: Running) -> AsyncIterator[Desk]:
    headers = {"X-API-Key": node.account.keys["nudgecampaign"]}
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/nudgecampaign", headers=headers) as http:
        yield Desk(node, http)


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with desk_of(node) as desk:
        yield desk


def table(*rows: tuple[str, ...]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


async def test_rows_become_contacts_with_properties_and_tags(desk: Desk) -> None:
    body = table(
        ("Email", "First", "City", "Tags"),
        ("ann@example.com", "Ann", "Bonn", "vip; new"),
        ("bob@example.com", "Bob", "", ""),
    )
    told = await desk.post(body)
    assert (told["status"], told["total"], told["processed"]) == ("processing", 2, 0)
    ended = await desk.ended(told["import_id"])
    assert (ended["status"], ended["succeeded"], ended["failed"]) == ("completed", 2, 0)
    kept = await desk.kept()
    ann, bob = kept["ann@example.com"], kept["bob@example.com"]
    assert (ann.first_name, ann.properties, list(ann.tags)) == ("Ann", {"city": "Bonn"}, ["new", "vip"])
    assert (ann.source, ann.status) == ("import", Status.SUBSCRIBED)
    assert (bob.properties, list(bob.tags)) == ({}, [])


async def test_a_file_without_a_header_loses_no_row(desk: Desk) -> None:
    ended = await desk.take(table(("ann@example.com", "Ann", "", ""), ("bob@example.com", "Bob", "", "")))
    assert (ended["total"], ended["succeeded"]) == (2, 2)


async def test_a_bad_row_is_told_with_its_number_and_stops_no_other(desk: Desk) -> None:
    body = table(
        ("Email", "First", "City", "Tags"), ("ann@example.com", "Ann", "", ""), ("nobody", "", "", "")
    )
    body += b'"bob@example.com,Bob,,\n' + b"carl@example.com,Carl,,\n,Nobody,,\n"
    ended = await desk.take(body)
    assert (ended["succeeded"], ended["failed"], ended["total"]) == (2, 3, 5)
    assert [(each["row"], each["field"]) for each in ended["errors"]] == [(2, "email"), (3, ""), (5, "email")]
    assert (await desk.kept()).keys() == {"ann@example.com", "carl@example.com"}


async def test_a_known_address_is_refused_unless_it_is_to_be_updated(desk: Desk) -> None:
    await desk.take(table(("ann@example.com", "Ann", "Bonn", "")))
    again = table(("ANN@example.com", "Anna", "", ""))
    refused = await desk.take(again)
    assert (refused["succeeded"], refused["failed"]) == (0, 1)
    assert "exists already" in refused["errors"][0]["message"]
    updated = await desk.take(again, update_existing="true")
    assert (updated["succeeded"], updated["failed"]) == (1, 0)
    (ann,) = (await desk.kept()).values()
    assert (ann.first_name, ann.properties) == ("Anna", {"city": "Bonn"})


@SQLITE
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
async def test_files_of_spreadsheets_are_read_as_they_were_meant(
    desk: Desk, encoding: str, delimiter: str
) -> None:
    rows = ["Email|Name|City|Tags", "zoe@example.com|Zoë|Köln|", "bob@example.com|Bób|Malmö|"]
    body = "\r\n".join(row.replace("|", delimiter) for row in rows).encode(encoding)
    ended = await desk.take(body)
    assert (ended["succeeded"], ended["failed"]) == (2, 0)
    zoe = (await desk.kept())["zoe@example.com"]
    assert (zoe.first_name, zoe.properties) == ("Zoë", {"city": "Köln"})


@SQLITE
async def test_what_cannot_be_imported_is_refused_and_leaves_no_file(desk: Desk) -> None:
    good = table(("ann@example.com", "Ann", "", ""))
    assert "empty" in await desk.refusal(b"")
    assert "no rows" in await desk.refusal(b"Email,First,City,Tags\r\n")
    assert "xlsx" in await desk.refusal(b"PK\x03\x04" + bytes(600))
    assert (await desk.refusal(good, mapping='{"email": 4}')).startswith(
        "mapping.email: The file has no column"
    )
    assert (await desk.refusal(good, mapping='{"first_name": 0}')).startswith("mapping.email")
    assert (await desk.refusal(good, mapping='{"email": 0, "shoe": 1}')).startswith("mapping.shoe")
    assert (await desk.refusal(good, mapping='{"email": -1}')).startswith("mapping.email")
    assert (await desk.refusal(good, mapping="[]")).startswith("mapping")
    assert (await desk.refusal(good, list_id="lst_x")).startswith("list_id")
    assert (await desk.refusal(good, update_existing="perhaps")).startswith("update_existing")
    assert (await desk.post(good, status=400, mapping="{"))["code"] == "ERR_VALIDATION"
    plain = await desk.http.post("/v2/contacts/import", json={})
    assert plain.status_code == 400
    folder = desk.node.node.installation.folder
    assert not list(folder.at("imports").iterdir())
    assert not await desk.kept()


@SQLITE
async def test_a_file_past_the_limit_is_refused_as_it_comes(store_url: str, tmp_path: Path) -> None:
    async with (
        running_node(store_url, tmp_path / "data", import_max_bytes=1_024) as node,
        desk_of(node) as desk,
    ):
        assert "larger than 1024" in await desk.refusal(b"ann@example.com,Ann,,\n" * 100)
        assert not list(node.node.installation.folder.at("imports").iterdir())


@SQLITE
async def test_a_long_file_is_read_in_many_pages_and_each_row_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "ROWS_MAX", 64)
    rows = [(f"r{number}@example.com", f"N{number}", "Bonn", "a;b") for number in range(900)]
    ended = await desk.take(table(*rows, *rows[:10]))
    assert (ended["total"], ended["succeeded"], ended["failed"]) == (910, 900, 10)
    assert [each["row"] for each in ended["errors"]] == list(range(901, 911))
    assert len(await desk.kept()) == 900
    folder = desk.node.node.installation.folder
    assert not list(folder.at("imports").iterdir())
