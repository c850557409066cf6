"""Imports through the console: all there are, newest first, a page at a time, each organization its own."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from tests.contract.console_client import Client
from tests.factories import Running, make_account

from postrider.engine.audience import transfer
from postrider.engine.principal import Principal
from postrider.kit.ids import to_uuid


class Desk(Client):
    def begin(self, principal: Principal) -> str:
        folder, db = self.node.node.installation.folder, self.node.database
        with transfer.Incoming(folder, principal.organization_id) as incoming:
            incoming.write(b"ann@example.com\n")
            mapped = transfer.ImportPlan(mapping={"email": 0})
            prepared = transfer.prepare(incoming, mapped)
            begun = db.write_now(transfer.start_import, principal, incoming, mapped, prepared)
            incoming.keep()
        return to_uuid(begun.id)


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Desk(node, http)


async def test_imports_are_listed_newest_first_in_pages(desk: Desk) -> None:
    other = make_account(desk.node.database, desk.node.sealer, email="other@example.test")
    desk.begin(Principal(other.organization_id))
    ids = [desk.begin(desk.node.principal) for _ in range(3)]
    told = await desk.walk("listImports", limit=2)
    assert [each["id"] for each in told["imports"]] == [ids[2], ids[1]]
    rest = await desk.walk("listImports", limit=2, before=told["next"])
    assert ([each["id"] for each in rest["imports"]], rest["next"]) == ([ids[0]], None)
    assert (await desk.walk("getImport", id=ids[0]))["import"]["id"] == ids[0]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_bad_parameter_is_refused(desk: Desk) -> None:
    for wrong in ({"before": "x"}, {"limit": 0}, {"page": 1}):
        await desk.call("listImports", 400, **wrong)
    await desk.call("listImports", 401, key="wrong")
