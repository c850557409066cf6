"""A recipient pauses: no mail for some days, then all is as it was, and nobody had to do anything."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from tests.factories import DOMAIN, Running
from tests.flow.world import Clock, post, until

from postrider.engine import accounts, journal, messages, suppression
from postrider.engine.audience import contacts
from postrider.engine.audience.model import Contact, ContactInput, OnKnown, Status
from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.kit.ids import RowId
from postrider.workers.timers import Timers

ANN = "ann@example.com"
PAUSE = {"action": "pause", "days": "7"}
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class Desk:
    """Ann, a contact, and the pages of a mail to her."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.clock = Clock()
        self.token = ""
        said = ContactInput(email=ANN)
        self.contact_id = node.database.write_now(
            lambda tx: contacts.create(tx, node.principal, said, source="api")
        )

    async def send(self, stream: str) -> RowId | None:
        """One mail to Ann; None where it is refused because she wants none."""
        mail = {"from": f"shop@{DOMAIN}", "subject": "Hi", "text": "Hi", "to": ANN, "stream_type": stream}
        answer = await post(self.node, "send", mail)
        if answer.status_code != 200:
            assert answer.json()["error"] == "recipient_unsubscribed", answer.text
            return None
        group_id = bytes.fromhex(answer.json()["messageId"].replace("-", ""))
        (row,) = await self.node.database.read(
            messages.messages_of_group, self.node.account.organization_id, group_id
        )
        return RowId(row.id)

    async def opens(self, page: str = "p", form: dict[str, str] | None = None) -> str:
        if not self.token:
            message_id = await self.send("broadcast")
            assert message_id is not None
            self.token = self.node.sealer.message_token(self.node.account.organization_id, message_id)
        path = f"/track/{page}/{self.token}"
        answer = await (self.http.get(path) if form is None else self.http.post(path, data=form))
        assert answer.status_code == 200
        return answer.text

    def contact(self) -> Contact:
        return self.node.database.read_now(contacts.by_address, self.node.principal, ANN)

    async def becomes(self, status: Status) -> None:
        async def is_so() -> bool:
            return self.contact().status is status

        await until(is_so, f"the contact becomes {status.name}")

    async def timers_run(self, until: Status) -> None:
        """All of them at once, which else come in their time, until the contact has some status."""
        node = self.node.node
        timers = Timers(node.db, node.worker, node.keyring, lambda: None)
        running = asyncio.create_task(timers.loop.run())
        await self.becomes(until)
        timers.loop.stop()
        await running

    async def count(self, kind: EventKind) -> int:
        found = await self.node.database.read(
            lambda tx: journal.personal.of_contact(
                tx, self.node.account.organization_id, self.contact_id, after=b"", stretch=1_000
            )
        )
        return sum(event.kind is kind for event in found.found)


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Desk(node, http)


async def test_who_pauses_gets_no_mail_until_the_pause_is_over(desk: Desk) -> None:
    assert "7 days" in await desk.opens()
    assert "You get no mail until" in await desk.opens(form=PAUSE)
    assert await desk.send("broadcast") is None
    assert await desk.send("transactional") is None
    await desk.becomes(Status.UNSUBSCRIBED)
    assert "You get no mail until" in await desk.opens()
    await desk.clock.leap(desk.node, 7 * clock.DAY)
    assert await desk.send("broadcast") is not None, "without waiting for a timer"
    await desk.timers_run(Status.SUBSCRIBED)
    assert await desk.node.database.write(suppression.drop_expired) == 0, "a timer has dropped it"
    assert "7 days" in await desk.opens()
    assert await desk.count(EventKind.UNSUBSCRIBED) == 0, "nobody has left"


async def test_a_pause_spares_transactional_mail_where_opt_outs_do(desk: Desk) -> None:
    settings = {"optouts_stop_transactional": False}
    organization_id = desk.node.account.organization_id
    desk.node.database.write_now(accounts.change_settings, organization_id, settings)
    await desk.opens(form=PAUSE)
    assert await desk.send("broadcast") is None
    assert await desk.send("transactional") is not None


async def test_who_leaves_during_a_pause_stays_away_after_it(desk: Desk) -> None:
    await desk.opens(form=PAUSE)
    await desk.becomes(Status.UNSUBSCRIBED)
    assert "gets no mail" in await desk.opens(form={"action": "leave"})
    assert await desk.count(EventKind.UNSUBSCRIBED) == 1
    assert "gets no mail" in await desk.opens(form=PAUSE), "what was said for good stands"
    await desk.clock.leap(desk.node, 8 * clock.DAY)
    assert await desk.node.database.write(suppression.drop_expired) == 0
    assert await desk.send("broadcast") is None


async def test_an_import_that_says_unsubscribed_outlasts_a_pause(desk: Desk) -> None:
    await desk.opens(form=PAUSE)
    await desk.becomes(Status.UNSUBSCRIBED)
    said = [ContactInput(email=ANN, status=Status.UNSUBSCRIBED)]
    desk.node.database.write_now(
        lambda tx: contacts.save(tx, desk.node.principal, said, on_known=OnKnown.UPDATE, source="import")
    )
    await desk.clock.leap(desk.node, 8 * clock.DAY)
    assert await desk.send("broadcast") is None


async def test_a_pause_is_ended_early_on_either_page(desk: Desk) -> None:
    for page, form in (("p", {"action": "resume"}), ("u", {"action": "resubscribe"})):
        await desk.opens(form=PAUSE)
        assert await desk.send("broadcast") is None
        await desk.opens(page, form)
        assert await desk.send("broadcast") is not None, page


async def test_the_unsubscribe_link_works_during_a_pause(desk: Desk) -> None:
    await desk.opens(form=PAUSE)
    assert "Stop these mails?" in await desk.opens("u")
    assert "You are unsubscribed" in await desk.opens("u", {})
    await desk.clock.leap(desk.node, 8 * clock.DAY)
    assert await desk.send("broadcast") is None


@SQLITE
async def test_only_what_is_offered_can_be_chosen(desk: Desk) -> None:
    for days in ("0", "-1", "100000", "x", ""):
        assert "You get no mail until" not in await desk.opens(form={"action": "pause", "days": days})
    assert await desk.send("broadcast") is not None


@SQLITE
async def test_a_longer_or_shorter_pause_takes_the_place_of_the_last(desk: Desk) -> None:
    for days in ("30", "90", "7"):
        await desk.opens(form={"action": "pause", "days": days})
        (entry,) = desk.node.database.read_now(
            lambda tx: suppression.browse(tx, desk.node.principal, limit=9)
        )
        assert entry.expires_at is not None
        assert round((entry.expires_at - clock.now_ms()) / clock.DAY) == int(days)
    await desk.clock.leap(desk.node, 7 * clock.DAY)
    assert desk.node.database.read_now(lambda tx: suppression.browse(tx, desk.node.principal, limit=9)) == []
    assert desk.node.database.read_now(lambda tx: suppression.count(tx, desk.node.principal)) == 0
