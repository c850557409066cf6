"""The records of templates: what an author wrote, what of it may be filled in, how a filled one looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, NamedTuple, TypedDict

from postrider.kit.ids import RowId

# Of the contact that a copy goes to; its custom fields have the names that people gave them.
CONTACT_NAMES = frozenset({"email", "first_name", "last_name", "name", "company", "phone", "city", "country"})


class VariableType(StrEnum):
    """What a value may be, and how it goes into HTML."""

    TEXT = "text"  # a text, number or switch; escaped
    HTML = "html"  # goes in as it is; in text parts as the text of it
    IMAGE = "image"  # an http or https address
    JSON = "json"  # anything, such as a list to be looped over


@dataclass(frozen=True, slots=True)
class Variable:
    """One that a template declares. One that is required has a value from the sender, or nothing is sent."""

    name: str
    type: VariableType = VariableType.TEXT
    default: Any = None  # what stands in for a missing value; None: nothing
    required: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "type": self.type.value, "default": self.default, "required": self.required,
        }  # fmt: skip

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Variable":
        return cls(kept["name"], VariableType(kept["type"]), kept["default"], kept["required"])


class Content(NamedTuple):
    """A template's content, to be mailed with `merge`: defaults and raw HTML are told within it."""

    subject: str | None
    html: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    organization_id: int
    id: RowId
    number: int
    name: str
    description: str | None
    category: str | None
    subject: str | None
    html: str
    text: str | None
    mjml: str | None
    variables: tuple[Variable, ...]
    content: Content  # made ready of these when they were saved
    is_public: bool
    usage_count: int
    created_by: RowId | None
    created_at: int
    updated_at: int


class Changes(TypedDict, total=False):
    """What an author says; what is not there stays. None takes away what a template may be without.

    Of `html` and `mjml` the one that is given is the source from then on; `mjml` goes first.
    """

    name: str
    description: str | None
    category: str | None
    subject: str | None
    html: str
    text: str | None
    mjml: str | None
    variables: Sequence[Variable]
    is_public: bool


class Sort(Enum):
    """By what templates are ordered; ids break ties."""

    CREATED = "created_at"
    NAME = "name"
    USAGE = "usage_count"


class Place(NamedTuple):
    """Of a template in an order: what it is sorted by, and its id."""

    value: Any
    template_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """All that are given must hold."""

    category: str | None = None
    is_public: bool | None = None
    search: str | None = None  # a part of name or description, in any case


@dataclass(frozen=True, slots=True)
class Preview:
    subject: str | None
    html: str
    text: str
    missing: tuple[str, ...]  # variables that nothing filled, in order


class Page(NamedTuple):
    """Templates in order, and whether more follow: a page of large ones has fewer than were asked for."""

    templates: list[Template]
    has_more: bool


class Unfit(NamedTuple):
    """A value that a declared variable cannot take, or the lack of one that it must have."""

    name: str
    message: str
    is_missing: bool
