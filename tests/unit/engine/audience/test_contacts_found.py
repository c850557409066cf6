"""Contacts are found by what is asked, in the order asked, page by page, quickly among many."""

import itertools
from typing import Any

import pytest
from sqlalchemy import text
from tests.unit.engine.audience.people import OURS, THEIRS, make, save

from postrider.db import portable
from postrider.db.database import Database, Tx
from postrider.engine import errors
from postrider.engine.audience import contacts, lists
from postrider.engine.audience.contacts import pages
from postrider.engine.audience.model import (
    ContactFilter,
    ContactInput,
    ContactSort,
    Stage,
    Status,
    Total,
)
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id


def found(database: Database, sort: ContactSort = ContactSort.CREATED, **asked: Any) -> list[str]:
    """The names before the @, newest first, and the count agrees."""
    narrowed = ContactFilter(**asked)
    page = database.read_now(lambda tx: contacts.page(tx, OURS, narrowed, sort=sort, limit=100))
    assert database.read_now(contacts.count, OURS, narrowed) == Total(len(page))
    return [contact.email.partition("@")[0] for contact in page]


@pytest.fixture(params=["rare", "common"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is rare is read another way than what is common: both must find the same."""
    if request.param == "common":
        monkeypatch.setattr(pages.store, "RARE_MAX", 0)
    return str(request.param)


def test_contacts_are_narrowed_by_each_thing(database: Database, size: str) -> None:
    news = database.write_now(lists.create, OURS, "News")
    segment_id = new_id()
    start = clock.now_ms()
    make(database, "ann@example.com", first_name="Ann", last_name="Lee", tags=["vip", "beta"], source="fair")
    make(database, "ben@example.org", first_name="Benno", tags=["vip"], lists=[news.id], stage=Stage.LEAD)
    clock.set_source(lambda: start + clock.DAY)
    cid = make(database, "cid@example.com", status=Status.BOUNCED, lists=[news.id], last_name="Öztürk")
    make(database, "dot@exämple.com", status=Status.PENDING)
    make(database, "eve@example.com", by=THEIRS, tags=["vip"], first_name="Ann")

    def segment(tx: Tx) -> None:
        tx.execute(
            text(
                "INSERT INTO segments (organization_id, id, name, is_dynamic, contacts, created_at, "
                "updated_at) VALUES (1, :id, 'S', 0, 1, 1, 1)"
            ),
            {"id": segment_id},
        )
        tx.execute(text("INSERT INTO segment_contacts VALUES (1, :id, :cid)"), {"id": segment_id, "cid": cid})

    database.write_now(segment)
    assert found(database) == ["dot", "cid", "ben", "ann"]
    assert found(database, status=[Status.SUBSCRIBED]) == ["ben", "ann"]
    assert found(database, status=[Status.PENDING, Status.BOUNCED]) == ["dot", "cid"]
    assert found(database, source="fair") == ["ann"]
    assert found(database, source="nowhere") == []
    assert found(database, stage=[Stage.LEAD]) == ["ben"]
    assert found(database, stage=[Stage.NONE, Stage.LEAD], tags=["vip"]) == ["ben", "ann"]
    assert found(database, stage=[Stage.CUSTOMER]) == []
    assert found(database, tags=["vip"]) == ["ben", "ann"]
    assert found(database, tags=["vip", "beta"]) == ["ann"]
    assert found(database, tags=["VIP"]) == [], "upper and lower case are different"
    assert found(database, list_id=news.id) == ["cid", "ben"]
    assert found(database, list_id=new_id()) == []
    assert found(database, segment_id=segment_id) == ["cid"]
    assert found(database, segment_id=new_id()) == []
    assert found(database, emails=["ANN@example.com", "nobody", "eve@example.com"]) == ["ann"]
    assert found(database, emails=["nobody"]) == []
    assert found(database, list_id=news.id, status=[Status.BOUNCED], search="cid") == ["cid"]
    assert found(database, tags=["vip"], source="fair", search="LEE") == ["ann"]


def test_the_few_that_common_tags_share_are_found_in_every_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(database, "ann@example.com", tags=["a", "b", "c"])
    make(database, "ben@example.com", tags=["a", "c"])
    make(database, "cid@example.com", tags=["b"])
    make(database, "dot@example.com", tags=["c"])
    monkeypatch.setattr(pages.store, "RARE_MAX", 1)
    for sort in ContactSort:
        assert found(database, sort, tags=["a", "b"]) == ["ann"]
        assert found(database, sort, tags=["a", "b"], search="ben") == []
        assert sorted(found(database, sort, tags=["a", "c"])) == ["ann", "ben"]


def test_a_part_of_address_or_name_is_found_in_any_case(database: Database, size: str) -> None:
    make(database, "ann_lee@example.com", first_name="Ann", last_name="van der Lee", company="Acme")
    make(database, "annxlee@example.org", first_name='A"NN', last_name="100%")
    make(database, "bo@exämple.com", first_name="Иван", last_name="李明")
    for needle, names in {
        "EXAMPLE.ORG": ["annxlee"],
        "n_l": ["ann_lee"],
        "Ann Van": ["ann_lee"],
        "00%": ["annxlee"],
        '"NN': ["annxlee"],
        "ann OR bo": [],
        "ann*": [],
        "xn--exmple": ["bo"],
        "exäm": ["bo"],
        "ИВАН": ["bo"],
        "李明": ["bo"],
        "b": ["bo"],
        "LE": ["bo", "annxlee", "ann_lee"],
        "%": ["annxlee"],
        "lee\nann": [],
        "acme": [],
    }.items():
        assert found(database, search=needle) == names, needle
    for needle in ("x" * 255, "a\0b"):
        with pytest.raises(errors.Invalid):
            found(database, search=needle)


def test_what_is_found_changes_with_the_contact(database: Database) -> None:
    contact_id = make(database, first_name="Ann")
    make(database, first_name="Zoë", city="Rome")
    assert (found(database, search="ann"), found(database, search="zoë")) == (["ann"], ["ann"])
    given = ContactInput(email="bea@example.com", first_name="Bea")
    database.write_now(lambda tx: contacts.change(tx, OURS, contact_id, given))
    assert (found(database, search="zoë"), found(database, search="ann@")) == ([], [])
    assert found(database, search="bea@") == ["bea"]
    database.write_now(contacts.delete, OURS, contact_id)
    assert found(database, search="bea") == []
    make(database, "bea@example.com")
    assert found(database, search="bea") == ["bea"]


def test_pages_by_cursor_and_by_offset_show_each_contact_once(database: Database, size: str) -> None:
    given = [ContactInput(email=f"{name}@example.com", tags=["all"]) for name in "gbfdace"]
    ids = [saved.contact_id for saved in save(database, *given)]

    def score(tx: Tx) -> None:
        for number, contact_id in enumerate(ids):
            tx.execute(
                text("UPDATE contacts SET score = :score, updated_at = :at WHERE id = :id"),
                {"score": number % 3, "at": number % 2, "id": contact_id},
            )

    database.write_now(score)
    asked: list[dict[str, Any]] = [
        {}, {"search": "example"}, {"tags": ["all"]}, {"status": [Status.SUBSCRIBED]},
    ]  # fmt: skip
    for filter_, sort, descending in itertools.product(asked, ContactSort, (True, False)):
        walk(database, ContactFilter(**filter_), sort, descending)


def walk(database: Database, asked: ContactFilter, sort: ContactSort, descending: bool) -> None:
    def page(tx: Tx, /, limit: int = 2, **place: Any) -> list[Any]:
        return contacts.page(tx, OURS, asked, limit=limit, sort=sort, descending=descending, **place)

    whole = database.read_now(page, limit=9)
    keys = [(getattr(each, sort.value), each.id) for each in whole]
    assert (keys, len(keys)) == (sorted(keys, reverse=descending), 7)
    by_offset = [each for start in range(0, 8, 2) for each in database.read_now(page, offset=start)]
    assert by_offset == whole
    by_cursor: list[Any] = []
    while some := database.read_now(
        page, after=contacts.cursor_of(by_cursor[-1], sort) if by_cursor else None
    ):
        by_cursor += some
    assert by_cursor == whole


def test_a_cursor_goes_on_where_its_contact_was_deleted(database: Database) -> None:
    save(database, *(f"{name}@example.com" for name in "abcde"))
    for asked in (ContactFilter(), ContactFilter(search="example")):
        page = database.read_now(lambda tx: contacts.page(tx, OURS, asked, limit=2))  # noqa: B023
        after = contacts.cursor_of(page[-1], ContactSort.CREATED)
        database.write_now(contacts.delete, OURS, page[-1].id)
        following = database.read_now(
            lambda tx: contacts.page(tx, OURS, asked, limit=2, after=after)  # noqa: B023
        )
        assert following[0].email < page[-1].email
        assert len(following) == 2


def test_beyond_what_is_counted_a_total_is_at_least(database: Database, monkeypatch: Any) -> None:
    save(database, *(ContactInput(email=f"{name}@example.com", tags=["all"]) for name in "abcde"))
    monkeypatch.setattr(pages.store, "COUNT_MAX", 3)
    assert database.read_now(contacts.count, OURS) == Total(3, is_exact=False)
    asked = ContactFilter(search="example")
    assert database.read_now(contacts.count, OURS, asked) == Total(3, is_exact=False)
    assert database.read_now(contacts.count, OURS, ContactFilter(tags=["all"])) == Total(5)


def test_reading_wants_its_scope(database: Database) -> None:
    nobody = Principal(1, scopes=frozenset({"messages:read"}))
    with pytest.raises(errors.Forbidden):
        database.read_now(lambda tx: contacts.page(tx, nobody, limit=1))
    with pytest.raises(errors.Forbidden):
        database.read_now(contacts.count, nobody)
    with pytest.raises(errors.Forbidden):
        database.read_now(contacts.get, nobody, new_id())


MANY = 4_000


def crowd(database: Database) -> RowId:
    news = database.write_now(lists.create, OURS, "News")
    for start in range(0, MANY, 500):
        save(
            database,
            *(
                ContactInput(
                    email=f"user{number}@example.com",
                    tags=["all", f"t{number % 100}"],
                    lists=[news.id],
                    source=f"s{number % 2}",
                )
                for number in range(start, start + 500)
            ),
        )
    with database.engine.connect() as tx:
        tx.exec_driver_sql("ANALYZE")
        tx.commit()
    return news.id


def test_no_page_sorts_or_scans_what_is_common(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's plans are ours to choose; PostgreSQL chooses by what it knows of so few rows."""
    if not database.is_sqlite:
        pytest.skip("its planner decides by size")
    list_id = crowd(database)
    plans: list[tuple[str, str]] = []
    run = portable.run

    def explained(tx: Tx, statement: str, parameters: Any = ()) -> list[Any]:
        if statement.startswith("SELECT c.id"):
            rows = run(tx, "EXPLAIN QUERY PLAN " + statement, parameters)
            plans.append((statement, "\n".join(str(row[3]) for row in rows)))
        return run(tx, statement, parameters)

    monkeypatch.setattr(portable, "run", explained)
    common: list[dict[str, Any]] = [
        {}, {"status": [Status.SUBSCRIBED]}, {"source": "s1"}, {"tags": ["all"]}, {"list_id": list_id},
        {"stage": [Stage.NONE]}, {"stage": [Stage.NONE, Stage.SUBSCRIBER]},
        {"search": "example"}, {"tags": ["all"], "search": "example"},
    ]  # fmt: skip
    for asked in common:
        for sort in ContactSort:
            plans.clear()
            assert len(found_many(database, sort, asked)) == 50
            ((statement, plan),) = plans
            assert "TEMP B-TREE" not in plan, (statement, plan)
            assert "SCAN c" not in plan.replace("SCAN contact_search VIRTUAL TABLE INDEX", ""), (
                statement,
                plan,
            )
    rare: list[dict[str, Any]] = [
        {"tags": ["t7"]},
        {"search": "user77"},
        {"status": [Status.BOUNCED]},
        {"source": "s3"},
        {"stage": [Stage.LEAD, Stage.CUSTOMER]},
    ]
    for asked in rare:
        for sort in ContactSort:
            plans.clear()
            found_many(database, sort, asked)
            ((statement, plan),) = plans
            assert "organization_id=? AND id=?" in plan, (statement, plan)


def found_many(database: Database, sort: ContactSort, asked: dict[str, Any]) -> list[Any]:
    narrowed = ContactFilter(**asked)
    return database.read_now(lambda tx: contacts.page(tx, OURS, narrowed, sort=sort, limit=50))
