"""Records of accounts."""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from postrider.kit.ids import RowId


class OrganizationKind(StrEnum):
    LIVE = "live"
    SANDBOX = "sandbox"  # always captured, whatever the installation does


class OrganizationStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Settings:
    """Switches of an organization; what is not set in its row has the default here."""

    tracking_enabled: bool = True
    open_tracking_enabled: bool = True
    click_tracking_enabled: bool = True
    unsubscribe_header_enabled: bool = True
    optouts_stop_transactional: bool = True
    inline_css: bool = False
    event_tracking_enabled: bool = True
    event_api_enabled: bool = True
    brand_name: str = ""  # what recipients know it by, on public pages; empty: as the mail's From says
    brand_color: str = ""  # #rrggbb; empty: ours
    postal_address: str = ""  # what the footer of a mail to many says
    timezone: str = "UTC"  # IANA: where its days begin
    frequency_cap_count: int = 0  # mails to many that one address gets within the days below; 0: any number
    frequency_cap_days: int = 7
    attribution_click_days: int = 7  # how long after a click a conversion belongs to its campaign
    attribution_open_days: int = 3  # and after an opening, where nothing was clicked
    currency: str = "USD"  # ISO 4217: that of revenue where nobody says another, and of reports

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> "Settings":
        known = {field.name for field in fields(cls)}
        return cls(**{name: its for name, its in (value or {}).items() if name in known})


@dataclass(frozen=True, slots=True)
class Organization:
    id: int
    public_id: RowId
    name: str
    kind: OrganizationKind
    live_id: int | None
    status: OrganizationStatus
    plan: str
    settings: Settings
    created_at: int


@dataclass(frozen=True, slots=True)
class User:
    """A person, who may be in several organizations."""

    id: RowId
    email: str
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Member:
    """A user in one organization."""

    user: User
    role: str  # owner, admin, editor, viewer
    joined_at: int


@dataclass(frozen=True, slots=True)
class Session:
    """A user who has logged in through one surface."""

    organization_id: int
    id: RowId
    user_id: RowId
    label: str
    generation: int  # of the refresh token that is good now
    created_at: int
    expires_at: int
    credential_id: RowId | None = None  # the API key that opened it


@dataclass(frozen=True, slots=True)
class Credential:
    """An API key or an SMTP login, without its secret."""

    organization_id: int
    id: RowId
    number: int
    kind: str  # key, smtp
    label: str
    name: str
    username: str | None
    hint: str
    scopes: list[str] = field(default_factory=list)
    domain_id: RowId | None = None
    hostname_id: RowId | None = None
    bound_ip: str | None = None
    is_master: bool = False
    is_active: bool = True
    rate_limit_per_minute: int | None = None
    rate_limit_per_hour: int | None = None
    expires_at: int | None = None
    last_used_at: int | None = None
    created_at: int = 0
    updated_at: int = 0
