"""The list as people keep it: entered, found, counted, taken back, each organization its own."""

from dataclasses import replace
from typing import Any

import pytest

from postrider.db.database import Database, Tx
from postrider.engine import errors, suppression
from postrider.engine.principal import Principal
from postrider.engine.suppression import Class, Entry, Filter, Kept, New, Reason, Scope, Source
from postrider.engine.suppression.put import IMPORT_MAX, NOTE_MAX_CHARS
from postrider.kit import clock
from postrider.kit.ids import new_id

OURS, THEIRS = Principal(1), Principal(2)
HEX = new_id().hex()


def new(address: str, class_: Class = Class.BLOCK, reason: Reason = Reason.MANUAL, **more: Any) -> New:
    return New(address_key=suppression.key_of(address), class_=class_, reason=reason, **more)


def put(database: Database, *entries: New, by: Principal = OURS) -> list[Kept]:
    return [database.write_now(suppression.put, by, entry) for entry in entries]


def found(database: Database, **narrowed: Any) -> list[str]:
    asked: Filter = narrowed  # type: ignore[assignment]
    rows = database.read_now(lambda tx: suppression.browse(tx, OURS, limit=100, **asked))
    count = database.read_now(lambda tx: suppression.count(tx, OURS, **asked))
    assert count == len(rows)
    return [row.address_key.partition("@")[0] for row in rows]


