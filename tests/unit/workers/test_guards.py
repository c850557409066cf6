"""Complaints to a pause, through the followers, the worker and the claim; and back."""

import itertools

import pytest
from sqlalchemy import text
from tests.factories import make_account, make_domain
from tests.unit.engine.journal.test_soft_bounces import ROUTES

from postrider.app import FOLLOWERS
from postrider.db.database import Database
from postrider.engine import journal, messages, sending
from postrider.engine.errors import Forbidden, NotAllowedNow
from postrider.engine.journal import Event, EventKind
from postrider.engine.journal.follow import Dispatch
from postrider.engine.messages import Stream, queue
from postrider.engine.notices import Letterhead
from postrider.engine.principal import Principal
from postrider.engine.sending import Receipt, SendCommand, Submission, guards
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.kit.ids import RowId
from postrider.kit.seal import Sealer
from postrider.workers.guards import Guards

START = 1_900_000_000_000
DELIVERED = 300
LETTERHEAD = Letterhead(Mailbox("postrider@mx.postrider.test"), "https://post.test", ROUTES)


class World:
    """An organization that mails, whose recipients complain, and a clock that stands still."""

    def __init__(self, database: Database, email: str = "owner@example.test") -> None:
        self.sealer = sealer = Sealer(bytes(32))
        self.database = database
        self.organization_id = make_account(database, sealer, email=email).organization_id
        self.principal = Principal(self.organization_id)
        self.owner = email
        make_domain(database, sealer, self.organization_id, f"{email.partition('@')[0]}.example.test")
        self.now = START
        self.numbers = itertools.count()
        clock.set_source(lambda: self.now)
        database.write_now(journal.add_shards, journal.SHARDS)
        self.dispatch = Dispatch(database, FOLLOWERS, "test")
        self.worker = Guards(database, LETTERHEAD)

    def send(self, stream: Stream, count: int = 1, to: str = "") -> list[RowId]:
        """To somebody new each time: who complained is not mailed again."""
        submissions = []
        for _ in range(count):
            address = to or f"ann{next(self.numbers)}@example.com"
            command = SendCommand(to=[Mailbox(address)], subject="S", text="T", stream=stream)
            submissions.append(Submission(self.principal, *sending.prepare(command)))
        ids = []
        for receipt in self.database.write_now(sending.submit, submissions, ROUTES):
            assert isinstance(receipt, Receipt), receipt
            ids.append(receipt.accepted[0].message_id)
        return ids

    async def happen(self, kind: EventKind, ids: list[RowId]) -> None:
        events = [Event(self.organization_id, kind, self.now, id_) for id_ in ids]
        self.database.write_now(journal.record, events)
        while await self.dispatch.once():
            pass

    async def mailed(self, stream: Stream, complaints: int, delivered: int = DELIVERED) -> None:
        """So many were delivered, so many of them complained about, and the guard has looked at it."""
        ids = self.send(stream, delivered)
        await self.happen(EventKind.DELIVERED, ids)
        await self.happen(EventKind.COMPLAINED, ids[:complaints])
        await self.look()

    async def look(self) -> None:
        self.now += guards.JUDGED_AFTER_MS
        await self.worker.once()

    def paused(self) -> list[Stream]:
        return [each.stream for each in self.database.read_now(guards.streams_of, self.principal)]

    def claimed(self) -> list[Stream]:
        """The streams of all its mail that a worker would get now."""
        found: list[Stream] = []
        sites = self.database.write_now(queue.lease_sites, "w", [], 50)
        for site in sites:
            while taken := self.database.write_now(queue.claim, "w", site.id, 500):
                found += [each.stream for each in taken if each.organization_id == self.organization_id]
        self.database.write_now(queue.park, "w", [site.id for site in sites])
        return found

    def subjects(self) -> list[str]:
        """Of what was mailed to the organization's own people."""
        rows = self.database.read_now(
            messages.search, self.organization_id, limit=200, address_key=self.owner
        )
        return [row.subject for row in rows]


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_a_stream_that_is_complained_about_is_paused_and_the_others_are_not(world: World) -> None:
    await world.mailed(Stream.BROADCAST, complaints=3)
    assert world.paused() == [Stream.BROADCAST]
    assert world.subjects() == ["Your broadcast mail is paused: too many complaints"]
    world.claimed()
    world.send(Stream.BROADCAST)
    world.send(Stream.SHARED)
    world.send(Stream.TRANSACTIONAL)
    assert sorted(world.claimed()) == [Stream.TRANSACTIONAL, Stream.SHARED]


