"""Encoded values compare as the values do."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.engine.audience.properties.encode import (
    OPAQUE,
    ORDERED_BYTES,
    TEXT,
    VALUE_MAX_BYTES,
    after,
    encode,
    kind_end,
    part,
    prefix_span,
)

NUMBERS = st.one_of(
    st.integers(-(2**116), 2**116),
    st.integers(2**53 - 3, 2**53 + 3),
    st.integers(-(2**53) - 3, 3 - 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
)
SHORT = st.text(max_size=40)


def one(value: Any) -> bytes:
    (encoded,) = encode(value)
    return encoded


@given(NUMBERS, NUMBERS)
def test_numbers_keep_order_and_equality(a: float, b: float) -> None:
    assert (one(a) < one(b)) == (a < b)
    assert (one(a) == one(b)) == (a == b)


def test_integers_that_share_a_float_are_told_apart() -> None:
    numbers = [-(2**53) - 1, -(2**53), -1, -0.5, 0, 5e-324, 0.5, 1, 2**53, 2**53 + 1, 2**53 + 2, 2**63, 1e300]
    encoded = [one(number) for number in numbers]
    assert encoded == sorted(set(encoded))


def test_zero_has_one_encoding() -> None:
    assert one(0) == one(0.0) == one(-0.0)


def test_numbers_past_every_float_stand_at_the_ends() -> None:
    assert one(-(10**400)) < one(-1e308) < one(1e308) < one(10**400) < TEXT


@given(SHORT, SHORT)
def test_texts_keep_order_and_equality_without_case(a: str, b: str) -> None:
    a, b = a.casefold(), b.casefold()
    assert (one(a) < one(b)) == (a.encode() < b.encode())
    assert (one(a) == one(b)) == (a == b)


@pytest.mark.parametrize(("a", "b"), [("Straße", "STRASSE"), ("PRO", "pro"), ("ΣΊΣΥΦΟΣ", "σίσυφος")])
def test_texts_that_differ_in_case_are_equal(a: str, b: str) -> None:
    assert one(a) == one(b)


def test_a_long_text_is_cut_and_still_equals_itself_alone() -> None:
    stem = "x" * 300
    assert one(f"{stem}a") != one(f"{stem}b")
    assert one(f"{stem}A") == one(f"{stem}a")
    assert len(one(stem)) == VALUE_MAX_BYTES + 1
    assert one("w" * 300) < one(stem) < one("y")
    assert one(stem)[1 : ORDERED_BYTES + 1] == b"x" * ORDERED_BYTES


@given(NUMBERS, SHORT)
def test_numbers_stand_before_texts_before_what_only_exists(number: float, text: str) -> None:
    assert one(number) < one(text) < OPAQUE == one({"a": 1})
    assert one(number) < kind_end(one(number)) <= one(text) < kind_end(one(text)) <= OPAQUE


def test_booleans_are_their_texts() -> None:
    assert (one(True), one(False)) == (one("True"), one("false"))
    assert one(True) != one(1)


def test_a_list_has_an_entry_for_each_different_element() -> None:
    assert encode(["b", "A", "a", 3]) == [one(3), one("a"), one("b")]
    assert encode([1, None, [2], {}]) == [one(1), OPAQUE]


@pytest.mark.parametrize("value", [{}, {"deep": [1]}, [], [None], [[1, 2]]])
def test_what_has_no_order_only_exists(value: Any) -> None:
    assert encode(value) == [OPAQUE]


def test_null_is_no_value() -> None:
    assert encode(None) == []


@given(NUMBERS | SHORT, NUMBERS | SHORT)
def test_after_is_the_least_above(a: Any, b: Any) -> None:
    assert one(a) < after(one(a))
    assert one(b) <= one(a) or after(one(a)) <= one(b)


@given(st.text(max_size=30), SHORT)
def test_a_prefix_spans_the_texts_that_begin_with_it(prefix: str, text: str) -> None:
    low, high = prefix_span(prefix)
    for whole in (text, prefix + text):
        begins = whole.casefold().encode().startswith(prefix.casefold().encode())
        assert (low <= one(whole) < high) == begins


@given(st.text(min_size=1, max_size=10), SHORT)
def test_a_part_stands_in_the_encoded_text(inner: str, outer: str) -> None:
    assert part(inner) in one(outer + inner)


@given(st.lists(NUMBERS, min_size=2, max_size=20))
def test_sorting_encoded_numbers_sorts_the_numbers(numbers: list[float]) -> None:
    ordered = sorted(numbers, key=one)
    assert all(a <= b for a, b in pairwise(ordered))
