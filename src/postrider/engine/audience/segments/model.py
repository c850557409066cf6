"""What a segment asks of a contact: one tree of conditions that SQL and plain Python both read.

The neutral JSON of a group is {"match": "all" | "any", "items": […]}, of a condition {"field", "op", "value"}
and what narrows it; dialects map their own words to these and back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from postrider.engine.audience.model import Contact, EngagementKind, Stage, Status
from postrider.kit.ids import RowId

GROUPS_MAX = 10  # that hold conditions
CONDITIONS_PER_GROUP_MAX = 20
CONDITIONS_MAX = 100
DEPTH_MAX = 4
NAME_MAX_CHARS = 255
DESCRIPTION_MAX_CHARS = 1_000
TEXT_MAX_CHARS = 500  # of a text that is compared
VALUES_MAX = 100  # tags, lists, campaigns of one condition
DAYS_MAX = 3_660
NUMBER_MAX = 2**53
MEMBERS_AT_ONCE = 1_000


class Match(StrEnum):
    ALL = "all"
    ANY = "any"


class Field(StrEnum):
    """What a condition looks at; PROPERTY is one of the organization's own, named by the condition's key."""

    STATUS = "status"
    STAGE = "stage"
    EMAIL = "email"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    COMPANY = "company"
    PHONE = "phone"
    CITY = "city"
    COUNTRY = "country"
    SOURCE = "source"
    SCORE = "score"
    SENT_COUNT = "sent_count"
    OPENED_COUNT = "opened_count"
    CLICKED_COUNT = "clicked_count"
    BOUNCED_COUNT = "bounced_count"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    SUBSCRIBED_AT = "subscribed_at"
    UNSUBSCRIBED_AT = "unsubscribed_at"
    LAST_SENT_AT = "last_sent_at"
    LAST_OPENED_AT = "last_opened_at"
    LAST_CLICKED_AT = "last_clicked_at"
    LAST_ACTIVITY_AT = "last_activity_at"
    TAGS = "tags"
    LISTS = "lists"
    SEGMENTS = "segments"
    SENT = "sent"
    OPENED = "opened"
    CLICKED = "clicked"
    PROPERTY = "property"


class Op(StrEnum):
    """Texts and tags' parts are compared without the case of A to Z; properties without any case."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    STARTS_WITH = "starts_with"
    NOT_STARTS_WITH = "not_starts_with"
    ENDS_WITH = "ends_with"
    NOT_ENDS_WITH = "not_ends_with"
    HAS_VALUE = "has_value"
    IS_EMPTY = "is_empty"
    EXISTS = "exists"
    NOT_EXISTS = "not_exists"
    GREATER = "greater"
    GREATER_OR_EQUAL = "greater_or_equal"
    LESS = "less"
    LESS_OR_EQUAL = "less_or_equal"
    IS_TRUE = "is_true"
    IS_FALSE = "is_false"
    IN = "in"
    NOT_IN = "not_in"
    HAS_ALL = "has_all"
    WITHIN_DAYS = "within_days"
    NOT_WITHIN_DAYS = "not_within_days"  # longer ago, or never
    AT_LEAST = "at_least"
    EXACTLY = "exactly"
    MORE_THAN = "more_than"
    LESS_THAN = "less_than"
    AT_MOST = "at_most"


# A negation holds wherever the other does not: also where nothing is known of the contact.
NEGATIONS: Mapping[Op, Op] = {
    Op.NOT_EQUALS: Op.EQUALS,
    Op.NOT_CONTAINS: Op.CONTAINS,
    Op.NOT_STARTS_WITH: Op.STARTS_WITH,
    Op.NOT_ENDS_WITH: Op.ENDS_WITH,
    Op.IS_EMPTY: Op.HAS_VALUE,
    Op.NOT_EXISTS: Op.EXISTS,
    Op.NOT_IN: Op.IN,
    Op.NOT_WITHIN_DAYS: Op.WITHIN_DAYS,
}


class Kind(Enum):
    """How the values of a field are compared."""

    CHOICE = "choice"
    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    TAGS = "tags"
    MEMBERSHIP = "membership"
    ENGAGEMENT = "engagement"
    PROPERTY = "property"


