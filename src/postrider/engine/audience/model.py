"""The records of the audience. A contact is one address of an organization and what is known of its owner."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum, IntEnum, StrEnum
from typing import Any

from postrider.kit.ids import RowId
from postrider.kit.record import record


class Status(IntEnum):
    """What may be sent to a contact; a projection of suppression, but for PENDING (opt-in not confirmed)."""

    PENDING = 0
    SUBSCRIBED = 1
    UNSUBSCRIBED = 2
    BOUNCED = 3
    COMPLAINED = 4


class Stage(IntEnum):
    """Of a contact's life as a customer; none where nobody said."""

    NONE = 0
    SUBSCRIBER = 1
    LEAD = 2
    MARKETING_QUALIFIED_LEAD = 3
    SALES_QUALIFIED_LEAD = 4
    OPPORTUNITY = 5
    CUSTOMER = 6
    EVANGELIST = 7


class EngagementKind(IntEnum):
    SENT = 1
    OPENED = 2
    CLICKED = 3


class PropertyType(StrEnum):
    TEXT = "text"
    TEXTAREA = "textarea"
    NUMBER = "number"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    SELECT = "select"
    MULTI_SELECT = "multi_select"
    URL = "url"
    EMAIL = "email"
    PHONE = "phone"
    JSON = "json"


class JobStatus(StrEnum):
    """Of an import or an export."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class OnKnown(Enum):
    """What to do with an address that is a contact already."""

    REFUSE = "refuse"
    SKIP = "skip"
    UPDATE = "update"


class Origin(Enum):
    """What a save is part of; QUIET tells nobody that a contact subscribed, so nothing begins by it."""

    REQUEST = "request"
    QUIET = "quiet"


class Kept(Enum):
    """What became of one input."""

    CREATED = "created"
    UPDATED = "updated"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Consent:
    """What was agreed to, when (ms), and where from (GDPR article 7). None: nothing was said, so nothing is
    refused; False is a refusal: no broadcast mail, and no opening or click recorded.
    """

    email_marketing: bool | None = None
    sms_marketing: bool | None = None
    tracking: bool | None = None
    third_party_sharing: bool | None = None
    given_at: int | None = None
    ip_address: str | None = None
    user_agent: str | None = None


@record
class Contact:
    """One row, with its tags' names (in order) and lists' ids."""

    _: KW_ONLY
    organization_id: int
    id: RowId
    email: str
    address_key: str
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    phone: str | None = None
    city: str | None = None
    country: str | None = None
    source: str
    status: Status
    stage: Stage = Stage.NONE
    properties: Mapping[str, Any] = field(default_factory=dict)
    consent: Consent | None = None
    score: int = 0
    sent: int = 0
    opened: int = 0
    clicked: int = 0
    bounced: int = 0
    last_sent_at: int | None = None
    last_opened_at: int | None = None
    last_clicked_at: int | None = None
    last_activity_at: int | None = None
    subscribed_at: int | None = None
    unsubscribed_at: int | None = None
    created_at: int
    updated_at: int
    tags: Sequence[str] = ()
    lists: Sequence[RowId] = ()

    @property
    def name(self) -> str | None:
        """First and last name in one, None where there is neither."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or None


@record
class ContactInput:
    """What is said of a contact. None: nothing is said, an update leaves it; "" empties a text.

    `properties` are merged key by key, a None in them removes the key; `tags` and `lists` are added,
    and where `replaces_tags` (`replaces_lists`) is set they are all it has afterwards.
    """

    _: KW_ONLY
    email: str
    first_name: str | None = None
    last_name: str | None = None
    name: str | None = None  # instead of first and last: its first word, and the rest
    company: str | None = None
    phone: str | None = None
    city: str | None = None
    country: str | None = None
    source: str | None = None
    status: Status | None = None  # None: subscribed, unless the address is suppressed
    stage: Stage | None = None
    properties: Mapping[str, Any] | None = None
    consent: Consent | None = None
    tags: Sequence[str] | None = None
    lists: Sequence[RowId] | None = None
    replaces_tags: bool = False
    replaces_lists: bool = False
    replaces_properties: bool = False


@record
class Fault:
    """Why one input was not kept; `field` is a name of ContactInput, or properties.KEY."""

    field: str
    message: str
    code: str = "invalid"  # invalid, required, duplicate, unknown


@record
class Saved:
    """What became of the input at `index`: a contact's id and Kept, or its faults."""

    index: int
    contact_id: RowId | None
    kept: Kept | None
    faults: Sequence[Fault] = ()


@dataclass(frozen=True, slots=True)
class Tag:
    organization_id: int
    id: RowId
    name: str
    contacts: int
    created_at: int


@dataclass(frozen=True, slots=True)
class ContactList:
    organization_id: int
    id: RowId
    number: int
    name: str
    description: str | None
    is_public: bool
    contacts: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFilter:
    """All that are given must hold."""

    status: Sequence[Status] = ()
    source: str | None = None
    search: str | None = None  # a part of address or name, in any case
    tags: Sequence[str] = ()  # names; a contact must carry all
    list_id: RowId | None = None
    segment_id: RowId | None = None
    stage: Sequence[Stage] = ()
    created_after: int | None = None
    created_before: int | None = None
    emails: Sequence[str] = ()


class ListSort(Enum):
    """By what lists are ordered; ids break ties."""

    CREATED = "created_at"
    NAME = "name"
    CONTACTS = "contacts"


class ContactSort(Enum):
    """By what a list of contacts is ordered; ids stand for the time of creation and break ties."""

    CREATED = "id"
    EMAIL = "address_key"
    UPDATED = "updated_at"
    SCORE = "score"


@dataclass(frozen=True, slots=True)
class Total:
    """How many there are; not exact: at least so many, or of a preview about so many."""

    count: int
    is_exact: bool = True
