"""`record`: a frozen dataclass whose immutability the type checker keeps, not the interpreter.

A frozen dataclass pays an `object.__setattr__` for every field of every instance: three times the price of a
plain one, which the hot paths (accept, attempt, settle, follow) would pay a dozen times for each message.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Use as `@record`; assigning to a field is an error of mypy's."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