async def test_new_mail_of_a_paused_stream_waits_also_on_lanes_made_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postrider.engine.messages.queue.streams.store.LANES_AT_ONCE", 1)
    await world.mailed(Stream.BROADCAST, complaints=3)
    world.claimed()
    world.send(Stream.BROADCAST)
    world.send(Stream.BROADCAST, to="bounce@simulator.postrider.test")  # another site, so another lane
    assert world.claimed() == []
    lanes = world.database.read_now(queue.overview, world.organization_id, 1_000)
    waiting = {lane["name"]: lane["waiting"] for lane in lanes if lane["stream"] == Stream.BROADCAST}
    assert waiting == {"capture": 1, "simulator": 1}
    world.database.write_now(guards.resume, world.principal, Stream.BROADCAST)
    assert world.claimed() == [Stream.BROADCAST] * 2
    assert world.paused() == []


async def test_what_happened_before_a_stream_was_resumed_counts_no_more(world: World) -> None:
    await world.mailed(Stream.BROADCAST, complaints=3)
    world.database.write_now(guards.resume, world.principal, Stream.BROADCAST)
    world.now += clock.HOUR
    await world.mailed(Stream.BROADCAST, complaints=1)
    assert world.paused() == []
    await world.mailed(Stream.BROADCAST, complaints=3)
    assert world.paused() == [Stream.BROADCAST]


async def test_a_warning_is_mailed_once_a_day(world: World) -> None:
    ids = world.send(Stream.SHARED, 1_800)
    await world.happen(EventKind.DELIVERED, ids)
    for first, last in ((0, 2), (2, 4), (4, 5)):  # the second look finds enough, the third no news
        await world.happen(EventKind.COMPLAINED, ids[first:last])
        await world.look()
    assert world.subjects() == ["Recipients complain about your shared mail"]
    assert world.paused() == []
    world.now += clock.DAY
    await world.happen(EventKind.COMPLAINED, ids[10:11])  # judged by the week: the day has no sample
    await world.look()
    assert len(world.subjects()) == 2


async def test_transactional_mail_is_told_of_and_never_paused(world: World) -> None:
    await world.mailed(Stream.TRANSACTIONAL, complaints=30)
    assert world.paused() == []
    assert world.subjects() == ["Recipients complain about your transactional mail"]


async def test_few_complaints_and_small_samples_say_nothing(world: World) -> None:
    await world.mailed(Stream.BROADCAST, complaints=2)
    await world.mailed(Stream.SHARED, complaints=9, delivered=150)
    assert (world.paused(), world.subjects()) == ([], [])


async def test_a_pause_is_told_once_however_many_complain_later(world: World) -> None:
    ids = world.send(Stream.BROADCAST, DELIVERED)
    await world.happen(EventKind.DELIVERED, ids)
    for first in range(0, 9, 3):
        await world.happen(EventKind.COMPLAINED, ids[first : first + 3])
        await world.look()
    assert len(world.subjects()) == 1


async def test_a_lane_paused_by_hand_stays_so_when_its_stream_goes_on(world: World) -> None:
    world.send(Stream.BROADCAST)
    (lane,) = world.database.read_now(queue.overview, world.organization_id, 10)
    assert world.database.write_now(queue.pause_lane, world.organization_id, lane["id"])
    world.database.write_now(queue.pause_stream, world.organization_id, Stream.BROADCAST, "complaints")
    world.database.write_now(guards.resume, world.principal, Stream.BROADCAST)
    assert world.claimed() == []
    world.database.write_now(queue.pause_stream, world.organization_id, Stream.BROADCAST, "complaints")
    assert world.database.write_now(queue.resume_lane, world.organization_id, lane["id"])
    assert world.claimed() == []
    assert world.database.read_now(queue.is_paused, world.organization_id, lane["id"])
    world.database.write_now(guards.resume, world.principal, Stream.BROADCAST)
    assert world.claimed() == [Stream.BROADCAST]


async def test_another_organizations_stream_is_left_alone(world: World) -> None:
    other = World(world.database, "other@example.test")
    clock.set_source(lambda: world.now)
    other.send(Stream.BROADCAST)
    await world.mailed(Stream.BROADCAST, complaints=3)
    assert other.claimed() == [Stream.BROADCAST]
    assert other.paused() == []
    with pytest.raises(NotAllowedNow):
        world.database.write_now(guards.resume, other.principal, Stream.BROADCAST)
    reader = Principal(world.organization_id, scopes=frozenset({"queues:read"}))
    with pytest.raises(Forbidden):
        world.database.write_now(guards.resume, reader, Stream.BROADCAST)
    assert world.paused() == [Stream.BROADCAST]


def test_a_round_without_complaints_reads_an_index(world: World) -> None:
    is_sqlite = world.database.is_sqlite
    asked = "SELECT organization_id FROM stream_guards WHERE due_at <= 5 ORDER BY due_at LIMIT 5"
    with world.database.engine.connect() as tx:
        if not is_sqlite:
            tx.execute(text("SET enable_seqscan = off"))  # of an empty table it would read everything
        rows = tx.execute(text(("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + asked))
        assert "ix_stream_guards_due_at" in "\n".join(str(row) for row in rows)
