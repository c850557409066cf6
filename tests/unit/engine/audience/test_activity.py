"""What happened with a contact: its mail newest first, and its time line, each found by an index."""

from typing import Any

import pytest
from sqlalchemy import event as hook
from sqlalchemy import text
from tests.unit.engine.audience.people import OURS, make, save
from tests.unit.engine.insight.world import World

from postrider.db.database import Database, Tx
from postrider.engine.audience import activity, contacts
from postrider.engine.audience.activity import Part
from postrider.engine.errors import Forbidden, NotFound
from postrider.engine.journal import EventKind
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

AT = 1_795_000_000_000
KINDS = (EventKind.SENT, EventKind.OPENED, EventKind.CONTACT_SUBSCRIBED, EventKind.UNSUBSCRIBED)


@pytest.fixture
def world(database: Database) -> World:
    clock.set_source(lambda: AT)
    return World(database, 1)


def timeline(world: World, contact_id: RowId, limit: int = 100, **more: Any) -> list[activity.Happening]:
    part = Part(kinds=more.pop("kinds", KINDS), limit=limit, **more)
    return world.database.read_now(activity.timeline, OURS, contact_id, part)


async def test_mail_to_a_contact_is_told_newest_first_with_its_events_and_bounce(world: World) -> None:
    contact_id = make(world.database)
    mails = [world.mail(AT + number, subject=f"No. {number}") for number in range(activity.find.TOLD_MAX + 3)]
    world.mail(AT, recipient="bob@example.com")
    for number, mail in enumerate(mails):
        world.happen(EventKind.BOUNCED, AT + 100 + number, mail, **{"class": "hard", "reply": f"no {number}"})
    found, total = world.database.read_now(activity.emails, OURS, contact_id, limit=100)
    assert [each.message.id for each in found] == mails[::-1]
    assert total == len(mails)
    assert [each.bounce and (each.bounce.data or {})["reply"] for each in found[:2]] == ["no 22", "no 21"]
    assert [len(each.events) for each in found] == [1] * activity.find.TOLD_MAX + [0] * 3
    rest, _ = world.database.read_now(activity.emails, OURS, contact_id, limit=2, offset=1)
    assert [each.message.subject for each in rest] == ["No. 21", "No. 20"]
    assert [len(each.events) for each in rest] == [1, 1]


async def test_a_time_line_has_the_contacts_mail_and_itself_in_the_order_of_recording(world: World) -> None:
    contact_id, other = make(world.database), make(world.database, "bob@example.com")
    mail, theirs = world.mail(AT), world.mail(AT, recipient="bob@example.com")
    clock.set_source(None)
    for kind, message_id in (
        (EventKind.SENT, mail), (EventKind.SENT, theirs), (EventKind.DELIVERED, mail),
        (EventKind.OPENED, mail),
    ):  # fmt: skip
        world.record(world.event(kind, clock.now_ms(), message_id))
    world.database.write_now(contacts.unsubscribe, OURS, contact_id, reason="too much")
    found = timeline(world, contact_id)
    expected = [EventKind.CONTACT_SUBSCRIBED, EventKind.SENT, EventKind.OPENED, EventKind.UNSUBSCRIBED]
    assert sorted(each.event.kind for each in found) == sorted(expected)
    assert [each.event.id for each in found] == sorted(each.event.id for each in found)
    assert [each.message and each.message.id for each in found if each.event.kind in KINDS[:2]] == [
        mail,
        mail,
    ]
    assert world.database.read_now(activity.count, OURS, contact_id, KINDS) == 4
    assert len(timeline(world, other)) == 2
    newest = timeline(world, contact_id, is_newest_first=True)
    assert [each.event.id for each in newest] == [each.event.id for each in found[::-1]]


async def test_pages_of_a_time_line_miss_nothing_and_repeat_nothing(world: World) -> None:
    contact_id = make(world.database)
    for number in range(6):
        mail = world.mail(AT + number)
        for _ in range(3):
            world.record(world.event(EventKind.OPENED, AT + 100 + number, mail))
    whole = [each.event.id for each in timeline(world, contact_id)]
    for is_newest_first in (False, True):
        seen: list[RowId] = []
        while page := timeline(
            world, contact_id, 4, after=seen[-1] if seen else None, is_newest_first=is_newest_first
        ):
            seen += [each.event.id for each in page]
        assert seen == (whole[::-1] if is_newest_first else whole)
    assert len(whole) == 19


async def test_nobody_sees_what_happened_with_a_foreign_contact(world: World) -> None:
    contact_id = make(world.database)
    part = Part(kinds=KINDS, limit=9)
    for principal, refusal in (
        (Principal(2), NotFound), (Principal(1, scopes=frozenset({"messages:read"})), Forbidden)
    ):  # fmt: skip
        with pytest.raises(refusal):
            world.database.read_now(activity.timeline, principal, contact_id, part)
        with pytest.raises(refusal):
            world.database.read_now(activity.emails, principal, contact_id, limit=9)
        with pytest.raises(refusal):
            world.database.read_now(activity.count, principal, contact_id, KINDS)


async def test_what_happened_is_found_by_index_among_much(world: World) -> None:
    """Plans of the statements as they are sent, in a table of some size."""
    contact_id = make(world.database)
    save(world.database, *(f"p{number}@example.com" for number in range(300)))
    mails = [world.mail(AT + number, recipient=f"p{number}@example.com") for number in range(300)]
    mails.append(world.mail(AT))
    for at, mail in enumerate(mails):
        world.record(*(world.event(EventKind.OPENED, AT + at, mail) for _ in range(5)))
    analyze(world)
    plans = explained(world, contact_id)
    assert len(plans) > 4
    for statement, plan in plans:
        wide = [line for line in plan if is_wide(line)]
        assert not wide, (statement, plan)


def is_wide(line: str) -> bool:
    """A table that is read whole, or all that an organization has in it."""
    whole = ("SCAN events", "SCAN messages", "(organization_id=?)", "Seq Scan on")
    return any(each in line for each in whole) or line == "Index Cond: (organization_id = '1'::bigint)"


def analyze(world: World) -> None:
    with world.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def explained(world: World, contact_id: RowId) -> list[tuple[str, list[str]]]:
    """The statements of looking it all up, and how they are run."""
    plans: list[tuple[str, list[str]]] = []

    def read(tx: Tx) -> None:
        sent: list[tuple[str, Any]] = []

        def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
            sent.append((statement, parameters))

        hook.listen(tx, "before_cursor_execute", note)
        activity.timeline(tx, OURS, contact_id, Part(kinds=KINDS, limit=20, after=bytes(16)))
        activity.count(tx, OURS, contact_id, KINDS)
        activity.emails(tx, OURS, contact_id, limit=20)
        hook.remove(tx, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN " if world.database.is_sqlite else "EXPLAIN "
        for statement, parameters in sent:
            driver: Any = tx.connection.driver_connection
            rows = driver.execute(explain + statement, parameters)
            plans.append((statement, [str(row[-1]).strip() for row in rows]))

    world.database.read_now(read)
    return plans
