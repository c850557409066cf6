"""SQL and plain Python find the same contacts, whatever is asked; and what may be asked."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.engine.audience.segments.population import EVERY, NOW, conditions, criteria, keep, people

from postrider.db.database import Database
from postrider.engine.audience import segments
from postrider.engine.audience.segments import Facts, evaluate, parse, to_json
from postrider.engine.errors import Invalid
from postrider.kit import clock
from postrider.kit.address import address_key
from postrider.kit.ids import new_id

TREES = 4
organizations = itertools.count(1_000)
populations = st.lists(people(), min_size=1, max_size=6)
trees = st.lists(criteria(), min_size=TREES, max_size=TREES)
on_one_store = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@settings(on_one_store, max_examples=25)
@given(population=populations, asked=trees)
def test_sql_finds_whom_python_finds(
    database: Database, population: list[Facts], asked: list[dict[str, Any]]
) -> None:
    compare(database, population, asked)


@settings(on_one_store, max_examples=8)
@given(population=st.lists(people(), min_size=8, max_size=12), data=st.data())
def test_sql_finds_whom_python_finds_by_every_operator_of_every_field(
    database: Database, population: list[Facts], data: st.DataObject
) -> None:
    asked = data.draw(st.tuples(*(conditions(pair) for pair in EVERY)))
    compare(database, population, [{"items": [condition]} for condition in asked])


@pytest.mark.long
@pytest.mark.timeout(900)
@settings(on_one_store, max_examples=300)
@given(population=populations, asked=trees)
def test_sql_finds_whom_python_finds_many_times(
    database: Database, population: list[Facts], asked: list[dict[str, Any]]
) -> None:
    compare(database, population, asked)


def compare(database: Database, population: Sequence[Facts], asked: Sequence[dict[str, Any]]) -> None:
    """A population of an organization of its own; others' contacts are there too."""
    organization_id = next(organizations)
    clock.set_source(lambda: NOW)
    population = [alone(facts, place) for place, facts in enumerate(population)]
    database.write_now(keep, organization_id, population)
    for raw in asked:
        tree = parse(raw)
        found = database.read_now(segments.matching, organization_id, tree, limit=100)
        expected = [facts.contact.id for facts in population if evaluate(tree, facts)]
        assert found == sorted(expected), raw
        assert parse(to_json(tree)) == tree


def alone(facts: Facts, place: int) -> Facts:
    """The contact with an id and an address that no other has."""
    email = f"{place}{facts.contact.email}"
    contact = replace(facts.contact, id=new_id(), email=email, address_key=address_key(email))
    return replace(facts, contact=contact)


FLAT = {"field": "city", "op": "equals", "value": "Paris"}
REFUSED: list[tuple[Any, str]] = [
    (None, "items"),
    ([], "items"),
    ({"items": []}, "items"),
    ({"match": "none", "items": [FLAT]}, "match"),
    ({"items": [FLAT, "text"]}, "items.1"),
    ({"items": [{**FLAT, "field": "password"}]}, "items.0.field"),
    ({"items": [{**FLAT, "field": "id) OR 1=1 --"}]}, "items.0.field"),
    ({"items": [{**FLAT, "field": ["city"]}]}, "items.0.field"),
    ({"items": [{**FLAT, "op": "greater"}]}, "items.0.op"),
    ({"items": [{**FLAT, "op": "= ''; DROP TABLE contacts"}]}, "items.0.op"),
    ({"items": [{**FLAT, "op": {}}]}, "items.0.op"),
    ({"items": [{**FLAT, "value": 7}]}, "items.0.value"),
    ({"items": [{**FLAT, "value": "x" * 501}]}, "items.0.value"),
    ({"items": [{**FLAT, "value": "\0"}]}, "items.0.value"),
    ({"items": [{**FLAT, "value": "\ud800"}]}, "items.0.value"),
    ({"items": [{**FLAT, "op": "contains", "value": ""}]}, "items.0.value"),
    ({"items": [{"field": "status", "op": "equals", "value": "happy"}]}, "items.0.value"),
    ({"items": [{"field": "score", "op": "less", "value": "7"}]}, "items.0.value"),
    ({"items": [{"field": "score", "op": "less", "value": True}]}, "items.0.value"),
    ({"items": [{"field": "score", "op": "less", "value": 10**30}]}, "items.0.value"),
    ({"items": [{"field": "score", "op": "less", "value": float("nan")}]}, "items.0.value"),
    ({"items": [{"field": "created_at", "op": "less", "value": "2026-02-30"}]}, "items.0.value"),
    ({"items": [{"field": "created_at", "op": "less", "value": "yesterday"}]}, "items.0.value"),
    ({"items": [{"field": "created_at", "op": "within_days", "value": 0}]}, "items.0.value"),
    ({"items": [{"field": "tags", "op": "in", "value": []}]}, "items.0.value"),
    ({"items": [{"field": "tags", "op": "in", "value": ["a"] * 101}]}, "items.0.value"),
    ({"items": [{"field": "lists", "op": "in", "value": ["news"]}]}, "items.0.value"),
    ({"items": [{"field": "opened", "op": "at_least", "value": -1}]}, "items.0.value"),
    ({"items": [{"field": "opened", "op": "at_least", "value": 1, "days": 0}]}, "items.0.days"),
    ({"items": [{"field": "opened", "op": "at_least", "value": 1, "link": "x"}]}, "items.0.link"),
    ({"items": [{"field": "opened", "op": "at_least", "value": 1, "campaigns": "x"}]}, "items.0.campaigns"),
    (
        {"items": [{"field": "sent", "op": "at_least", "value": 1, "humans_only": True}]},
        "items.0.humans_only",
    ),
    ({"items": [{"field": "property", "op": "equals", "value": 1}]}, "items.0.key"),
    ({"items": [{"field": "property", "key": "k" * 101, "op": "exists"}]}, "items.0.key"),
    ({"items": [{"field": "property", "key": "k", "op": "less", "value": False}]}, "items.0.value"),
    ({"items": [FLAT] * 21}, "items"),
    ({"items": [{"items": [FLAT]}] * 11}, "items"),
    ({"items": [{"items": [FLAT] * 11}] * 10}, "items"),
    (
        {"items": [{"items": [{"items": [{"items": [{"items": [FLAT]}]}]}]}]},
        "items.0.items.0.items.0.items.0",
    ),
]


@pytest.mark.parametrize(("raw", "field"), REFUSED)
def test_what_cannot_be_asked_is_refused_where_it_stands(raw: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(raw)
    assert refused.value.facts["field"] == field


def test_as_much_as_the_limits_allow_can_be_asked() -> None:
    tree = parse({"match": "any", "items": [{"items": [FLAT] * 10} for _ in range(10)]})
    assert sum(len(group["items"]) for group in to_json(tree)["items"]) == 100
