"""What is said of properties is kept, read as its type, or refused with a word on why."""

import time
from typing import Any

import pytest

from postrider.engine.audience import properties
from postrider.engine.audience.model import Fault, PropertyType
from postrider.engine.audience.properties import Definition, Definitions
from postrider.engine.audience.properties.model import ORGANIZATION_KEYS_MAX


def defined(name: str, type_: PropertyType, **facts: Any) -> Definition:
    return Definition(
        **{
            "organization_id": 1, "id": b"", "name": name, "label": name, "type": type_, "group_id": None,
            "options": [], "is_required": False, "is_visible": True, "default_value": None, "rules": {},
            "help_text": None, "placeholder": None, "display_order": 0, "created_at": 0, "updated_at": 0,
            **facts,
        }
    )  # fmt: skip


def definitions(*all_: Definition) -> Definitions:
    return Definitions({each.name: each for each in all_})


def kept(type_: PropertyType, value: Any, **facts: Any) -> Any:
    found, faults = properties.check(definitions(defined("p", type_, **facts)), {"p": value}, is_new=False)
    assert not faults, faults
    return found["p"]


def refused(type_: PropertyType, value: Any, **facts: Any) -> str:
    found, faults = properties.check(definitions(defined("p", type_, **facts)), {"p": value}, is_new=False)
    assert "p" not in found
    assert [fault.field for fault in faults] == ["properties.p"]
    return faults[0].message


OPTIONS: dict[str, Any] = {"options": ["red", {"value": "blue", "label": "Blue"}, "a;b"]}


@pytest.mark.parametrize(
    ("type_", "value", "expected", "facts"),
    [
        (PropertyType.TEXT, "Lead", "Lead", {}),
        (PropertyType.TEXT, 12, "12", {}),
        (PropertyType.TEXT, "", "", {}),
        (PropertyType.TEXTAREA, "two\nlines", "two\nlines", {}),
        (PropertyType.NUMBER, 3, 3, {}),
        (PropertyType.NUMBER, " -3.50 ", -3.5, {}),
        (PropertyType.NUMBER, "9007199254740993", 2**53 + 1, {}),
        (PropertyType.NUMBER, "", None, {}),
        (PropertyType.DATE, "2026-01-18", "2026-01-18", {}),
        (PropertyType.DATETIME, "2026-01-18T12:00:00+02:00", "2026-01-18T10:00:00.000Z", {}),
        (PropertyType.BOOLEAN, True, True, {}),
        (PropertyType.BOOLEAN, "Yes", True, {}),
        (PropertyType.BOOLEAN, 0, False, {}),
        (PropertyType.SELECT, "blue", "blue", OPTIONS),
        (PropertyType.MULTI_SELECT, ["red", "blue", "red"], ["red", "blue"], OPTIONS),
        (PropertyType.MULTI_SELECT, "red; blue", ["red", "blue"], OPTIONS),
        (PropertyType.MULTI_SELECT, "a;b", ["a;b"], OPTIONS),
        (PropertyType.URL, "https://example.com/a?b=c", "https://example.com/a?b=c", {}),
        (PropertyType.EMAIL, "ann@example.com", "ann@example.com", {}),
        (PropertyType.PHONE, "+49 (0)30 123-456", "+49 (0)30 123-456", {}),
        (PropertyType.PHONE, 491234567, "491234567", {}),
        (PropertyType.JSON, {"deep": [1, None]}, {"deep": [1, None]}, {}),
    ],
)
def test_a_value_is_read_as_its_type(
    type_: PropertyType, value: Any, expected: Any, facts: dict[str, Any]
) -> None:
    found = kept(type_, value, **facts)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("type_", "value", "facts"),
    [
        (PropertyType.TEXT, "two\nlines", {}),
        (PropertyType.TEXT, ["a"], {}),
        (PropertyType.TEXT, True, {}),
        (PropertyType.NUMBER, "twelve", {}),
        (PropertyType.NUMBER, "nan", {}),
        (PropertyType.NUMBER, "1e999", {}),
        (PropertyType.NUMBER, "1_000", {}),
        (PropertyType.NUMBER, True, {}),
        (PropertyType.NUMBER, 10**40, {}),
        (PropertyType.NUMBER, float("nan"), {}),
        (PropertyType.DATE, "18.01.2026", {}),
        (PropertyType.DATE, 20260118, {}),
        (PropertyType.DATETIME, "yesterday", {}),
        (PropertyType.BOOLEAN, "maybe", {}),
        (PropertyType.BOOLEAN, 2, {}),
        (PropertyType.SELECT, "green", OPTIONS),
        (PropertyType.SELECT, ["red"], OPTIONS),
        (PropertyType.MULTI_SELECT, ["red", "green"], OPTIONS),
        (PropertyType.URL, "javascript:alert(1)", {}),
        (PropertyType.URL, "https:///path", {}),
        (PropertyType.URL, "http://[::1", {}),
        (PropertyType.URL, "https://example.com/a b", {}),
        (PropertyType.EMAIL, "ann", {}),
        (PropertyType.PHONE, "call me", {}),
        (PropertyType.PHONE, "----", {}),
    ],
)
def test_a_value_of_another_type_is_refused(type_: PropertyType, value: Any, facts: dict[str, Any]) -> None:
    assert refused(type_, value, **facts).startswith("should be")


