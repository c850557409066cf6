"""Segments and their members: kept, refreshed by the difference, and each organization's own."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from tests.unit.engine.audience.segments.population import NOW

from postrider.db.database import Database, Tx
from postrider.engine.audience import segments
from postrider.engine.audience.model import Total
from postrider.engine.audience.segments import Changed, Match, Refreshed, Segment, parse, refresh
from postrider.engine.audience.tables import contacts, engagements
from postrider.engine.errors import Forbidden, Invalid, NotAllowedNow, NotFound
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId, new_id

US, THEM = Principal(1), Principal(2)
IN_PARIS = parse({"items": [{"field": "city", "op": "equals", "value": "paris"}]})


def people(database: Database, *cities: str, principal: Principal = US) -> list[RowId]:
    """A contact in each city."""
    ids = [new_id() for _ in cities]

    def keep(tx: Tx) -> None:
        tx.execute(
            insert(contacts),
            [
                {
                    "organization_id": principal.organization_id, "id": id_, "email": f"{id_.hex()}@a.test",
                    "address_key": f"{id_.hex()}@a.test", "city": city, "source": "api", "status": 1,
                    "search_text": "", "created_at": NOW, "updated_at": NOW,
                }
                for id_, city in zip(ids, cities, strict=True)
            ],
        )  # fmt: skip

    database.write_now(keep)
    return ids


def move(database: Database, contact_id: RowId, city: str) -> None:
    database.write_now(
        lambda tx: tx.execute(update(contacts).where(contacts.c.id == contact_id).values(city=city))
    )


def make(database: Database, criteria: Any = IN_PARIS, **more: Any) -> Segment:
    return database.write_now(segments.create, US, "Paris", criteria, **more)


def members(database: Database, segment: Segment) -> list[RowId]:
    return database.read_now(segments.members, US, segment.id)


def known(database: Database, segment: Segment) -> Segment:
    return database.read_now(segments.get, US, segment.id)


async def test_a_refresh_writes_the_difference(database: Database) -> None:
    ann, bob, eve = people(database, "Paris", "PARIS", "Rome")
    people(database, "Paris", principal=THEM)
    segment = make(database)
    assert (segment.contacts, segment.refreshed_at) == (0, None)
    assert await refresh(database, US, segment.id) == Refreshed(added=2, removed=0, contacts=2)
    move(database, ann, "Rome")
    move(database, eve, "Paris")
    assert await refresh(database, US, segment.id) == Refreshed(added=1, removed=1, contacts=2)
    assert members(database, segment) == [bob, eve]
    assert await refresh(database, US, segment.id) == Refreshed(added=0, removed=0, contacts=2)
    database.write_now(lambda tx: tx.execute(delete(contacts).where(contacts.c.id == bob)))
    assert await refresh(database, US, segment.id) == Refreshed(added=0, removed=1, contacts=1)
    after = known(database, segment)
    assert (after.contacts, after.round) == (1, 4)
    assert after.refreshed_at is not None


async def test_a_refresh_goes_in_slices(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = people(database, *["Paris"] * 23)
    monkeypatch.setitem(refresh.__globals__, "FOUND_AT_ONCE", 5)
    monkeypatch.setitem(refresh.__globals__, "WRITTEN_AT_ONCE", 2)
    segment = make(database)
    assert await refresh(database, US, segment.id) == Refreshed(23, 0, 23)
    assert members(database, segment) == ids
    for contact_id in ids[::2]:
        move(database, contact_id, "Rome")
    assert await refresh(database, US, segment.id) == Refreshed(0, 12, 11)
    assert members(database, segment) == ids[1::2]


async def test_of_two_refreshes_the_later_goes_on(database: Database) -> None:
    people(database, "Paris")
    segment = make(database)
    begin, write = (refresh.__globals__[name] for name in ("_begin", "_write"))
    earlier = database.write_now(begin, US, segment.id)
    assert (await refresh(database, US, segment.id)).contacts == 1
    with pytest.raises(NotAllowedNow):
        database.write_now(write, earlier, [new_id()], None)


async def test_a_static_segment_has_the_members_it_was_given(database: Database) -> None:
    ann, bob = people(database, "Paris", "Rome")
    (stranger,) = people(database, "Paris", principal=THEM)
    segment, nobody = make(database, None, description="By hand"), new_id()
    added = database.write_now(segments.add, US, segment.id, [bob, ann, bob, stranger, nobody])
    assert added == Changed(2, 2, (stranger, nobody))
    assert database.write_now(segments.add, US, segment.id, [ann]) == Changed(0, 2)
    assert members(database, segment) == [ann, bob]
    assert database.read_now(segments.members, US, segment.id, offset=1) == [bob]
    assert database.write_now(segments.remove, US, segment.id, [ann, nobody]) == Changed(1, 1)
    assert known(database, segment).contacts == 1
    assert [each.id for each in database.read_now(segments.segments_of, US, bob)] == [segment.id]
    assert database.read_now(segments.segments_of, US, ann) == []
    with pytest.raises(NotAllowedNow):
        await refresh(database, US, segment.id)
    with pytest.raises(Invalid):
        database.write_now(segments.update, US, segment.id, match=Match.ANY)
    for ids in ([], [new_id() for _ in range(1_001)]):
        with pytest.raises(Invalid):
            database.write_now(segments.add, US, segment.id, ids)


def test_new_criteria_leave_the_members_until_the_next_refresh(database: Database) -> None:
    (ann,) = people(database, "Paris")
    segment = make(database)
    database.write_now(segments.add, US, segment.id, [ann])
    in_rome = parse({"items": [{"field": "city", "op": "equals", "value": "Rome"}]})
    changed = database.write_now(segments.update, US, segment.id, name="Rome", items=in_rome.items)
    assert (changed.name, changed.criteria, changed.contacts) == ("Rome", in_rome, 1)
    assert database.write_now(segments.update, US, segment.id, match=Match.ANY).criteria != in_rome
    assert database.read_now(segments.count, US, in_rome) == 0


def test_a_preview_is_exact_or_says_that_it_is_an_estimate(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cities = ["Paris"] * 400
    ids = people(database, *cities)
    readers = parse({"items": [{"field": "opened", "op": "at_least", "value": 1, "humans_only": True}]})

    def read(tx: Tx) -> None:
        rows = [
            {
                "organization_id": 1, "kind": 2, "contact_id": id_, "event_id": new_id(), "at": NOW,
                "message_id": new_id(), "is_human": 1,
            }
            for id_ in ids[:300]
        ]  # fmt: skip
        tx.execute(insert(engagements), rows)
        tx.execute(update(contacts).where(contacts.c.id.in_(ids[:300])).values(opened=1, last_opened_at=NOW))

    database.write_now(read)
    assert database.read_now(segments.preview, US, readers) == Total(300)
    monkeypatch.setattr(segments.store, "SMALL", 399)
    assert database.read_now(segments.preview, US, readers) == Total(300), "the sample has too few"
    monkeypatch.setattr(segments.store, "FEW", 0)
    sampled = sum(id_[-1] < 16 for id_ in ids[:300])
    assert database.read_now(segments.preview, US, readers) == Total(16 * sampled, is_exact=False)
    assert database.read_now(segments.preview, US, IN_PARIS) == Total(400), "what is quick is counted"


async def test_a_deleted_segment_leaves_its_contacts(database: Database) -> None:
    (ann,) = people(database, "Paris")
    segment, other = make(database), make(database)
    for each in (segment, other):
        database.write_now(segments.add, US, each.id, [ann])
    await segments.delete(database, US, segment.id)
    assert [each.id for each in database.read_now(segments.page, US)] == [other.id]
    assert members(database, other) == [ann]
    assert database.read_now(segments.count, US, IN_PARIS) == 1
    with pytest.raises(NotFound):
        await segments.delete(database, US, segment.id)


async def test_nobody_elses_segment_is_found(database: Database) -> None:
    segment, reader = make(database), Principal(1, scopes=frozenset({"contacts:read"}))
    for refused, who in ((NotFound, THEM), (Forbidden, reader)):
        with pytest.raises(refused):
            await refresh(database, who, segment.id)
        with pytest.raises(refused):
            await segments.delete(database, who, segment.id)
        for change in (segments.add, segments.remove):
            with pytest.raises(refused):
                database.write_now(change, who, segment.id, [new_id()])
        with pytest.raises(refused):
            database.write_now(segments.update, who, segment.id, name="Mine")
    with pytest.raises(NotFound):
        database.read_now(segments.members, THEM, segment.id)
    assert database.read_now(segments.page, THEM) == []


@pytest.mark.parametrize("name", ["", " ", "x" * 256, "a\nb"])
def test_a_segment_has_a_name_of_one_line(database: Database, name: str) -> None:
    with pytest.raises(Invalid):
        database.write_now(segments.create, US, name, None)
