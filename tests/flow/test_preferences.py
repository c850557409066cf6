"""A recipient chooses its lists on the page of its mail, or leaves them all; a look at it changes nothing."""

import quopri
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.factories import DOMAIN, Running
from tests.flow.world import post, send, until

from postrider.engine.audience import contacts, lists
from postrider.engine.audience.model import Contact, ContactInput, ContactList, Status
from postrider.engine.delivery import control
from postrider.kit.ids import new_id

ANN = "ann@example.com"


class Desk:
    """Ann on a public and an inner list, and the page of a mail to her."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.weekly, self.daily = self.list("Weekly", public=True), self.list("Daily", public=True)
        self.inner = self.list("Big <spenders>", public=False)
        said = ContactInput(email=ANN, lists=[self.weekly.id, self.inner.id])
        node.database.write_now(lambda tx: contacts.create(tx, node.principal, said, source="api"))

    def list(self, name: str, *, public: bool) -> ContactList:
        return self.node.database.write_now(lists.create, self.node.principal, name, is_public=public)

    async def path(self, to: str = ANN) -> str:
        message_id = await send(self.node, to)
        token = self.node.sealer.message_token(self.node.account.organization_id, message_id)
        return f"/track/p/{token}"

    async def captured(self, count: int) -> str:
        """The newest mail, once there are so many."""
        db, organization_id = self.node.database, self.node.account.organization_id

        async def are_there() -> bool:
            return await db.read(control.count_captured, [organization_id]) == count

        await until(are_there, "captured")
        (newest,) = await db.read(lambda tx: control.list_captured(tx, [organization_id], limit=1))
        found = await db.read(control.one_captured, [organization_id], newest.id)
        assert found is not None
        return quopri.decodestring(found[1]).decode("utf-8", "replace")

    def contact(self) -> Contact:
        return self.node.database.read_now(contacts.by_address, self.node.principal, ANN)


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Desk(node, http)


async def test_the_lists_that_are_shown_are_chosen_and_others_stay(desk: Desk) -> None:
    path = await desk.path()
    shown = (await desk.http.get(path)).text
    assert "Weekly" in shown
    assert "Daily" in shown
    assert "spenders" not in shown
    assert shown.count(" checked") == 1
    assert set(desk.contact().lists) == {desk.weekly.id, desk.inner.id}
    said = {"action": "choose", "list": [desk.daily.id.hex(), desk.inner.id.hex(), "x"]}
    assert "Saved." in (await desk.http.post(path, data=said)).text
    assert set(desk.contact().lists) == {desk.daily.id, desk.inner.id}
    await desk.http.post(path, data={"action": "choose"})
    assert list(desk.contact().lists) == [desk.inner.id]


async def test_whoever_leaves_gets_nothing_more(desk: Desk) -> None:
    path = await desk.path()
    for _ in range(2):
        answer = await desk.http.post(path, data={"action": "leave"})
        assert "gets no mail" in answer.text
    assert desk.contact().status is Status.UNSUBSCRIBED
    await desk.http.post(path, data={"action": "choose", "list": [desk.daily.id.hex()]})
    assert desk.daily.id not in desk.contact().lists


async def test_every_mail_may_link_to_the_page(desk: Desk) -> None:
    html = '<a href="https://a.test">A</a> <a href="{{preferences}}">Your mail</a>'
    body = {"from": f"shop@{DOMAIN}", "subject": "Hi", "html": html}
    sends: list[tuple[str, dict[str, Any]]] = [
        ("send", {"to": ANN}), ("bulk-send", {"recipients": [{"email": ANN}]}),
    ]  # fmt: skip
    for number, (operation, to) in enumerate(sends, start=1):
        answer = await post(desk.node, operation, {**body, **to, "stream_type": "broadcast"})
        assert answer.status_code in (200, 202), answer.text
        (path,) = set(re.findall(r"/track/p/[a-z2-7]+", await desk.captured(number)))
        assert "Weekly" in (await desk.http.get(path)).text, operation


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_who_is_no_contact_or_holds_no_token_finds_no_page(desk: Desk) -> None:
    forged = desk.node.sealer.message_token(desk.node.account.organization_id, new_id())
    for path in (await desk.path("stranger@example.com"), f"/track/p/{forged}", "/track/p/x"):
        assert (await desk.http.get(path)).status_code == 404
        assert (await desk.http.post(path, data={"action": "leave"})).status_code == 404