KINDS: Mapping[Field, Kind] = {
    **dict.fromkeys((Field.STATUS, Field.STAGE), Kind.CHOICE),
    **dict.fromkeys(
        (
            *(Field.EMAIL, Field.FIRST_NAME, Field.LAST_NAME, Field.COMPANY),
            *(Field.PHONE, Field.CITY, Field.COUNTRY, Field.SOURCE),
        ),
        Kind.TEXT,
    ),
    **dict.fromkeys(
        (Field.SCORE, Field.SENT_COUNT, Field.OPENED_COUNT, Field.CLICKED_COUNT, Field.BOUNCED_COUNT),
        Kind.NUMBER,
    ),
    **dict.fromkeys(
        (
            *(Field.CREATED_AT, Field.UPDATED_AT, Field.SUBSCRIBED_AT, Field.UNSUBSCRIBED_AT),
            *(Field.LAST_SENT_AT, Field.LAST_OPENED_AT, Field.LAST_CLICKED_AT, Field.LAST_ACTIVITY_AT),
        ),
        Kind.TIME,
    ),
    Field.TAGS: Kind.TAGS,
    **dict.fromkeys((Field.LISTS, Field.SEGMENTS), Kind.MEMBERSHIP),
    **dict.fromkeys((Field.SENT, Field.OPENED, Field.CLICKED), Kind.ENGAGEMENT),
    Field.PROPERTY: Kind.PROPERTY,
}
_ORDER = {Op.EQUALS, Op.NOT_EQUALS, Op.GREATER, Op.GREATER_OR_EQUAL, Op.LESS, Op.LESS_OR_EQUAL}
_PRESENCE = {Op.HAS_VALUE, Op.IS_EMPTY}
_TEXT = {
    *(Op.EQUALS, Op.NOT_EQUALS, Op.CONTAINS, Op.NOT_CONTAINS, Op.STARTS_WITH, Op.NOT_STARTS_WITH),
    *(Op.ENDS_WITH, Op.NOT_ENDS_WITH, *_PRESENCE),
}
OPS: Mapping[Kind, frozenset[Op]] = {
    Kind.CHOICE: frozenset({Op.EQUALS, Op.NOT_EQUALS}),
    Kind.TEXT: frozenset(_TEXT),
    Kind.NUMBER: frozenset(_ORDER),
    Kind.TIME: frozenset({*_ORDER, *_PRESENCE, Op.WITHIN_DAYS, Op.NOT_WITHIN_DAYS}),
    Kind.TAGS: frozenset(
        {
            *(Op.IN, Op.NOT_IN, Op.HAS_ALL, Op.CONTAINS, Op.NOT_CONTAINS),
            *(Op.STARTS_WITH, Op.NOT_STARTS_WITH, *_PRESENCE),
        }
    ),
    Kind.MEMBERSHIP: frozenset({Op.IN, Op.NOT_IN}),
    Kind.ENGAGEMENT: frozenset({Op.AT_LEAST, Op.EXACTLY, Op.MORE_THAN, Op.LESS_THAN, Op.AT_MOST}),
    Kind.PROPERTY: frozenset({*_ORDER, *_TEXT, Op.EXISTS, Op.NOT_EXISTS, Op.IS_TRUE, Op.IS_FALSE}),
}
VALUELESS = frozenset({*_PRESENCE, Op.EXISTS, Op.NOT_EXISTS, Op.IS_TRUE, Op.IS_FALSE})
CHOICES: Mapping[Field, Mapping[str, int]] = {
    Field.STATUS: {status.name.lower(): status.value for status in Status},
    Field.STAGE: {stage.name.lower(): stage.value for stage in Stage},
}
ENGAGEMENTS: Mapping[Field, EngagementKind] = {
    Field.SENT: EngagementKind.SENT,
    Field.OPENED: EngagementKind.OPENED,
    Field.CLICKED: EngagementKind.CLICKED,
}

Value = str | int | float | bool | tuple[str, ...] | tuple[RowId, ...] | None


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Which messages an engagement condition counts; all that is given must hold."""

    campaigns: tuple[RowId, ...] = ()  # any of them
    days: int | None = None  # the last so many
    link: str | None = None  # as it stood in the mail; of clicks
    humans_only: bool = False  # leaves out what a scanner is known to have done

    @property
    def is_wide(self) -> bool:
        return self == Narrowed()


@dataclass(frozen=True, slots=True)
class Condition:
    """`value` by the field's kind: a choice's word, a text, a number, an ISO time or day, a number of days,
    tags' names, ids, or how many different messages.
    """

    field: Field
    op: Op
    value: Value = None
    key: str = ""  # of a property
    narrowed: Narrowed = Narrowed()

    @property
    def kind(self) -> Kind:
        return KINDS[self.field]


@dataclass(frozen=True, slots=True)
class Criteria:
    """A group: all of its items must hold, or any."""

    match: Match
    items: Sequence["Criteria | Condition"]


@dataclass(frozen=True, slots=True)
class Engaged:
    """One row of what a contact did."""

    kind: EngagementKind
    at: int
    message_id: RowId
    campaign_id: RowId | None = None
    is_human: bool | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one contact; `engaged` holds all of its rows."""

    contact: Contact
    engaged: Sequence[Engaged] = ()
    segments: frozenset[RowId] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """`contacts` members; of a dynamic one those whom the last refresh found, and who were added since."""

    organization_id: int
    id: RowId
    name: str
    description: str | None
    is_dynamic: bool
    criteria: Criteria | None
    contacts: int
    round: int
    refreshed_at: int | None
    asked_at: int | None  # to a day
    refresh_at: int | None  # None: never by itself
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did, and how many members there are now."""

    added: int
    removed: int
    contacts: int


@dataclass(frozen=True, slots=True)
class Changed:
    """How many members came or went, how many there are now, and which ids name no contact."""

    count: int
    contacts: int
    unknown: Sequence[RowId] = ()
