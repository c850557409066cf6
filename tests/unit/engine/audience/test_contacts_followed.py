"""What contacts did is counted once, written down, and judged anew where it turns out to be a scanner's."""

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from tests.unit.engine.audience.people import get, make, rows, save
from tests.unit.engine.insight.world import OWNER, World, id_at

from postrider.db.database import Database
from postrider.engine import journal
from postrider.engine.audience import follow
from postrider.engine.audience.model import EngagementKind
from postrider.engine.journal import Event, EventKind, Whose
from postrider.engine.journal.follow import Dispatch
from postrider.kit import clock
from postrider.kit.ids import RowId

AT = 1_795_000_000_000
SCANNED = re.compile(r"SCAN (m|c|e|x|contacts|messages|contents|engagements|events)\b")
COUNTS = ("sent", "opened", "clicked", "bounced")


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    clock.set_source(lambda: AT)
    made = World(database, 1)
    made.dispatch = Dispatch(database, [follow.follower], OWNER)
    yield made
    assert made.dispatch.parked == 0


def counts(world: World, contact_id: RowId) -> tuple[int, ...]:
    contact = get(world.database, contact_id)
    return tuple(getattr(contact, name) for name in COUNTS)


def engaged(world: World) -> list[tuple[Any, ...]]:
    return sorted(rows(world.database, "engagements", "kind, message_id, is_human, link"), key=repr)


def correction(world: World, hit: Event, now: Whose, at: int) -> Event:
    made = journal.correct(hit, now, at=at, scanner={"score": 9, "reasons": []}, first=None)
    return Event(
        world.organization_id, made.kind, at, made.message_id, data=made.data, source_id=made.source_id,
        id=id_at(at),
    )  # fmt: skip


async def test_mail_is_counted_once_however_often_it_is_opened(world: World) -> None:
    contact_id = make(world.database)
    mail = world.mail(AT, links=("https://example.com/a", "https://example.com/b"))
    world.happen(EventKind.SENT, AT + 1, mail)
    world.happen(EventKind.DELIVERED, AT + 2, mail)
    world.happen(EventKind.OPENED, AT + 3, mail, human=True)
    await world.follow()
    world.record(
        world.event(EventKind.OPENED, AT + 9, mail, human=True),
        world.event(EventKind.CLICKED, AT + 10, mail, human=True, link=1),
        world.event(EventKind.CLICKED, AT + 10, mail, link=7),
    )
    await world.follow()
    assert counts(world, contact_id) == (1, 1, 1, 0)
    contact = get(world.database, contact_id)
    last = (contact.last_sent_at, contact.last_opened_at, contact.last_clicked_at, contact.last_activity_at)
    assert last == (AT + 1, AT + 9, AT + 10, AT + 10)
    assert contact.score > 60
    sent, opened, clicked = (int(kind) for kind in EngagementKind)
    assert engaged(world) == sorted(
        [
            (sent, mail, None, None),
            (opened, mail, 1, None),
            (opened, mail, 1, None),
            (clicked, mail, 1, "https://example.com/b"),
            (clicked, mail, None, None),
        ],
        key=repr,
    )


async def test_several_events_of_one_moment_count_once_in_whatever_batches(world: World) -> None:
    contact_id = make(world.database)
    mail = world.mail(AT)
    twins = [
        world.event(kind, AT + 1, mail, **data)
        for kind, data in ((EventKind.OPENED, {"human": True}), (EventKind.BOUNCED, {"class": "soft"}))
        for _ in range(2)
    ]
    world.record(*twins)
    tail = await world.database.read(journal.store.read_tail, range(journal.SHARDS), 10)
    for shard, event in tail:
        follow_one(world, shard, event)
    assert counts(world, contact_id) == (0, 1, 0, 1)


def follow_one(world: World, shard: int, event: Event) -> None:
    """As a batch of its own."""

    def apply(tx: Any) -> None:
        follow.follower.apply(tx, shard, [event])
        journal.store.delete_tail(tx, [(shard, event.id)])

    world.database.write_now(apply)


