"""Money as whole thousandths of a currency's unit (mils): sums are exact, and no amount is ever a float.

A thousandth is what the dearest small price needs ($0.077) and what no currency divides further (ISO 4217).
Floats come in from JSON alone and are read by their shortest text, so that 0.1 is a tenth.
"""

import re
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

MILS = 1_000  # of a unit
UNITS_MAX = 1_000_000_000_000  # of one amount
_PLACES = Decimal("0.001")
_NUMBER = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,18})?", re.ASCII)
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3}){1,4}(?:\.[0-9]{1,18})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


class InvalidAmount(ValueError):
    """What is no amount of money, and why."""


def parse_amount(value: object, *, sign: str = "") -> int:
    """Mils of a number, or of a text such as 49, 49.00 or 2,450.00, after a `sign` ($) where it has one.

    Rounded half up to a thousandth. Raises InvalidAmount below 0 and above UNITS_MAX.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidAmount("An amount is a number")
    text = value.strip() if isinstance(value, str) else _plain(value)
    text = text.removeprefix(sign).lstrip()
    if text.startswith("-"):
        raise InvalidAmount("An amount is 0 or more")
    if not (_NUMBER.fullmatch(text) or _GROUPED.fullmatch(text)):
        raise InvalidAmount("An amount is a number")
    mils = round_half_up(Decimal(text.replace(",", "")) * MILS)
    if mils > UNITS_MAX * MILS:
        raise InvalidAmount(f"An amount is at most {UNITS_MAX}")
    return mils


def parse_currency(text: str) -> str:
    """Three letters of ISO 4217, in capitals. Raises InvalidAmount."""
    code = text.strip().upper()
    if not _CURRENCY.fullmatch(code):
        raise InvalidAmount("A currency is three letters, such as USD")
    return code


def units(mils: int) -> Decimal:
    """An amount in its currency's unit, with three decimals."""
    return (Decimal(mils) / MILS).quantize(_PLACES)


def share(mils: int, parts: int) -> int:
    """Mils of one of equal parts, rounded half up; 0 where there are none."""
    return round_half_up(Fraction(mils, parts)) if parts else 0


def ratio(part: int, whole: int, *, places: int) -> Decimal:
    """part/whole, rounded half up; 0 where the whole is 0."""
    scale: int = 10**places
    scaled = round_half_up(Fraction(part * scale, whole)) if whole else 0
    return Decimal(scaled) / scale


def round_half_up(value: Decimal | Fraction) -> int:
    """To a whole number; halves go away from 0."""
    if isinstance(value, Decimal):
        return int(value.to_integral_value(ROUND_HALF_UP))
    whole = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return whole if value >= 0 else -whole


def _plain(number: float) -> str:
    """A number as digits: repr of a float may have an exponent."""
    if number != number or number in (float("inf"), float("-inf")):
        raise InvalidAmount("An amount is a finite number")
    return f"{Decimal(repr(number)):f}"
