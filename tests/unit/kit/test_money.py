"""Amounts as whole thousandths: read exactly, shared and compared without floats."""

from decimal import Decimal

import pytest

from postrider.kit.money import (
    UNITS_MAX,
    InvalidAmount,
    parse_amount,
    parse_currency,
    ratio,
    round_half_up,
    share,
    units,
)


@pytest.mark.parametrize(
    ("value", "mils"),
    [
        (0, 0), (125, 125_000), (125.0, 125_000), ("49.00", 49_000), ("$49.00", 49_000), ("$ 1", 1_000),
        ("$2,450.00", 2_450_000), ("0.077", 77), (0.1, 100), (0.1 + 0.2, 300), ("1.0005", 1_001),
        ("1.0004", 1_000), (1e-7, 0), (1e9, 1_000_000_000_000), (UNITS_MAX, UNITS_MAX * 1_000),
    ],
)  # fmt: skip
def test_an_amount_is_read_exactly(value: object, mils: int) -> None:
    assert parse_amount(value, sign="$") == mils


@pytest.mark.parametrize(
    "value",
    [
        -1, "-0.01", "", "$", "1,00", "1e3", "12 34", "free", True, None, [], float("nan"), float("inf"),
        UNITS_MAX + 1, "9" * 400, "٣", "$-5", "1.",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(value: object) -> None:
    with pytest.raises(InvalidAmount):
        parse_amount(value, sign="$")


def test_a_currency_is_three_letters() -> None:
    assert parse_currency(" usd ") == "USD"
    for text in ("", "US", "USDT", "12$", "ÄÖÜ"):
        with pytest.raises(InvalidAmount):
            parse_currency(text)


def test_halves_are_rounded_up_and_nothing_is_divided_by_nothing() -> None:
    assert (share(770_000, 995), share(5, 2), share(5, 0)) == (774, 3, 0)
    assert (ratio(348, 995, places=3), ratio(1, 8, places=2), ratio(1, 0, places=3)) == (
        Decimal("0.35"), Decimal("0.13"), Decimal(0),
    )  # fmt: skip
    assert round_half_up(Decimal("-2.5")) == -3
    assert str(units(77)) == "0.077"
