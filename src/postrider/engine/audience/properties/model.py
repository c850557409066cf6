"""What an organization says of its contacts' properties: groups, definitions, and the keys in use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from postrider.engine.audience.model import PropertyType
from postrider.kit.ids import RowId

KEYS_MAX = 200  # properties of one contact
KEY_MAX_CHARS = 100
VALUE_MAX_CHARS = 10_000  # of one value as JSON
ALL_MAX_BYTES = 64 * 1024  # of all properties of a contact as JSON
ITEMS_MAX = 100  # of a list: each can be searched for
DEPTH_MAX = 8  # of objects and lists in one another
ORGANIZATION_KEYS_MAX = 2_000  # different keys of all contacts of an organization
DEFINITIONS_MAX = 500
GROUPS_MAX = 100
OPTIONS_MAX = 500
PATTERN_MAX_CHARS = 500


class Rule(StrEnum):
    """What a definition may ask of values beyond their type."""

    MIN = "min"
    MAX = "max"
    MIN_LENGTH = "min_length"
    MAX_LENGTH = "max_length"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True)
class PropertyGroup:
    organization_id: int
    id: RowId
    name: str
    label: str
    description: str | None
    display_order: int
    created_at: int
    definitions: int = 0  # how many are in it


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroup:
    name: str
    label: str | None = None  # None: its name
    description: str | None = None
    display_order: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDefinition:
    """`options` are texts, or objects with a text `value`; `rules` by the names of Rule."""

    name: str
    type: PropertyType
    label: str | None = None  # None: its name
    group_id: RowId | None = None
    options: Sequence[Any] = ()
    is_required: bool = False
    is_visible: bool = True
    default_value: Any = None
    rules: Mapping[str, Any] = field(default_factory=dict)
    help_text: str | None = None
    placeholder: str | None = None
    display_order: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A property that is checked when it is written; `contacts`: how many have a value."""

    organization_id: int
    id: RowId
    name: str
    label: str
    type: PropertyType
    group_id: RowId | None
    options: Sequence[Any]
    is_required: bool
    is_visible: bool
    default_value: Any
    rules: Mapping[str, Any]
    help_text: str | None
    placeholder: str | None
    display_order: int
    created_at: int
    updated_at: int
    contacts: int = 0


@dataclass(slots=True)
class Definitions:
    """What `check` goes by: definitions by name, and the keys an organization uses already.

    `keys` grows by what a batch brings, so that the batch as a whole stays within ORGANIZATION_KEYS_MAX.
    """

    by_name: Mapping[str, Definition] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class PropertyKey:
    """A key in use, defined or not."""

    name: str
    contacts: int
    share: float  # of all contacts, 0 to 1


class Operator(StrEnum):
    """Of `search`."""

    EQUAL = "="
    UNEQUAL = "!="
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="
    EXISTS = "exists"
    CONTAINS = "contains"
