"""Templates in the store: made, found, changed, copied, published; each organization's own."""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from tests.factories import make_account

from postrider.db.database import Database
from postrider.engine.accounts import ROLES
from postrider.engine.content import templates
from postrider.engine.content.templates import (
    Changes,
    Filter,
    Place,
    Sort,
    Template,
    Variable,
    VariableType,
    check,
    find,
    save,
    store,
)
from postrider.engine.errors import Forbidden, NotFound, PlanLimitReached
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import new_id
from postrider.kit.seal import Sealer

WELCOME: Changes = {
    "name": "Welcome",
    "description": "For new readers",
    "category": "newsletter",
    "subject": "Hello, {{ who }}",
    "html": "<p>{{ who }}</p>",
    "text": "{{ who }}",
    "variables": [Variable("who", VariableType.TEXT, "you", required=True)],
}


@pytest.fixture
def operator(database: Database) -> Principal:
    """The installation's first organization."""
    sealer = Sealer(bytes(32))
    return Principal(make_account(database, sealer).organization_id, user_id=new_id())


@pytest.fixture
def other(database: Database, operator: Principal) -> Principal:
    account = make_account(database, Sealer(bytes(32)), email="other@example.test")
    return Principal(account.organization_id)


def make(database: Database, principal: Principal, **given: Any) -> Template:
    changes: Any = {**WELCOME, **given}
    return database.write_now(templates.create, principal, check(changes))


def names(database: Database, principal: Principal, **asked: Any) -> list[str]:
    filter_ = Filter(
        **{name: asked.pop(name) for name in ("category", "is_public", "search") if name in asked}
    )
    found = database.read_now(lambda tx: templates.browse(tx, principal, filter_, **asked))
    assert database.read_now(templates.count, principal, filter_) >= len(found.templates)
    return [each.name for each in found.templates]


def test_a_template_is_read_back_as_it_was_written(database: Database, operator: Principal) -> None:
    now = clock.now_ms()
    clock.set_source(lambda: now)
    made = make(database, operator)
    assert database.read_now(templates.get, operator, made.id) == made
    assert (made.number, made.usage_count, made.is_public, made.mjml) == (1, 0, False, None)
    assert (made.created_by, made.created_at, made.updated_at) == (operator.user_id, now, now)
    assert {name: getattr(made, name) for name in WELCOME} == {**WELCOME, "variables": made.variables}
    assert made.variables == tuple(WELCOME["variables"])
    assert make(database, operator).number == 2  # several may have one name


def test_only_what_is_said_changes(database: Database, operator: Principal) -> None:
    made = make(database, operator)
    later = made.created_at + 1_000
    clock.set_source(lambda: later)
    columns = check({"description": None, "subject": "Hi"}, made)
    changed = database.write_now(templates.update, operator, made.id, columns)
    assert (changed.description, changed.subject, changed.updated_at) == (None, "Hi", later)
    assert (changed.html, changed.variables, changed.category) == (made.html, made.variables, "newsletter")


def test_a_copy_is_a_template_of_its_own(database: Database, operator: Principal) -> None:
    made = make(database, operator, is_public=True)
    database.write_now(templates.count_use, operator, made.id)
    copy = database.write_now(templates.duplicate, operator, made.id)
    assert (copy.name, copy.number, copy.is_public, copy.usage_count) == ("Copy of Welcome", 2, False, 0)
    same = ("description", "category", "subject", "html", "text", "mjml", "variables")
    assert [getattr(copy, name) for name in same] == [getattr(made, name) for name in same]
    long = make(database, operator, name="x" * 255)
    named = database.write_now(lambda tx: templates.duplicate(tx, operator, long.id, name="Short"))
    assert named.name == "Short"
    assert len(database.write_now(templates.duplicate, operator, long.id).name) == 255


def test_what_is_deleted_is_gone(database: Database, operator: Principal) -> None:
    made = make(database, operator)
    database.write_now(templates.remove, operator, made.id)
    for verb in (templates.get, templates.seen):
        with pytest.raises(NotFound):
            database.read_now(verb, operator, made.id)
    with pytest.raises(NotFound):
        database.write_now(templates.remove, operator, made.id)


