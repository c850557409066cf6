"""Signing up: a form is filled in, a mail asks, a page is confirmed; no robot signs anybody up."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import Running
from tests.flow.world import Clock, until

from postrider.db.database import Tx
from postrider.engine import journal, messages
from postrider.engine.audience import contacts, lists, privacy
from postrider.engine.audience.model import Consent, Contact, ContactInput, Status
from postrider.engine.audience.privacy import Token, Use, tokens
from postrider.engine.delivery import control
from postrider.engine.errors import NotFound
from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id, to_uuid
from postrider.surfaces.track.consent import SIGN_UPS_MAX

CONTRACT = load("console")
ANN = "ann@example.com"
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class Desk:
    """The public pages of an account with one public list."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.list_id = node.database.write_now(lists.create, node.principal, "Weekly", is_public=True).id

    async def form(self, status: int = 200) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.node.account.keys['console']}"}
        path = CONTRACT["getListForm"].paths[0].format(id=to_uuid(self.list_id))
        answer = await self.http.get(f"/console{path}", headers=headers)
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def sign_up(self, **said: str) -> httpx2.Response:
        url = (await self.form())["form"]["url"]
        return await self.http.post(url[url.index("/track") :], data=said, headers={"User-Agent": "Browser"})

    def contact(self, email: str = ANN) -> Contact:
        return self.node.database.read_now(contacts.by_address, self.node.principal, email)

    async def mailed(self) -> str:
        """The path of the link in the one mail that came."""
        organization_id = self.node.account.organization_id
        db = self.node.database

        async def is_there() -> bool:
            return bool(await db.read(lambda tx: control.list_captured(tx, [organization_id], limit=5)))

        await until(is_there, "captured")
        (mail,) = await db.read(lambda tx: control.list_captured(tx, [organization_id], limit=5))
        found = await db.read(control.one_captured, [organization_id], mail.id)
        assert found is not None
        raw = found[1].decode("utf-8", "replace").replace("=\r\n", "")
        (path,) = {unescape(each) for each in re.findall(r"/track/confirm/[a-z2-7]+", raw)}
        return path

    def link(self, contact: Contact, *, issued_at: int | None = None, use: Use = Use.CONFIRM) -> str:
        issued_at = clock.now_ms() if issued_at is None else issued_at
        token = Token(contact.organization_id, contact.id, self.list_id, issued_at)
        return f"/track/confirm/{tokens.make(self.node.sealer, use, token)}"

    def know(self, **facts: Any) -> Contact:
        said = ContactInput(email=ANN, **facts)
        self.node.database.write_now(lambda tx: contacts.create(tx, self.node.principal, said, source="api"))
        return self.contact()


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Desk(node, http)


async def test_whoever_signs_up_is_subscribed_once_the_mailed_page_is_confirmed(desk: Desk) -> None:
    assert not missing_keys(await desk.form(), CONTRACT["getListForm"].keys)
    answer = await desk.sign_up(email=ANN, name="Ann Lee")
    assert (answer.status_code, "mailbox" in answer.text) == (200, True)
    pending = desk.contact()
    assert (pending.status, pending.source, pending.name) == (Status.PENDING, "signup_form", "Ann Lee")
    assert not pending.lists
    assert pending.consent == Consent(ip_address="127.0.0.1", user_agent="Browser")
    path = await desk.mailed()
    for _ in range(2):  # a scanner
        assert "Nothing changes until" in (await desk.http.get(path)).text
    assert desk.contact().status is Status.PENDING
    answer = await desk.http.post(path, headers={"User-Agent": "Browser 2"})
    assert "is confirmed" in answer.text
    contact = desk.contact()
    assert (contact.status, list(contact.lists)) == (Status.SUBSCRIBED, [desk.list_id])
    assert contact.consent is not None
    assert contact.consent.email_marketing
    assert (contact.consent.user_agent, contact.consent.ip_address) == ("Browser 2", "127.0.0.1")
    events = desk.node.database.read_now(_kinds, desk.node.account.organization_id)
    assert events.count(EventKind.CONTACT_SUBSCRIBED) == 1


