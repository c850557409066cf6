"""The log of bounces reads by its own index, however many other events there are."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from tests.factories import make_account
from tests.unit.engine.insight.world import World

from postrider.db.database import Database
from postrider.engine.journal import EventKind, bounces
from postrider.engine.journal.bounces import Class, Filter
from postrider.kit import clock
from postrider.kit.seal import Sealer

START = 1_795_000_000_000
NARROWED: list[Filter] = [
    {},
    {"class_": Class.HARD},
    {"class_": Class.COMPLAINT},
    {"since": START, "until": START + clock.HOUR},
    {"address_key": "ann@example.com"},
]


@pytest.fixture
def world(database: Database) -> World:
    """Some mail of which a little bounced and one was complained about."""
    world = World(database, make_account(database, Sealer(bytes(32))).organization_id)
    for number in range(60):
        message_id = world.mail(START + number)
        world.happen(EventKind.DELIVERED, START + number, message_id)
        if number % 10 == 0:
            world.happen(EventKind.BOUNCED, START + number, message_id, **{"class": "hard"})
        if number == 35:
            world.happen(EventKind.COMPLAINED, START + number, message_id)
    return world


@pytest.fixture
def plans(world: World) -> Iterator[list[str]]:
    """How the store would run each SELECT of the test."""
    is_sqlite, found = world.database.is_sqlite, list[str]()

    def listen(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        driver = connection.connection.driver_connection
        if not is_sqlite:
            driver.execute("SET LOCAL enable_seqscan = off")  # small tables are read whole
            driver.execute("SET LOCAL enable_bitmapscan = off")
        asked = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        found.append("\n".join(str(row) for row in driver.execute(asked + statement, parameters).fetchall()))

    sqlalchemy_event.listen(world.database.engine, "before_cursor_execute", listen)
    yield found
    sqlalchemy_event.remove(world.database.engine, "before_cursor_execute", listen)


@pytest.mark.parametrize("narrowed", NARROWED, ids=str)
def test_a_page_and_its_count_walk_through_bounces_only(
    world: World, plans: list[str], narrowed: Filter
) -> None:
    world.database.read_now(
        lambda tx: bounces.page(tx, world.organization_id, limit=50, offset=0, narrowed=narrowed)
    )
    world.database.read_now(bounces.count, world.organization_id, narrowed)
    is_complaint = narrowed.get("class_") is Class.COMPLAINT
    for plan in plans:
        assert "ix_events_complaints" in plan or "ix_events_bounces" in plan, plan
        assert "ix_events_bounces" in plan or is_complaint or "ix_events_complaints" in plan
        for scanned in ("SCAN events", "Seq Scan on events", "SEARCH events_1 USING PRIMARY KEY"):
            assert scanned not in plan, plan


def test_pages_hold_both_kinds_newest_first(world: World) -> None:
    def page(limit: int, offset: int, **narrowed: Any) -> list[tuple[str, int]]:
        asked: Any = narrowed
        found = world.database.read_now(
            lambda tx: bounces.page(tx, world.organization_id, limit=limit, offset=offset, narrowed=asked)
        )
        return [(event.kind.name, event.at - START) for event in found]

    every = [("BOUNCED", 50), ("BOUNCED", 40), ("COMPLAINED", 35), ("BOUNCED", 30), ("BOUNCED", 20)]
    assert page(5, 0) == every
    assert page(2, 1) == every[1:3]
    assert page(9, 5) == [("BOUNCED", 10), ("BOUNCED", 0)]
    assert page(9, 0, class_=Class.COMPLAINT) == [("COMPLAINED", 35)]
    assert page(9, 0, class_=Class.SOFT) == []
    assert page(9, 0, since=START + 30, until=START + 41) == every[1:4]
    assert world.database.read_now(bounces.count, world.organization_id, {}) == 7
    assert world.database.read_now(bounces.count, world.organization_id, {"class_": Class.HARD}) == 6