def test_each_organization_has_its_own(database: Database, operator: Principal, other: Principal) -> None:
    theirs = make(database, operator, name="Theirs")
    assert make(database, other, name="Mine").number == 1
    assert names(database, other) == ["Mine"]
    with pytest.raises(NotFound):
        database.read_now(templates.get, other, theirs.id)
    with pytest.raises(NotFound):
        database.read_now(templates.by_name, other, "Theirs")
    for verb in (templates.duplicate, templates.remove, templates.content_of):
        with pytest.raises(NotFound):
            database.write_now(verb, other, theirs.id)
    with pytest.raises(NotFound):
        database.write_now(templates.update, other, theirs.id, check({"name": "x"}, theirs))


def test_what_the_operator_publishes_is_everybodys_to_read(
    database: Database, operator: Principal, other: Principal
) -> None:
    made = make(database, operator, name="Ours", is_public=True)
    mine = make(database, other, name="Mine")
    assert names(database, other) == ["Mine", "Ours"]
    assert names(database, other, is_public=True) == ["Ours"]
    assert names(database, other, is_public=False) == ["Mine"]
    assert names(database, operator) == ["Ours"]
    assert database.read_now(templates.get, other, made.id) == made
    assert database.write_now(templates.content_of, other, made.id).html == made.content.html
    assert database.read_now(templates.get, operator, made.id).usage_count == 0  # a use of their own
    copy = database.write_now(templates.duplicate, other, made.id)
    assert (copy.organization_id, copy.is_public) == (other.organization_id, False)
    for writing in (
        lambda tx: templates.update(tx, other, made.id, check({"name": "x"}, made)),
        lambda tx: templates.remove(tx, other, made.id),
    ):
        with pytest.raises(NotFound):
            database.write_now(writing)
    for writing in (
        lambda tx: templates.create(tx, other, check({**WELCOME, "is_public": True})),
        lambda tx: templates.update(tx, other, mine.id, check({"is_public": True}, mine)),
    ):
        with pytest.raises(Forbidden):
            database.write_now(writing)
    database.write_now(templates.update, operator, made.id, check({"is_public": False}, made))
    assert names(database, other, is_public=True) == []


def test_lists_are_filtered_sorted_and_go_on_from_a_place(database: Database, operator: Principal) -> None:
    for name, category in (("b", "x"), ("a", "y"), ("C_1", "x")):
        made = make(database, operator, name=name, category=category, description=f"about {name}%")
    for _ in range(2):
        database.write_now(templates.content_of, operator, made.id)
    assert names(database, operator) == ["C_1", "a", "b"]
    assert names(database, operator, sort=Sort.NAME, descending=False) == ["C_1", "a", "b"]
    assert names(database, operator, sort=Sort.USAGE) == ["C_1", "a", "b"]
    assert names(database, operator, category="x") == ["C_1", "b"]
    assert names(database, operator, search="c_") == ["C_1"]
    assert names(database, operator, search="B%") == ["b"]
    assert names(database, operator, search="nothing") == []
    for sort in Sort:
        for descending in (True, False):
            whole = names(database, operator, sort=sort, descending=descending)
            assert one_by_one(database, operator, sort, descending=descending) == whole


def one_by_one(database: Database, principal: Principal, sort: Sort, *, descending: bool) -> list[str]:
    """The names of a list, read in pages of one."""
    told: list[str] = []
    browse = partial(templates.browse, principal=principal, sort=sort, descending=descending, limit=1)
    after: Place | None = None
    while True:
        page = database.read_now(partial(browse, after=after))
        told += [each.name for each in page.templates]
        if not page.has_more:
            return told
        last = page.templates[-1]
        after = Place(getattr(last, sort.value), last.id)


