"""This dialect's words for what the engine knows: total maps; None where it has no word and says nothing."""

from collections.abc import Iterable

from postrider.engine.accounts import OrganizationStatus
from postrider.engine.audience.model import Status as ContactStatus
from postrider.engine.errors import Forbidden
from postrider.engine.journal import EventKind
from postrider.engine.messages import Status
from postrider.engine.principal import Principal

# What a key may be given (contract: auth.scopes), and which scopes of the engine that is. Where the engine
# has no such noun yet, the word stands for itself, so that a key made today has it when the noun comes.
SCOPES: dict[str, frozenset[str]] = {
    "campaigns:read": frozenset({"campaigns:read"}),
    "campaigns:write": frozenset({"campaigns:write", "messages:send"}),
    "organization:read": frozenset({"organization:read", "credentials:read"}),
    "organization:write": frozenset({"organization:write", "credentials:write"}),
    **{
        word: frozenset({word})
        for word in (
            "contacts:read", "contacts:write", "lists:read", "lists:write", "templates:read",
            "templates:write", "automations:read", "automations:write", "analytics:read", "webhooks:read",
            "webhooks:write", "events:write", "conversions:write", "maya:use",
        )
    },
}  # fmt: skip

KEEPERS = frozenset({"owner", "admin"})  # of the roles: who is shown API keys

PLANS = {
    "free": "free",
    "starter": "starter",
    "growth": "pro",
    "professional": "pro",
    "enterprise": "enterprise",
}

SUBSCRIPTION_STATUSES = {
    OrganizationStatus.ACTIVE: "active",
    OrganizationStatus.SUSPENDED: "suspended",
    OrganizationStatus.PENDING: "pending",
}

CAMPAIGN_STATUSES = {
    "draft": "draft",
    "scheduled": "scheduled",
    "sending": "sending",
    "paused": "sending",
    "sent": "sent",
    "cancelled": "cancelled",
    "failed": "cancelled",
}

# A complaint says as much as an opt-out (contract: rules.suppression).
CONTACT_STATUSES = {
    ContactStatus.PENDING: "pending",
    ContactStatus.SUBSCRIBED: "subscribed",
    ContactStatus.UNSUBSCRIBED: "unsubscribed",
    ContactStatus.BOUNCED: "bounced",
    ContactStatus.COMPLAINED: "unsubscribed",
}
SOURCES = {"import": "import", "api": "api", "signup_form": "signup_form", "manual": "manual"}
OTHER_SOURCE = "api"  # where another API was told a word of its own

# The fields of a body that the engine calls otherwise.
FIELDS = {
    "html": "html_content",
    "text": "text_content",
    "to": "recipients",
    "from": "from_email",
    "list_id": "recipient_list_id",
}

# The count of a campaign's stats that a message in this state is part of.
STATUSES: dict[Status, str | None] = {
    Status.QUEUED: None,
    Status.DEFERRED: None,
    Status.DELIVERED: "delivered",
    Status.BOUNCED: "bounced",
    Status.FAILED: None,
    Status.SUPPRESSED: None,
    Status.CANCELLED: None,
}

_UNSAID = (
    EventKind.ACCEPTED, EventKind.DEFERRED, EventKind.FAILED, EventKind.SUPPRESSED, EventKind.CANCELLED,
    EventKind.RECLASSIFIED, EventKind.CONTACT_CREATED, EventKind.CONTACT_DELETED, EventKind.CAMPAIGN_CREATED,
    EventKind.CAMPAIGN_SCHEDULED, EventKind.CAMPAIGN_STARTED, EventKind.CAMPAIGN_PAUSED,
    EventKind.CAMPAIGN_RESUMED, EventKind.CAMPAIGN_CANCELLED, EventKind.ORGANIZATION_CREATED,
    EventKind.USER_INVITED, EventKind.USER_JOINED, EventKind.DOMAIN_VERIFIED, EventKind.DOMAIN_FAILED,
    EventKind.GOAL_CONVERTED, EventKind.REVENUE_RECORDED, EventKind.CUSTOM,
    EventKind.CAMPAIGN_FAILED, EventKind.ALERT_RAISED, EventKind.ALERT_CLEARED,
)  # fmt: skip
EVENTS: dict[EventKind, str | None] = {
    **dict.fromkeys(_UNSAID),
    EventKind.SENT: "email.sent",
    EventKind.DELIVERED: "email.delivered",
    EventKind.OPENED: "email.opened",
    EventKind.CLICKED: "email.clicked",
    EventKind.BOUNCED: "email.bounced",
    EventKind.COMPLAINED: "email.complained",
    EventKind.UNSUBSCRIBED: "contact.unsubscribed",
    EventKind.CONTACT_SUBSCRIBED: "contact.subscribed",
    EventKind.CONTACT_UPDATED: "contact.updated",
    EventKind.CAMPAIGN_FINISHED: "campaign.completed",
    EventKind.AUTOMATION_ENROLLED: "automation.enrolled",
    EventKind.AUTOMATION_COMPLETED: "automation.completed",
}


def engine_scopes(words: Iterable[str]) -> tuple[str, ...]:
    """What a key with these words may do in the engine; KeyError for a word that is none."""
    return tuple(sorted(frozenset[str]().union(*(SCOPES[word] for word in words))))


def scope_words(scopes: Iterable[str]) -> list[str]:
    """The words that these scopes cover whole: those of a key made elsewhere or with `*` too."""
    held = Principal(0, scopes=frozenset(scopes))
    return [word for word, needed in SCOPES.items() if all(_may(held, scope) for scope in needed)]


def word_of(scope: str) -> str:
    """How a scope that a caller lacks is called here."""
    return next((word for word, covered in SCOPES.items() if scope in covered), scope)


def _may(held: Principal, scope: str) -> bool:
    try:
        held.require(scope)
    except Forbidden:
        return False
    return True