async def test_a_link_counts_once(desk: Desk) -> None:
    contact = desk.know(status=Status.PENDING)
    path = desk.link(contact)
    assert (await desk.http.post(path)).status_code == 200
    db, principal = desk.node.database, desk.node.principal
    db.write_now(lambda tx: contacts.unsubscribe(tx, principal, contact.id))
    assert "is confirmed" in (await desk.http.post(path)).text
    assert desk.contact().status is Status.UNSUBSCRIBED


async def test_who_opted_out_comes_back_by_signing_up_again(desk: Desk) -> None:
    contact = desk.know()
    db, principal = desk.node.database, desk.node.principal
    db.write_now(lambda tx: contacts.unsubscribe(tx, principal, contact.id))
    await desk.sign_up(email=ANN.upper())
    assert desk.contact().status is Status.UNSUBSCRIBED
    assert (await desk.http.post(desk.link(contact, issued_at=clock.now_ms() + 1))).status_code == 200
    assert desk.contact().status is Status.SUBSCRIBED


@SQLITE
async def test_one_mail_a_day_however_often_an_address_is_typed(desk: Desk) -> None:
    for _ in range(3):
        assert (await desk.sign_up(email=ANN)).status_code == 200
    organization_id = desk.node.account.organization_id
    assert desk.node.database.read_now(messages.count, organization_id, address_key=ANN) == 1


@SQLITE
async def test_robots_and_bad_addresses_sign_up_nobody(desk: Desk) -> None:
    assert (await desk.sign_up(email=ANN, website="http://spam.test")).status_code == 200
    answer = await desk.sign_up(email='"><script>@x', name="x")
    assert (answer.status_code, "<script>" in answer.text) == (400, False)
    assert (await desk.sign_up()).status_code == 400
    with pytest.raises(NotFound):
        desk.contact()


@SQLITE
async def test_a_form_ends_with_its_list_being_public(desk: Desk) -> None:
    url = (await desk.form())["form"]["url"]
    assert (await desk.http.get(url[url.index("/track") :])).status_code == 200
    desk.node.database.write_now(
        lambda tx: lists.update(tx, desk.node.principal, desk.list_id, is_public=False)
    )
    assert (await desk.http.get(url[url.index("/track") :])).status_code == 404
    assert (await desk.form(409))["error"]["code"] == "not_allowed_now"


@SQLITE
async def test_links_that_are_old_forged_or_of_another_page_lead_nowhere(desk: Desk) -> None:
    contact = desk.know(status=Status.PENDING)
    good = desk.link(contact)
    old = desk.link(contact, issued_at=clock.now_ms() - privacy.consent.VALID_MS - 1)
    for path in (old, desk.link(contact, use=Use.FORM), good[:-2] + "aa", good[:-1], "/track/confirm/ü"):
        assert (await desk.http.get(path)).status_code == 404, path
        assert (await desk.http.post(path)).status_code == 404, path
    stranger = Token(contact.organization_id, new_id(), None, clock.now_ms())
    path = f"/track/confirm/{tokens.make(desk.node.sealer, Use.CONFIRM, stranger)}"
    assert (await desk.http.get(path)).status_code == 404
    assert desk.contact().status is Status.PENDING


@SQLITE
async def test_one_address_signs_up_ten_times_an_hour_at_one_form(desk: Desk) -> None:
    for number in range(SIGN_UPS_MAX):
        assert (await desk.sign_up(email=f"user{number}@example.com")).status_code == 200
    refused = await desk.sign_up(email=ANN)
    assert refused.status_code == 429
    assert 3_500 < int(refused.headers["retry-after"]) <= 3_600
    assert re.search("Try again in (59|60) minutes", refused.text)
    with pytest.raises(NotFound):
        desk.contact()
    first = desk.list_id
    desk.list_id = desk.node.database.write_now(lists.create, desk.node.principal, "Daily", is_public=True).id
    assert (await desk.sign_up(email="ben@example.com")).status_code == 200, "another form counts for itself"
    desk.list_id = first
    await Clock().leap(desk.node, clock.HOUR)
    assert (await desk.sign_up(email=ANN)).status_code == 200


def _kinds(tx: Tx, organization_id: int) -> list[EventKind]:
    return [event.kind for event in journal.page_after(tx, organization_id, RowId(b""), 100)]