def test_a_page_of_large_templates_ends_early(
    database: Database, operator: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        make(database, operator, name=name, html="x" * 1_000)
    monkeypatch.setattr(find, "PAGE_MAX_BYTES", 2_500)
    page = database.read_now(templates.browse, operator)
    assert ([each.name for each in page.templates], page.has_more) == (["c", "b"], True)
    monkeypatch.setattr(find, "PAGE_MAX_BYTES", 1)
    assert len(database.read_now(templates.browse, operator).templates) == 1


def test_senders_find_by_number_and_by_the_oldest_of_a_name(database: Database, operator: Principal) -> None:
    sender = Principal(operator.organization_id, scopes=frozenset({"messages:send"}))
    first, second = (make(database, operator) for _ in range(2))
    assert database.read_now(templates.by_number, sender, second.number) == second
    assert database.read_now(templates.by_name, sender, "Welcome") == first
    assert database.read_now(templates.seen, sender, first.id) == first
    with pytest.raises(NotFound):
        database.read_now(templates.by_number, sender, 3)


def test_uses_by_campaigns_are_counted(database: Database, operator: Principal) -> None:
    made = make(database, operator)
    subject, html, text = database.write_now(templates.content_of, operator, made.id)
    assert (subject, text) == ('Hello, {{ who | default: "you" }}', '{{ who | default: "you" }}')
    assert html == '<p>{{ who | default: "you" }}</p>'
    database.write_now(templates.content_of, operator, made.id)
    assert database.read_now(templates.get, operator, made.id).usage_count == 2


def test_scopes_are_asked_for(database: Database, operator: Principal) -> None:
    made = make(database, operator)
    reader = Principal(operator.organization_id, scopes=frozenset({"templates:read"}))
    for verb in (templates.duplicate, templates.remove):
        with pytest.raises(Forbidden):
            database.write_now(verb, reader, made.id)
    nobody = Principal(operator.organization_id, scopes=frozenset({"campaigns:read"}))
    with pytest.raises(Forbidden):
        database.read_now(templates.get, nobody, made.id)
    with pytest.raises(Forbidden):
        database.read_now(templates.browse, nobody)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_editors_write_templates_and_viewers_read_them(database: Database, operator: Principal) -> None:
    editor, viewer = (
        Principal(operator.organization_id, scopes=ROLES[role]) for role in ("editor", "viewer")
    )
    made = make(database, editor)
    assert database.read_now(templates.get, viewer, made.id) == made
    with pytest.raises(Forbidden):
        database.write_now(templates.remove, viewer, made.id)


def test_an_organization_has_a_limit(
    database: Database, operator: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save, "TEMPLATES_MAX", 1)
    made = make(database, operator)
    with pytest.raises(PlanLimitReached):
        make(database, operator)
    with pytest.raises(PlanLimitReached):
        database.write_now(templates.duplicate, operator, made.id)


def test_no_template_is_found_by_reading_other_organizations(database: Database, operator: Principal) -> None:
    """Nor is a list put in order by reading what is large."""
    row = check(WELCOME)
    facts = {"number": 1, "created_at": 0, "updated_at": 0}
    principal = Principal(100)

    def fill(tx: Any) -> None:
        for number in range(3_000):
            store.put(
                tx, {**row, **facts, "organization_id": 100 + number, "id": new_id(), "name": str(number)}
            )

    database.write_now(fill)
    if not database.is_sqlite:
        with database.engine.connect() as tx:
            tx.exec_driver_sql("ANALYZE templates")
            tx.commit()
    found = list[str]()

    def listen(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT") and "templates" in statement:
            asked = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
            rows = connection.connection.driver_connection.execute(asked + statement, parameters).fetchall()
            found.append("\n".join(str(each) for each in rows))

    sqlalchemy_event.listen(database.engine, "before_cursor_execute", listen)
    for sort in Sort:
        database.read_now(partial(templates.browse, principal=principal, sort=sort))
    database.read_now(templates.count, principal, Filter(search="x"))
    database.read_now(templates.by_name, principal, "0")
    database.read_now(templates.by_number, principal, 1)
    with pytest.raises(NotFound):
        database.read_now(templates.get, principal, new_id())
    sqlalchemy_event.remove(database.engine, "before_cursor_execute", listen)
    assert len(found) == len(Sort) + 4
    for plan in found:
        assert "SCAN templates" not in plan, plan
        assert "Seq Scan on templates" not in plan, plan
