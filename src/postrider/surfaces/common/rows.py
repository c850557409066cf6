"""Rows of an import that comes as JSON: each is read by itself, so that a bad one costs no other."""

from collections.abc import Sequence
from typing import Any, Protocol, Self

from pydantic import ValidationError

from postrider.engine.audience.model import ContactInput
from postrider.surfaces.common.errors import Fault, faults_of, invalid_body


class NewContact(Protocol):
    """What a dialect reads a contact with."""

    @classmethod
    def model_validate(cls, obj: Any, /) -> Self: ...

    def new(self) -> ContactInput: ...


def read_rows(
    model: type[NewContact], rows: Sequence[Any]
) -> tuple[list[tuple[int, ContactInput]], dict[int, list[Fault]]]:
    """The inputs of the rows that are well formed, with their places, and the faults of the others."""
    inputs: list[tuple[int, ContactInput]] = []
    faults: dict[int, list[Fault]] = {}
    for index, row in enumerate(rows):
        try:
            inputs.append((index, model.model_validate(row).new()))
        except ValidationError as error:
            faults[index] = faults_of(invalid_body(error))
    return inputs, faults