async def test_a_contact_made_after_the_mail_counts_from_then_on(world: World) -> None:
    other = make(world.database, "bob@example.com")
    mail = world.mail(AT)
    world.happen(EventKind.SENT, AT + 1, mail)
    world.happen(EventKind.OPENED, AT + 2, mail, human=True)
    await world.follow()
    clock.set_source(lambda: AT + 50)
    contact_id = make(world.database)
    assert counts(world, contact_id) == (0, 0, 0, 0)
    for at in (AT + 60, AT + 70):
        world.happen(EventKind.OPENED, at, mail, human=True)
        await world.follow()
    assert counts(world, contact_id) == (0, 1, 0, 0)
    assert get(world.database, contact_id).score > 0
    assert counts(world, other) == (0, 0, 0, 0)


async def test_nobody_elses_contact_of_the_same_address_is_counted(world: World) -> None:
    mine, theirs = make(world.database), make(world.database, by=World(world.database, 2).principal)
    mail = world.mail(AT)
    world.happen(EventKind.SENT, AT + 1, mail)
    await world.follow()
    assert counts(world, mine) == (1, 0, 0, 0)
    found = rows(world.database, "contacts", "id, sent")
    assert dict(found)[theirs] == 0


async def test_what_a_scanner_did_makes_nobody_active(world: World) -> None:
    contact_id = make(world.database)
    mail = world.mail(AT)
    world.happen(EventKind.SENT, AT, mail)
    hit = world.event(EventKind.OPENED, AT + 5, mail, human=True)
    world.record(hit)
    await world.follow()
    assert get(world.database, contact_id).score > 0
    world.record(correction(world, hit, Whose.SCANNER, AT + 9))
    await world.follow()
    contact = get(world.database, contact_id)
    assert (contact.opened, contact.last_activity_at, contact.score) == (1, None, 0)
    assert engaged(world)[-1][2] == 0
    world.record(correction(world, hit, Whose.HUMAN, AT + 10))
    await world.follow()
    contact = get(world.database, contact_id)
    assert (contact.last_activity_at, contact.score > 0) == (AT + 5, True)