def test_the_list_is_narrowed_by_each_of_its_columns(database: Database) -> None:
    entries = (
        new("ann@example.com", source=Source.API),
        new("ben@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED, scope=Scope.DOMAIN, scope_id=HEX),
        new("c_d@example.org", reason=Reason.COMPLAINT, source=Source.MANUAL, note="They said so"),
        new("cxd@example.org", Class.ALLOW),
    )
    at = [0]
    clock.set_source(lambda: at[0])
    for entry in entries:
        at[0] += 1_000
        put(database, entry)
    assert found(database) == ["cxd", "c_d", "ben", "ann"]
    assert found(database, classes=[Class.BLOCK, Class.ALLOW]) == ["cxd", "c_d", "ann"]
    assert found(database, scopes=[Scope.DOMAIN], scope_id=HEX) == ["ben"]
    assert found(database, reasons=["complaint", "unsubscribed"]) == ["c_d", "ben"]
    assert found(database, sources=["manual"]) == ["c_d"]
    assert found(database, address_key="ann@example.com") == ["ann"]
    assert found(database, pattern="EXAMPLE.COM") == ["ben", "ann"]
    assert found(database, pattern="c_d") == ["c_d"], "an underscore is no wildcard"
    assert found(database, pattern="c*@example.org") == ["cxd", "c_d"]
    assert found(database, pattern="ann") == ["ann"]
    assert found(database, pattern="b*") == ["ben"]
    assert found(database, since=2_000, until=4_000) == ["c_d", "ben"]
    assert found(database, pattern="100%") == []


def test_pages_follow_the_last_one_seen(database: Database) -> None:
    kept = put(database, *(new(f"user{number}@example.com") for number in range(5)))
    page = database.read_now(lambda tx: suppression.browse(tx, OURS, limit=2))
    assert [row.id for row in page] == [kept[4].id, kept[3].id]
    after = database.read_now(lambda tx: suppression.browse(tx, OURS, limit=2, before=page[-1].id))
    assert [row.id for row in after] == [kept[2].id, kept[1].id]
    skipped = database.read_now(lambda tx: suppression.browse(tx, OURS, limit=2, offset=4))
    assert [row.id for row in skipped] == [kept[0].id]


def test_an_address_is_entered_once_in_each_scope_and_class(database: Database) -> None:
    (first,) = put(database, new("Ann@Example.com", note="First"))
    assert (first.address_key, first.note, first.source) == ("ann@example.com", "First", "api")
    with pytest.raises(errors.Conflict):
        put(database, new("ann@example.com", reason=Reason.COMPLAINT))
    put(
        database,
        new("ann@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED),
        new("ann@example.com", scope=Scope.STREAM, scope_id="broadcast"),
    )
    assert database.read_now(suppression.get, OURS, first.id) == first
    addresses = database.read_now(lambda tx: suppression.browse_addresses(tx, OURS, limit=9))
    assert addresses == ["ann@example.com"]
    assert database.read_now(lambda tx: suppression.count_addresses(tx, OURS)) == 1


def test_an_allow_entry_is_shown_at_the_block_it_overrides(database: Database) -> None:
    (block,) = put(database, new("ann@example.com"))
    assert not database.read_now(suppression.get, OURS, block.id).is_allowed
    (allow,) = put(database, new("ann@example.com", Class.ALLOW))
    assert database.read_now(suppression.get, OURS, block.id).is_allowed
    database.write_now(suppression.take_back, OURS, allow.id)
    assert not database.read_now(suppression.get, OURS, block.id).is_allowed


def test_many_are_imported_in_one_write_and_repeats_are_not_counted(database: Database) -> None:
    put(database, new("user0@example.com", note="Kept"))
    many = [new(f"user{number}@example.com") for number in range(IMPORT_MAX)]
    assert database.write_now(suppression.import_many, OURS, many) == IMPORT_MAX - 1
    assert database.write_now(suppression.import_many, OURS, many) == 0
    with pytest.raises(errors.Invalid):
        database.write_now(suppression.import_many, OURS, [*many, new("one-more@example.com")])
    (kept,) = database.read_now(
        lambda tx: suppression.browse(tx, OURS, limit=9, address_key="user0@example.com")
    )
    assert kept.note == "Kept"


def test_entries_are_taken_back_by_id_or_by_address(database: Database) -> None:
    block, optout, here = put(
        database,
        new("ann@example.com"),
        new("ann@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED),
        new("ann@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED, scope=Scope.DOMAIN, scope_id=HEX),
    )
    with pytest.raises(errors.NotFound):
        database.write_now(lambda tx: suppression.take_back(tx, OURS, optout.id, classes=[Class.BLOCK]))
    assert database.write_now(suppression.take_back, OURS, block.id).id == block.id

    def remove(scope: tuple[Scope, str] | None) -> int:
        return database.write_now(
            lambda tx: suppression.take_back_address(
                tx, OURS, "ann@example.com", classes=[Class.OPTOUT], scope=scope
            )
        )

    assert remove((Scope.DOMAIN, new_id().hex())) == 0
    assert remove((Scope.ORGANIZATION, "")) == 1
    assert [row.id for row in database.read_now(lambda tx: suppression.browse(tx, OURS, limit=9))] == [
        here.id
    ]
    assert (remove(None), remove(None)) == (1, 0)


def test_another_organization_neither_sees_nor_touches_an_entry(database: Database) -> None:
    (entry,) = put(database, new("ann@example.com"))
    for act in (suppression.get, suppression.take_back):
        with pytest.raises(errors.NotFound):
            database.write_now(act, THEIRS, entry.id)
        with pytest.raises(errors.NotFound):
            database.write_now(act, THEIRS, new_id())
    classes = [Class.BLOCK]
    assert not database.write_now(
        lambda tx: suppression.take_back_address(tx, THEIRS, "ann@example.com", classes=classes)
    )
    assert database.read_now(lambda tx: suppression.browse(tx, THEIRS, limit=9)) == []
    put(database, new("ann@example.com"), by=THEIRS)
    assert found(database) == ["ann"]


def test_a_reader_may_not_write_and_a_stranger_to_both_may_nothing(database: Database) -> None:
    reader = Principal(1, scopes=frozenset({"suppression:read"}))
    assert database.read_now(lambda tx: suppression.browse(tx, reader, limit=9)) == []
    with pytest.raises(errors.Forbidden):
        put(database, new("ann@example.com"), by=reader)
    sender = Principal(1, scopes=frozenset({"messages:*"}))
    with pytest.raises(errors.Forbidden):
        database.read_now(lambda tx: suppression.browse(tx, sender, limit=9))


def test_what_is_no_address_or_too_long_is_refused(database: Database) -> None:
    for text in ("", "nobody", "a\0@example.com", "a@b@c", "x" * 300 + "@example.com", "a@-.com\r\n"):
        with pytest.raises(errors.Invalid):
            suppression.key_of(text)
    with pytest.raises(errors.Invalid):
        put(database, new("ann@example.com", note="x" * (NOTE_MAX_CHARS + 1)))
    for pattern in ("*a*a*a*a*", "a" * 300, "a\0"):
        with pytest.raises(errors.Invalid):
            found(database, pattern=pattern)


def test_the_operators_entry_stands_in_every_check(database: Database) -> None:
    database.write_now(suppression.put_operator, "ann@example.com", "A court order")
    with pytest.raises(errors.Conflict):
        database.write_now(suppression.put_operator, "ann@example.com", "Again")
    with pytest.raises(errors.Invalid):
        database.write_now(suppression.put_operator, "ben@example.com", " ")
    pairs = [(1, "ann@example.com"), (2, "ann@example.com"), (1, "ben@example.com")]
    assert set(database.read_now(suppression.check, pairs)) == set(pairs[:2])
    (entry,) = database.read_now(lambda tx: suppression.browse_operator(tx, limit=9))
    assert (entry.address_key, entry.reason) == ("ann@example.com", "A court order")
    assert database.read_now(lambda tx: suppression.browse_operator(tx, limit=9, after="b")) == []
    database.write_now(suppression.take_back_operator, "ann@example.com")
    with pytest.raises(errors.NotFound):
        database.write_now(suppression.take_back_operator, "ann@example.com")
    assert database.read_now(suppression.check, pairs) == {}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_neither_looking_an_address_up_nor_ending_a_pause_reads_the_whole_list(database: Database) -> None:
    """Without statistics, which SQLite has none of before somebody asks for them."""
    pause = Entry(1, "ann@example.com", Scope.ORGANIZATION, "", Class.OPTOUT, "unsubscribed", "link")
    database.write_now(suppression.add, [replace(pause, expires_at=1)])

    def plans(tx: Tx) -> list[str]:
        driver: Any = tx.connection.driver_connection
        said: list[str] = []
        driver.set_trace_callback(said.append)
        suppression.check(tx, [(1, "ann@example.com"), (2, "ben@example.com")])
        assert suppression.drop_expired(tx) == 1
        driver.set_trace_callback(None)
        asked = [statement for statement in said if " suppressions" in statement]
        return [str(driver.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()) for statement in asked]

    found, expired, dropped = database.write_now(plans)
    assert "ux_suppressions_address (organization_id=? AND address_key=?" in found
    assert "ix_suppressions_expiring" in expired
    assert "PRIMARY KEY (organization_id=? AND id=?)" in dropped


def test_what_stands_takes_the_place_of_a_pause_and_a_pause_of_nothing_that_stands(
    database: Database,
) -> None:
    clock.set_source(lambda: 1_000)
    entry = Entry(1, "ann@example.com", Scope.ORGANIZATION, "", Class.OPTOUT, "unsubscribed", "link")
    for expires_at in (2_000, 3_000):
        assert database.write_now(suppression.add, [replace(entry, expires_at=expires_at)] * 2) == 1
    assert database.write_now(suppression.add, [entry]) == 1
    assert database.write_now(suppression.add, [replace(entry, expires_at=4_000)]) == 0
    clock.set_source(lambda: 9_000)
    assert database.write_now(suppression.drop_expired) == 0
    assert found(database) == ["ann"]
