"""Groups and definitions are kept; values are counted, and contacts found by them in their order."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text
from tests.factories import make_account

from postrider.db.database import Database, Tx
from postrider.engine.audience import properties
from postrider.engine.audience.model import PropertyType
from postrider.engine.audience.properties import NewDefinition, NewGroup, Operator
from postrider.engine.errors import Conflict, Forbidden, Invalid
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId, new_id
from postrider.kit.seal import Sealer


class World:
    """Contacts as their properties alone, beside those of another organization."""

    def __init__(self, database: Database) -> None:
        self.database = database
        sealer = Sealer(b"k" * 32)
        self.principal = Principal(make_account(database, sealer).organization_id)
        self.other = Principal(make_account(database, sealer, email="other@example.test").organization_id)
        self.names: dict[RowId, str] = {}
        self.known: dict[str, tuple[RowId, Mapping[str, Any]]] = {}

    def write(self, **contacts: Mapping[str, Any]) -> None:
        """Give contacts, by name, these properties and no others."""
        self.write_of(self.principal, contacts)

    def write_of(self, principal: Principal, contacts: Mapping[str, Mapping[str, Any]]) -> None:
        changes = []
        for name, after in contacts.items():
            contact_id, before = self.known.get(name, (new_id(), {}))
            changes.append((contact_id, before, after))
            self.known[name] = (contact_id, after)
            self.names[contact_id] = name
        self.database.write_now(properties.write_values, principal.organization_id, changes)

    def find(self, name: str, operator: str, value: Any = None, **page: int) -> str:
        """The names of who is found, in order; as many as are counted, or a fault."""
        asked: Any = {"limit": 100, **page}
        found, total = self.database.read_now(
            lambda tx: properties.search(tx, self.principal, name, Operator(operator), value, **asked)
        )
        if not page:
            assert total == len(found)
        return " ".join(self.names[contact_id] for contact_id in found)

    def keys(self, of: int = 4) -> dict[str, tuple[int, float]]:
        found = self.database.read_now(properties.keys, self.principal, of=of)
        return {key.name: (key.contacts, key.share) for key in found}

    def define(
        self, name: str, type_: PropertyType = PropertyType.TEXT, **facts: Any
    ) -> properties.Definition:
        new = NewDefinition(name=name, type=type_, **facts)
        return self.database.write_now(properties.create_definition, self.principal, new)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_contacts_are_found_by_value(world: World) -> None:
    world.write(
        ann={"plan": "pro", "seats": 3},
        ben={"plan": "PRO", "seats": 20},
        cat={"plan": "free", "seats": -1},
        dan={"seats": "many"},
    )
    world.write_of(world.other, {"eve": {"plan": "pro", "seats": 4}})
    assert world.find("plan", "=", "Pro") == "ann ben"
    assert world.find("plan", "!=", "pro") == "cat"
    assert world.find("seats", ">", 3) == "ben"
    assert world.find("seats", ">=", "3") == "ann ben"
    assert world.find("seats", "<", 3) == "cat"
    assert world.find("seats", "<=", 3) == "cat ann"
    assert world.find("seats", ">", "a") == "dan"
    assert world.find("plan", "exists") == "cat ann ben"
    assert world.find("plan", "contains", "R") == "cat ann ben"
    assert world.find("plan", "contains", "ro") == "ann ben"
    assert world.find("seats", "contains", 20) == "ben"
    assert world.find("nobody has it", "=", 1) == ""


def test_a_list_is_found_by_each_element_and_once(world: World) -> None:
    world.write(ann={"likes": ["tea", "rum"]}, ben={"likes": ["tea", 3]}, cat={"likes": {"deep": 1}})
    assert world.find("likes", "=", "tea") == "ann ben"
    assert world.find("likes", "!=", "rum") == "ben cat"
    assert world.find("likes", ">=", "a") == "ann ben"
    assert world.find("likes", "exists") == "ben ann cat"
    assert world.find("likes", "exists", limit=1, offset=1) == "ann"


def test_pages_neither_skip_nor_repeat(world: World) -> None:
    world.write_of(world.principal, {f"c{number:02}": {"n": [number, number + 50]} for number in range(30)})
    whole = world.find("n", ">=", 0).split()
    assert whole == [f"c{number:02}" for number in range(30)]
    pages = [world.find("n", ">=", 0, limit=7, offset=offset) for offset in range(0, 35, 7)]
    assert " ".join(pages).split() == whole
    assert world.find("n", ">=", 0, limit=7, offset=35) == ""


def test_what_changes_is_no_longer_found_by_what_was(world: World) -> None:
    world.write(ann={"plan": "pro", "seats": 3})
    world.write(ann={"plan": "free", "seats": 3})
    assert world.find("plan", "=", "pro") == ""
    assert world.find("plan", "=", "free") == world.find("seats", "=", 3) == "ann"
    world.write(ann={})
    assert world.find("plan", "exists") == world.find("seats", "exists") == ""
    with world.database.engine.connect() as tx:
        assert tx.execute(text("SELECT count(*) FROM property_values")).scalar_one() == 0


def test_true_and_one_are_not_the_same_value(world: World) -> None:
    world.write(ann={"vip": True}, ben={"vip": [1]})
    world.write(ann={"vip": 1}, ben={"vip": [True]})
    assert (world.find("vip", "=", 1), world.find("vip", "=", True)) == ("ann", "ben")
    assert world.keys() == {"vip": (2, 0.5)}


def test_keys_tell_how_many_contacts_have_them(world: World) -> None:
    world.write(ann={"plan": "pro", "odd": None}, ben={"plan": "pro", "seats": [1, 2]}, cat={"plan": {}})
    world.write_of(world.other, {"eve": {"secret": 1}})
    assert world.keys() == {"plan": (3, 0.75), "seats": (1, 0.25)}
    world.write(ben={"seats": [3]}, cat={"plan": "x"})
    assert world.keys() == {"plan": (2, 0.5), "seats": (1, 0.25)}
    world.write(ben={})
    assert world.keys() == {"plan": (2, 0.5)}
    assert world.keys(of=0)["plan"] == (2, 0.0)


@pytest.mark.parametrize(
    ("operator", "value"), [("=", None), ("=", {}), (">", [1]), ("contains", ""), ("=", "x" * 10_001)]
)
def test_what_cannot_be_compared_is_refused(world: World, operator: str, value: Any) -> None:
    with pytest.raises(Invalid):
        world.find("plan", operator, value)


def test_nobody_pages_through_millions(world: World) -> None:
    with pytest.raises(Invalid):
        world.find("plan", "=", 1, limit=100, offset=100_000)


def test_a_hostile_key_is_a_value_and_no_statement(world: World) -> None:
    name = "x'; DROP TABLE contacts; --\\%_"
    world.write(ann={name: "%"}, ben={name: "_a"})
    assert world.find(name, "contains", "%") == world.find(name, "=", "%") == "ann"
    assert world.find(name, "contains", "_") == "ben"


def test_definitions_stand_in_groups_and_count_their_use(world: World) -> None:
    write, read = world.database.write_now, world.database.read_now
    work = write(
        properties.create_group, world.principal, NewGroup(name="work", label="At work", description="Job")
    )
    other = write(properties.create_group, world.principal, NewGroup(name="other", display_order=-0))
    world.define(
        "job_title", group_id=work.id, help_text="As on the card", placeholder="CEO", is_visible=False
    )
    made = world.define(
        "seats", PropertyType.NUMBER, label="Seats", rules={"min": 1}, default_value="2", display_order=3
    )
    assert (made.rules, made.default_value, made.label, made.group_id) == ({"min": 1}, 2, "Seats", None)
    world.write(ann={"seats": 3}, ben={"seats": 4, "job_title": "CEO"})
    found = read(properties.list_definitions, world.principal)
    assert [(each.name, each.contacts) for each in found] == [("job_title", 1), ("seats", 2)]
    (job,) = read(properties.list_definitions, world.principal, group_id=work.id)
    assert (job.help_text, job.placeholder, job.is_visible, job.label) == (
        "As on the card", "CEO", False, "job_title",
    )  # fmt: skip
    groups = read(properties.list_groups, world.principal)
    assert [(each.id, each.label, each.description, each.definitions) for each in groups] == [
        (work.id, "At work", "Job", 1), (other.id, "other", None, 0),
    ]  # fmt: skip
    known = read(properties.definitions_of, world.principal.organization_id)
    assert set(known.by_name) == {"job_title", "seats"} == known.keys
    assert read(properties.definitions_of, world.other.organization_id).by_name == {}


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"name": " x"}, "name"),
        ({"type_": PropertyType.SELECT}, "options"),
        ({"type_": PropertyType.SELECT, "options": ["a", {"value": "a"}]}, "options"),
        ({"type_": PropertyType.MULTI_SELECT, "options": [3]}, "options"),
        ({"options": ["a"]}, "options"),
        ({"rules": {"min": 3}}, "validation_rules.min"),
        ({"rules": {"colour": "red"}}, "validation_rules.colour"),
        ({"rules": {"pattern": "("}}, "validation_rules.pattern"),
        ({"rules": {"pattern": "(a)\\1"}}, "validation_rules.pattern"),
        ({"rules": {"pattern": "(?=a)a"}}, "validation_rules.pattern"),
        ({"rules": {"pattern": "a" * 501}}, "validation_rules.pattern"),
        ({"rules": {"pattern": "x{1000}{1000}{1000}"}}, "validation_rules.pattern"),
        ({"rules": {"min_length": "2"}}, "validation_rules.min_length"),
        ({"type_": PropertyType.DATE, "rules": {"max": "soon"}}, "validation_rules.max"),
        ({"type_": PropertyType.NUMBER, "default_value": "none"}, "default_value"),
        ({"rules": {"max_length": 2}, "default_value": "abc"}, "default_value"),
        ({"label": "x" * 201}, "label"),
        ({"display_order": -1}, "display_order"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(world: World, facts: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        world.define(**{"name": "x", **facts})
    assert refused.value.facts["field"] == field


def test_a_name_is_taken_once_and_a_group_must_be_ones_own(world: World) -> None:
    world.define("plan")
    group = world.database.write_now(properties.create_group, world.other, NewGroup(name="g"))
    with pytest.raises(Conflict):
        world.define("plan")
    with pytest.raises(Invalid) as refused:
        world.define("team", group_id=group.id)
    assert refused.value.facts["field"] == "group_id"
    world.database.write_now(properties.create_group, world.principal, NewGroup(name="g"))
    with pytest.raises(Conflict):
        world.database.write_now(properties.create_group, world.principal, NewGroup(name="g"))


def test_reading_and_writing_need_their_scopes(world: World) -> None:
    nobody = Principal(world.principal.organization_id, scopes=frozenset({"messages:*"}))
    attempts: list[Callable[[Tx], object]] = [
        lambda tx: properties.list_groups(tx, nobody),
        lambda tx: properties.list_definitions(tx, nobody),
        lambda tx: properties.keys(tx, nobody, of=1),
        lambda tx: properties.search(tx, nobody, "plan", Operator.EXISTS, limit=1),
        lambda tx: properties.create_group(tx, nobody, NewGroup(name="g")),
        lambda tx: properties.create_definition(tx, nobody, NewDefinition(name="d", type=PropertyType.TEXT)),
        lambda tx: properties.change_group(tx, nobody, new_id(), name="g"),
        lambda tx: properties.change_definition(tx, nobody, new_id(), label="d"),
        lambda tx: properties.remove_group(tx, nobody, new_id()),
        lambda tx: properties.remove_definition(tx, nobody, new_id()),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden):
            world.database.write_now(attempt)


def test_no_search_reads_other_keys_values(world: World) -> None:
    plans: list[str] = []

    def listen(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT") and "property_values" in statement:
            asked = "EXPLAIN QUERY PLAN " if world.database.is_sqlite else "EXPLAIN "
            rows = connection.connection.driver_connection.execute(asked + statement, parameters).fetchall()
            plans.append("\n".join(str(row) for row in rows))

    everybody = {f"c{n}": {"n": n, **{f"k{m}": n % 7 for m in range(20)}} for n in range(1_000)}
    world.write_of(world.principal, everybody)
    with world.database.engine.connect() as tx:
        tx.exec_driver_sql("ANALYZE")
        tx.commit()
    sqlalchemy_event.listen(world.database.engine, "before_cursor_execute", listen)
    for operator in Operator:
        world.find("n", operator.value, 990 if operator is not Operator.CONTAINS else "a", limit=10)
    sqlalchemy_event.remove(world.database.engine, "before_cursor_execute", listen)
    assert len(plans) >= 2 * len(Operator) - 1
    for plan in plans:
        assert "property_values" in plan
        assert "SCAN property_values" not in plan, plan
        assert "Seq Scan on property_values" not in plan, plan
