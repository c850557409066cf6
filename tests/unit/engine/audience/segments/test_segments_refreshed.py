"""Dynamic segments follow their contacts by themselves, for as long as somebody asks for them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text
from tests.unit.engine.audience.segments.test_segments_kept import (
    IN_PARIS,
    THEM,
    US,
    known,
    make,
    members,
    move,
    people,
)

from postrider.db.database import Database
from postrider.engine.audience import segments
from postrider.engine.audience.segments import parse, refresh, refresh_due
from postrider.engine.audience.segments.refresh import EVERY_MS, FORGOTTEN_MS, LEASE_MS, REST
from postrider.engine.errors import NotAllowedNow
from postrider.kit import clock
from postrider.workers.audience import Segments

START = 1_795_261_140_000


class Time:
    def __init__(self) -> None:
        self.now = START
        clock.set_source(lambda: self.now)


@pytest.fixture
def time() -> Iterator[Time]:
    yield Time()
    clock.set_source(None)


async def rounds(database: Database) -> int:
    """How many segments were refreshed by themselves, until none is due."""
    worker, done = Segments(database), 0
    while await worker.once():
        done += 1
    return done


async def test_a_segment_is_refreshed_by_itself_every_quarter_of_an_hour(
    database: Database, time: Time
) -> None:
    ann, bob = people(database, "Paris", "Rome")
    segment = make(database)
    assert await rounds(database) == 1
    assert members(database, segment) == [ann]
    assert known(database, segment).refreshed_at == START
    move(database, bob, "Paris")
    time.now += EVERY_MS - 1
    assert await rounds(database) == 0
    assert members(database, segment) == [ann]
    time.now += REST * 5_000  # a slow machine's refresh takes seconds
    assert await rounds(database) == 1
    assert members(database, segment) == [ann, bob]
    assert known(database, segment).refreshed_at == time.now


async def test_every_organizations_segments_are_refreshed_and_no_static_one(
    database: Database, time: Time
) -> None:
    (ann,) = people(database, "Paris")
    (eve,) = people(database, "Paris", principal=THEM)
    ours, static = make(database), make(database, None)
    theirs = database.write_now(segments.create, THEM, "Paris", IN_PARIS)
    assert await rounds(database) == 2
    assert members(database, ours) == [ann]
    assert database.read_now(segments.members, THEM, theirs.id) == [eve]
    assert known(database, static).refreshed_at is known(database, static).refresh_at is None


async def test_new_criteria_are_followed_at_once(database: Database, time: Time) -> None:
    ann, bob = people(database, "Paris", "Rome")
    segment = make(database)
    assert await rounds(database) == 1
    in_rome = parse({"items": [{"field": "city", "op": "equals", "value": "Rome"}]})
    under_way = database.write_now(refresh.__globals__["_begin"], US, segment.id)
    database.write_now(segments.update, US, segment.id, items=in_rome.items)
    with pytest.raises(NotAllowedNow):
        await refresh.__globals__["_bring_up"](database, under_way)
    assert await rounds(database) == 1
    assert members(database, segment) == [bob]
    assert members(database, segment) != [ann]


async def test_nobody_begins_what_somebody_asked_for(database: Database, time: Time) -> None:
    people(database, "Paris")
    segment = make(database)
    database.write_now(refresh.__globals__["_begin"], US, segment.id)
    assert await rounds(database) == 0
    time.now += LEASE_MS  # whoever began it was killed
    assert await rounds(database) == 1
    assert known(database, segment).contacts == 1


async def test_a_refresh_gives_way_to_who_asks_for_one(database: Database, time: Time) -> None:
    people(database, "Paris")
    segment = make(database)
    due = database.write_now(refresh.__globals__["_begin_due"])
    assert (await refresh(database, US, segment.id)).contacts == 1
    with pytest.raises(NotAllowedNow):
        await refresh.__globals__["_bring_up"](database, due)
    assert not await refresh_due(database)


async def test_what_takes_long_is_refreshed_more_seldom(database: Database, time: Time) -> None:
    segment = make(database)
    begun, end = (
        database.write_now(refresh.__globals__["_begin"], US, segment.id), refresh.__globals__["_end"]
    )  # fmt: skip
    for took_ms, waits_ms in ((20, EVERY_MS), (20_000, 20_000 * REST)):
        database.write_now(end, begun, START, took_ms)
        assert known(database, segment).refresh_at == START + waits_ms


async def test_a_segment_that_nobody_asks_for_rests_until_somebody_does(
    database: Database, time: Time
) -> None:
    (ann,) = people(database, "Rome")
    segment = make(database)
    assert await rounds(database) == 1
    move(database, ann, "Paris")
    time.now += FORGOTTEN_MS + 1
    assert await rounds(database) == 1
    assert known(database, segment).refresh_at is None
    assert members(database, segment) == []
    assert segments.is_to_note(known(database, segment))
    database.write_now(segments.note_asked, THEM, segment.id)
    assert await rounds(database) == 0, "no other organization wakes it"
    database.write_now(segments.note_asked, US, segment.id)
    assert not segments.is_to_note(known(database, segment)), "once a day is enough"
    assert await rounds(database) == 1
    assert members(database, segment) == [ann]


def test_what_is_due_is_found_by_its_index(database: Database, time: Time) -> None:
    plans = []

    def listen(connection: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        plans.append(statement)

    sqlalchemy_event.listen(database.engine, "before_cursor_execute", listen)
    database.write_now(refresh.__globals__["_begin_due"])
    sqlalchemy_event.remove(database.engine, "before_cursor_execute", listen)
    if not database.is_sqlite:
        return
    (statement,) = [each for each in plans if "refresh_at <=" in each]
    asked = f"EXPLAIN QUERY PLAN {statement.replace('?', '0')}"
    found = database.read_now(lambda tx: [str(row) for row in tx.execute(text(asked))])
    assert any("ix_segments_refresh_at" in row for row in found), found
