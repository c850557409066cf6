"""Whether two values of a property are the same. Pure."""

from typing import Any


def is_same(one: Any, other: Any) -> bool:
    """As JSON has it: true is not 1, as it is in Python; the order of an object's keys says nothing."""
    if one != other:
        return False
    match one, other:
        case (bool(), _) | (_, bool()):
            return one is other
        case dict(), dict():
            return all(is_same(value, other[key]) for key, value in one.items())
        case list(), list():
            return all(is_same(*pair) for pair in zip(one, other, strict=True))
        case _:
            return True
