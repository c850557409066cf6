"""How often an address was mailed of late: by address and time alone, however much mail there is."""

from typing import Any

import pytest

from postrider.db import portable
from postrider.db.database import Database, Tx
from postrider.engine import messages
from postrider.engine.messages import NewMessage, Role, Status, Stream
from postrider.engine.messages.frequency import NEWEST_MAX, recently_mailed
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor, new_id

ORGANIZATION, OTHER = 1, 2
NOW = 1_768_739_696_000
DAY = clock.DAY
MANY = (Stream.BROADCAST, Stream.SHARED)
EXPLAIN = {True: "EXPLAIN QUERY PLAN ", False: "EXPLAIN "}


def made(key: str, at: int, **given: Any) -> NewMessage:
    """A message made at a time; its id tells it."""
    defaults: dict[str, Any] = {
        "organization_id": ORGANIZATION,
        "id": RowId(id_floor(at)[:6] + new_id()[6:]),
        "group_id": new_id(),
        "content_id": new_id(),
        "campaign_id": None,
        "recipient": key,
        "address_key": key,
        "role": Role.TO,
        "vars": None,
        "stream": Stream.BROADCAST,
        "declared_stream": Stream.BROADCAST,
        "domain_id": None,
        "created_at": at,
        "due_at": None,
        "is_test": False,
        "status": Status.DELIVERED,
    }
    return NewMessage(**{**defaults, **given})


def keep(database: Database, new: list[NewMessage]) -> None:
    database.write_now(messages.insert_messages, new, [0] * len(new))


def counted(database: Database, *keys: str, **given: Any) -> dict[str, int]:
    asked = {"since": NOW - 7 * DAY, "streams": MANY, **given}
    return database.read_now(lambda tx: recently_mailed(tx, ORGANIZATION, keys, **asked))


def test_each_address_is_counted_from_the_time_on(database: Database) -> None:
    edge = NOW - 7 * DAY
    keep(
        database,
        [made("ann@x.test", at) for at in (NOW, NOW - DAY, edge, edge - 1)]
        + [made("bob@x.test", NOW - 8 * DAY), made("eve@x.test", NOW)],
    )
    assert counted(database, "ann@x.test", "bob@x.test", "nobody@x.test") == {"ann@x.test": 3}
    assert counted(database, "ann@x.test", "bob@x.test", since=0) == {"ann@x.test": 4, "bob@x.test": 1}
    assert counted(database) == {}


def test_only_the_streams_that_are_asked_for_count(database: Database) -> None:
    keep(database, [made("ann@x.test", NOW, stream=stream) for stream in Stream])
    assert counted(database, "ann@x.test", streams=()) == {}
    for stream in Stream:
        assert counted(database, "ann@x.test", streams=[stream]) == {"ann@x.test": 1}
    assert counted(database, "ann@x.test", streams=Stream) == {"ann@x.test": 3}


@pytest.mark.parametrize("status", Status)
def test_what_never_left_does_not_count_and_what_waits_does(database: Database, status: Status) -> None:
    keep(database, [made("ann@x.test", NOW, status=status)])
    went = status not in (Status.FAILED, Status.SUPPRESSED, Status.CANCELLED)
    assert counted(database, "ann@x.test") == ({"ann@x.test": 1} if went else {})


def test_test_copies_and_other_organizations_do_not_count(database: Database) -> None:
    keep(
        database,
        [made("ann@x.test", NOW, is_test=True), made("ann@x.test", NOW, organization_id=OTHER)],
    )
    assert counted(database, "ann@x.test") == {}


def test_a_page_of_a_thousand_addresses_is_answered_whole(database: Database) -> None:
    keys = [f"p{number}@x.test" for number in range(1_000)]
    keep(database, [made(key, NOW) for key in keys[::2]])
    assert counted(database, *keys, *keys) == dict.fromkeys(keys[::2], 1)


def test_an_address_that_is_mailed_without_end_is_not_counted_to_its_end(database: Database) -> None:
    keep(database, [made("ann@x.test", NOW - number) for number in range(NEWEST_MAX + 5)])
    assert counted(database, "ann@x.test") == {"ann@x.test": NEWEST_MAX}


def test_only_the_index_of_addresses_is_searched(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # PostgreSQL decides by size: so many that reading all is never the cheaper way.
    crowd = [made(f"c{number % 2_000}@x.test", NOW - number) for number in range(20_000)]
    keep(database, crowd)
    if not database.is_sqlite:
        database.write_now(lambda tx: portable.run(tx, "ANALYZE messages"))
    plans: list[str] = []
    run = portable.run

    def explained(tx: Tx, statement: str, parameters: Any = ()) -> list[Any]:
        rows = run(tx, EXPLAIN[database.is_sqlite] + statement, parameters)
        plans.append("\n".join(str(row[3] if database.is_sqlite else row[0]) for row in rows))
        return run(tx, statement, parameters)

    monkeypatch.setattr(portable, "run", explained)
    found = counted(database, *(f"c{number}@x.test" for number in range(1_000)))
    assert (len(found), sum(found.values())) == (1_000, 10_000)
    assert plans
    for plan in plans:
        assert "ix_messages_address" in plan, plan  # alone: by it a page costs what its addresses got
        if database.is_sqlite:
            assert "SEARCH m USING COVERING INDEX ix_messages_address" in plan, plan
            assert "id>?" in plan, plan
            assert "SCAN m" not in plan, plan
        else:
            assert "Seq Scan" not in plan, plan
