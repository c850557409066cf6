"""The search reads by key: a narrow one never walks through everybody's events."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text
from tests.factories import make_account
from tests.unit.engine.insight.world import World

from postrider.db.database import Database, Tx
from postrider.engine.journal import EventKind, search
from postrider.engine.messages.facets import Filter
from postrider.kit import clock
from postrider.kit.ids import new_id
from postrider.kit.seal import Sealer

START = 1_795_000_000_000
EVENTS, ORGANIZATIONS = 20_000, 50


@pytest.fixture
def world(database: Database) -> World:
    return World(database, make_account(database, Sealer(b"k" * 32)).organization_id)


@pytest.fixture
def plans(world: World) -> Iterator[list[str]]:
    """How the store would run each SELECT of the test."""
    is_sqlite, found = world.database.is_sqlite, list[str]()

    def listen(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            asked = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
            rows = connection.connection.driver_connection.execute(asked + statement, parameters).fetchall()
            found.append("\n".join(str(row) for row in rows))

    sqlalchemy_event.listen(world.database.engine, "before_cursor_execute", listen)
    yield found
    sqlalchemy_event.remove(world.database.engine, "before_cursor_execute", listen)


def fill(world: World) -> None:
    """Many organizations' events over some weeks, and messages of ours behind some of them."""
    message_ids = [world.mail(START + hour * clock.HOUR, domain_id=new_id()) for hour in range(200)]
    for number, message_id in enumerate(message_ids):
        world.happen(EventKind.DELIVERED, START + number * clock.HOUR, message_id)

    def others(tx: Tx) -> None:
        rows = [
            {
                "o": 100 + number % ORGANIZATIONS,
                "id": (START + number * clock.MINUTE).to_bytes(6, "big") + new_id()[6:],
                "at": START + number * clock.MINUTE,
                "m": new_id(),
            }
            for number in range(EVENTS)
        ]
        tx.execute(
            text(
                "INSERT INTO events (organization_id, id, kind, at, message_id) VALUES (:o, :id, 3, :at, :m)"
            ),
            rows,
        )

    world.database.write_now(others)
    with world.database.engine.connect() as tx:
        tx.exec_driver_sql("ANALYZE")
        tx.commit()


def test_no_search_scans_the_journal_or_the_messages(world: World, plans: list[str]) -> None:
    fill(world)
    wanted: list[search.Filter] = [
        {},
        {"kinds": [EventKind.DELIVERED]},
        {"since": START, "until": START + clock.DAY},
        {"message_ids": [new_id(), new_id()]},
        {"mail": Filter(domain_id=new_id())},
        {"mail": Filter(recipient="ann", sender="shop", subject="hello", text="x")},
    ]
    plans.clear()
    for narrowed in wanted:
        world.database.read_now(lambda tx, asked=narrowed: search.page(tx, 100, limit=50, **asked))  # type: ignore[misc]
        world.database.read_now(lambda tx, asked=narrowed: search.count(tx, 100, **asked))  # type: ignore[misc]
    assert len(plans) == 16, "two of each, and two more where messages are looked at"
    for plan in plans:
        for table in ("events", "messages", "contents"):
            assert f"SCAN {table}" not in plan, plan
            assert f"Seq Scan on {table}" not in plan, plan
    by_message = plans[6]
    assert "ix_events_message" in by_message, by_message


def test_pages_by_key_meet_without_gaps(world: World) -> None:
    message_id = world.mail(START)
    for number in range(25):
        world.happen(EventKind.OPENED, START + number, message_id)
    seen, before = [], None
    while page := world.database.read_now(
        lambda tx, last=before: search.page(tx, world.organization_id, limit=10, before=last)  # type: ignore[misc]
    ):
        seen += [event.at - START for event in page]
        before = page[-1].id
    assert seen == list(range(24, -1, -1))


def test_a_search_of_messages_ends_after_so_many_events(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = new_id()
    old, new = world.mail(START, domain_id=ours), world.mail(START)
    world.happen(EventKind.OPENED, START, old)
    for number in range(1, 6):
        world.happen(EventKind.OPENED, START + number, new)
    found = lambda tx: search.count(tx, world.organization_id, mail=Filter(domain_id=ours))  # noqa: E731
    assert world.database.read_now(found) == 1
    monkeypatch.setattr("postrider.engine.journal.search.store.EXAMINED_MAX", 5)
    assert world.database.read_now(found) == 0