@pytest.mark.parametrize(
    ("type_", "rules", "good", "bad"),
    [
        (PropertyType.NUMBER, {"min": 18}, 18, 17.9),
        (PropertyType.NUMBER, {"max": 99}, "99", "100"),
        (PropertyType.DATE, {"min": "2026-01-01"}, "2026-01-01", "2025-12-31"),
        (PropertyType.TEXT, {"min_length": 2}, "ab", "a"),
        (PropertyType.TEXT, {"max_length": 2}, "äö", "abc"),
        (PropertyType.TEXT, {"pattern": "[A-Z]{2}-[0-9]+"}, "AB-12", "AB-12x"),
        (PropertyType.TEXT, {"pattern": "a|b"}, "b", "ab"),
    ],
)
def test_a_rule_is_kept(type_: PropertyType, rules: dict[str, Any], good: Any, bad: Any) -> None:
    kept(type_, good, rules=rules)
    assert "should" in refused(type_, bad, rules=rules)


def test_a_pattern_takes_time_linear_in_the_text() -> None:
    began = time.monotonic()
    refused(PropertyType.TEXT, "a" * 9_000 + "!", rules={"pattern": "(a+)+(a|aa)*"})
    assert time.monotonic() - began < 1


def test_an_undefined_key_takes_any_json() -> None:
    given = {"plan": "pro", "seats": 3, "address": {"city": "Paris"}, "odd.name [x]'\"; DROP": [1, "a"]}
    assert properties.check(Definitions(), given, is_new=True) == (given, [])


@pytest.mark.parametrize(
    "key", ["", " ", " plan", "plan ", "pl\x00an", "pl\nan", "pl\u202ean", "\ud800", "x" * 101, "\u00a0"]
)
def test_a_hostile_key_is_refused_and_the_others_are_kept(key: str) -> None:
    found, (fault,) = properties.check(Definitions(), {key: 1, "plan": "pro"}, is_new=False)
    assert found == {"plan": "pro"}
    assert fault.field.startswith("properties.")
    assert "printable" in fault.message
    fault.field.encode()


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10_001,
        ["x"] * 101,
        {"a": ["x" * 10_001]},
        [[[[[[[[[1]]]]]]]]],
        float("inf"),
        {"a": float("nan")},
        "nul \x00",
        ["half \ud800"],
    ],
)
def test_a_value_nobody_could_keep_is_refused(value: Any) -> None:
    found, (fault,) = properties.check(Definitions(), {"p": value}, is_new=False)
    assert (found, fault.field) == ({}, "properties.p")


def test_a_new_contact_gets_defaults_and_misses_what_is_required() -> None:
    known = definitions(
        defined("plan", PropertyType.TEXT, default_value="free", is_required=True),
        defined("seats", PropertyType.NUMBER, is_required=True),
        defined("note", PropertyType.TEXT),
    )
    missing = Fault("properties.seats", "is required", "required")
    assert properties.check(known, {}, is_new=True) == ({"plan": "free"}, [missing])
    assert properties.check(known, {"plan": None, "seats": "3"}, is_new=True) == (
        {"plan": "free", "seats": 3},
        [],
    )
    assert properties.check(known, {"seats": ""}, is_new=True) == ({"plan": "free"}, [missing])


def test_a_known_contact_is_asked_only_for_what_is_given() -> None:
    known = definitions(
        defined("plan", PropertyType.TEXT, default_value="free", is_required=True),
        defined("note", PropertyType.TEXT),
    )
    assert properties.check(known, {"note": None}, is_new=False) == ({"note": None}, [])
    found, faults = properties.check(known, {"plan": None}, is_new=False)
    assert (found, faults) == ({}, [Fault("properties.plan", "is required", "required")])


def test_properties_given_anew_must_hold_what_is_required() -> None:
    known = definitions(
        defined("plan", PropertyType.TEXT, default_value="free", is_required=True),
        defined("note", PropertyType.TEXT, default_value="none"),
    )
    missing = Fault("properties.plan", "is required", "required")
    assert properties.check(known, {"note": "x"}, is_new=False, is_all=True) == ({"note": "x"}, [missing])
    assert properties.check(known, {"plan": None}, is_new=False, is_all=True) == ({}, [missing])
    assert properties.check(known, {"plan": "pro"}, is_new=False, is_all=True) == ({"plan": "pro"}, [])


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (True, 1, False),
        (1, 1.0, True),
        ([0, "a"], [False, "a"], False),
        ({"a": {"b": [True]}}, {"a": {"b": [1]}}, False),
        ({"a": 1, "b": None}, {"b": None, "a": 1}, True),
        ([1, 2], [2, 1], False),
        (False, None, False),
    ],
)
def test_values_are_the_same_where_json_has_them_so(one: Any, other: Any, is_same: bool) -> None:
    assert properties.is_same(one, other) is is_same
    assert properties.is_same(other, one) is is_same


def test_a_wrong_value_is_one_fault_even_where_it_is_required() -> None:
    known = definitions(defined("seats", PropertyType.NUMBER, is_required=True))
    _, faults = properties.check(known, {"seats": "many"}, is_new=True)
    assert [fault.message for fault in faults] == ["should be a number"]


def test_an_account_has_so_many_different_keys_and_no_more() -> None:
    known = Definitions(keys={f"k{number}" for number in range(ORGANIZATION_KEYS_MAX - 1)})
    _, faults = properties.check(known, {"a": 1, "b": 1, "k1": 1}, is_new=False)
    assert [fault.field for fault in faults] == ["properties.b"]
    assert properties.check(known, {"b": None}, is_new=False) == ({"b": None}, [])
