"""A noun as a table: what of it is shown, and by what lists of it are sorted, filtered and enlarged.

A new noun is one `Resource` and its handlers; reading the query, paging and the envelope follow from it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from postrider.kit import clock
from postrider.kit.ids import RowId
from postrider.surfaces.nudgecampaign.ids import Noun, show

T = TypeVar("T")
SortKey = int | str


@dataclass(frozen=True, slots=True)
class Sort(Generic[T]):
    """What a list may be sorted by: the value of a row, and its type, which a cursor must have again."""

    kind: type[int] | type[str]
    key: Callable[[T], SortKey]


class Misread(ValueError):
    """A parameter's text that may not be so, and its detail code."""

    def __init__(self, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.code = code


class Filter(NamedTuple):
    """A parameter that narrows a list: its name in the engine, and what reads its text, raising Misread."""

    name: str
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the caller wants to see rows: what to add, and which attributes of which type."""

    include: frozenset[str] = frozenset()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[T]):
    """`filters` have the names they have in the query; `includes` names what may be added, and its table.

    `is_flat` is for what the contract shows without the layer of type and attributes.
    """

    type: str
    noun: Noun
    row_id: Callable[[T], RowId]
    attributes: Mapping[str, Callable[[T], Any]]
    relationships: Mapping[str, tuple[str, Callable[[T], str | None]]] = field(default_factory=dict)
    sorts: Mapping[str, Sort[T]] = field(default_factory=dict)
    order: str = ""  # of a list that nobody sorts: as the parameter has it
    filters: Mapping[str, Filter] = field(default_factory=dict)
    includes: Mapping[str, "Resource[Any] | None"] = field(default_factory=dict)
    large: frozenset[str] = frozenset()  # attributes that a list shows only where they are asked for
    is_flat: bool = False

    def shown(self, row: T, view: View) -> dict[str, Any]:
        """One row as it stands in `data` or `included`."""
        wanted = view.fields.get(self.type)
        attributes = {
            name: read(row) for name, read in self.attributes.items() if wanted is None or name in wanted
        }
        named: dict[str, Any] = {"id": show(self.noun, self.row_id(row))}
        if self.is_flat:
            return {**named, **attributes}
        links = {name: (type_, read(row)) for name, (type_, read) in self.relationships.items()}
        return {
            **named,
            "type": self.type,
            "attributes": attributes,
            "relationships": {
                name: {"data": {"type": type_, "id": id_}} for name, (type_, id_) in links.items() if id_
            },
            "meta": {name: self.attributes[name](row) for name in _META if name in self.attributes},
        }


PART_MAX_CHARS = 254
_META = ("created_at", "updated_at")


def shown_at(at_ms: int | None) -> str | None:
    """2024-01-01T00:00:00Z, to the second."""
    return None if at_ms is None else clock.to_datetime(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_at(text: str) -> int:
    """An ISO 8601 date and time as milliseconds; without an offset it is UTC. Raises Misread."""
    try:
        at = clock.from_iso(text)
        clock.to_datetime(at)  # one that can be shown again
    except (ValueError, OverflowError):
        raise Misread("Input should be an ISO 8601 date and time", "invalid_format") from None
    return at


def part_of(text: str) -> str:
    """Reads what a text is to hold or to be."""
    if len(text) > PART_MAX_CHARS:
        raise Misread(f"Input should have at most {PART_MAX_CHARS} characters", "too_long")
    if "\0" in text:
        raise Misread("NUL is not allowed")
    return text


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    """Reads one of a closed set of words."""

    def read(text: str) -> str:
        if text not in words:
            raise Misread(f"Input should be one of {', '.join(words)}")
        return text

    return read