async def test_counters_are_what_is_written_whatever_happens_in_whatever_batches(world: World) -> None:
    dice = random.Random(5)
    addresses = [f"p{number}@example.com" for number in range(6)]
    ids = {
        address: saved.contact_id
        for address, saved in zip(addresses, save(world.database, *addresses), strict=True)
    }
    mails = [
        (address, world.mail(AT + number, recipient=address)) for number, address in enumerate(addresses * 4)
    ]
    told = [world.event(EventKind.SENT, AT + 100 + n, mail) for n, (_, mail) in enumerate(mails)]
    for number in range(150):
        kind = dice.choice([EventKind.OPENED, EventKind.OPENED, EventKind.CLICKED])
        hit = world.event(kind, AT + 200 + number // 3, dice.choice(mails)[1], human=dice.random() < 0.7)
        told.append(hit)
    while told:
        portion, told = told[: (size := dice.randrange(1, 30))], told[size:]
        world.record(*portion)
        await world.follow()
    for address in addresses:
        contact = get(world.database, ids[address] or b"")
        own = [
            row
            for row in rows(world.database, "engagements", "contact_id, kind, message_id, at, is_human")
            if row[0] == contact.id
        ]
        by_kind = {kind: {row[2] for row in own if row[1] == kind} for kind in EngagementKind}
        assert [len(by_kind[kind]) for kind in EngagementKind] == [
            contact.sent,
            contact.opened,
            contact.clicked,
        ]
        assert contact.last_activity_at == max(row[3] for row in own if row[1] > 1 and row[4] != 0)


async def test_an_organization_without_contacts_costs_one_look(world: World) -> None:
    mails = [world.mail(AT + number) for number in range(50)]
    events = [world.event(EventKind.SENT, AT + 99, mail) for mail in mails]
    world.record(*events)
    asked: list[str] = []

    def apply(tx: Any) -> None:
        tx.connection.driver_connection.set_trace_callback(asked.append)
        follow.follower.apply(tx, 1, events)
        tx.connection.driver_connection.set_trace_callback(None)

    if not world.database.is_sqlite:
        pytest.skip("only SQLite traces statements")
    world.database.write_now(apply)
    assert len(asked) == 1


async def test_everything_is_found_by_key_among_much(world: World) -> None:
    if not world.database.is_sqlite:
        pytest.skip("only SQLite traces statements")
    save(world.database, *(f"p{number}@example.com" for number in range(500)))
    mails = [world.mail(AT + number, recipient=f"p{number}@example.com") for number in range(500)]
    hits = [world.event(EventKind.OPENED, AT + 600, mail, human=True) for mail in mails]
    world.record(*(world.event(EventKind.SENT, AT + 500, mail) for mail in mails), *hits)
    await world.follow()
    later = [
        *(world.event(EventKind.OPENED, AT + 600, mail) for mail in mails[:3]),
        world.event(EventKind.CLICKED, AT + 700, mails[0], link=0),
        world.event(EventKind.BOUNCED, AT + 700, mails[1], **{"class": "soft"}),
        correction(world, hits[2], Whose.SCANNER, AT + 700),
    ]
    world.record(*later)
    asked: list[str] = []

    def apply(tx: Any) -> list[str]:
        driver = tx.connection.driver_connection
        driver.execute("ANALYZE")
        driver.set_trace_callback(asked.append)
        follow.follower.apply(tx, 1, later)
        follow.fade(tx, 1, (20, b""))
        driver.set_trace_callback(None)
        looked = [each for each in asked if "SELECT 1 FROM contacts" not in each]  # ends with the first
        return [row[-1] for each in looked for row in driver.execute(f"EXPLAIN QUERY PLAN {each}")]

    plans = world.database.write_now(apply)
    assert {"m", "c", "e", "contacts", "engagements"} <= {word for plan in plans for word in plan.split()}
    whole = [plan for plan in plans if plan.endswith("(organization_id=?)") or SCANNED.match(plan)]
    assert (len(asked) > 8, whole) == (True, [])


async def test_scores_fall_with_time_but_never_rise(world: World) -> None:
    contact_id, cold = make(world.database), make(world.database, "cold@example.com")
    mail = world.mail(AT)
    world.happen(EventKind.SENT, AT, mail)
    world.happen(EventKind.CLICKED, AT + 1, mail, human=True)
    await world.follow()
    before = get(world.database, contact_id).score

    def fade() -> None:
        assert world.database.write_now(follow.fade, 1, None) is None

    fade()
    assert get(world.database, contact_id).score == before
    clock.set_source(lambda: AT + 60 * clock.DAY)
    fade()
    assert abs(get(world.database, contact_id).score - before / 2) <= 1
    clock.set_source(lambda: AT)
    fade()
    assert get(world.database, contact_id).score < before
    assert get(world.database, cold).score == 0


async def test_fading_goes_through_all_contacts_in_slices(world: World) -> None:
    count = 2 * follow.FADED_AT_ONCE + 7
    save(world.database, *(f"p{number}@example.com" for number in range(count)))

    def warm(tx: Any) -> None:
        tx.execute(text(f"UPDATE contacts SET score = 90, opened = 1, sent = 1, last_activity_at = {AT}"))

    world.database.write_now(warm)
    clock.set_source(lambda: AT + 600 * clock.DAY)
    slices, place = 1, world.database.write_now(follow.fade, 1, None)
    while place is not None:
        place = world.database.write_now(follow.fade, 1, place)
        slices += 1
    assert slices == 3
    assert {row[0] for row in rows(world.database, "contacts", "score")} == {0}


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ((0, 0, 0, None), (1, 1, 0, 0)),
        ((9, 0, 0, None), (9, 1, 0, 0)),
        ((9, 1, 0, 0), (9, 2, 0, 0)),
        ((9, 2, 0, 0), (4, 2, 0, 0)),
        ((9, 2, 0, 0), (9, 2, 1, 0)),
        ((9, 2, 1, 90), (9, 2, 1, 30)),
        ((1, 1, 1, 0), (10, 10, 10, 0)),
        ((10, 10, 10, 200), (10, 2, 0, 0)),
    ],
)
def test_who_does_more_or_did_it_later_has_a_higher_score(less: Any, more: Any) -> None:
    def score(sent: int, opened: int, clicked: int, days: int | None) -> int:
        last = None if days is None else AT - days * clock.DAY
        return follow.score(sent=sent, opened=opened, clicked=clicked, last_activity_at=last, now=AT)

    assert 0 <= score(*less) < score(*more) <= 100


def test_who_was_sent_nothing_and_did_nothing_has_none() -> None:
    assert follow.score(sent=0, opened=0, clicked=0, last_activity_at=None, now=AT) == 0
