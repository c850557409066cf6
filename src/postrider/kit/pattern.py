"""Regular expressions that strangers write: matched in time linear in the text, whatever they are.

They are those of Rust's regex: without back-references and look-around, and refused where their program
would be large.
"""

from functools import lru_cache
from typing import Annotated

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError


class BadPattern(ValueError):
    """It is no regular expression, or one that cannot be matched in linear time."""


def check_pattern(pattern: str) -> None:
    """Raises BadPattern."""
    _compile(pattern)  # alone: `a)(b` is none, but would be between the brackets of _whole
    _compile(_whole(pattern))


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches a pattern that check_pattern took."""
    try:
        _compile(_whole(pattern)).validate_python(text)
    except ValidationError:
        return False
    return True


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


@lru_cache(maxsize=256)
def _compile(pattern: str) -> TypeAdapter[str]:
    config = ConfigDict(regex_engine="rust-regex")
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)], config=config)
    except SchemaError:
        raise BadPattern(pattern) from None
