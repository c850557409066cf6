"""This dialect's words for what the engine knows: total maps; None where it has no word and says nothing."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from postrider.engine.audience.model import ContactSort, Stage
from postrider.engine.journal import EventKind
from postrider.engine.messages import Mark, Status
from postrider.engine.principal import ALL_SCOPES
from postrider.engine.sending.campaigns import CampaignStatus


@dataclass(frozen=True, slots=True)
class Which:
    """Which messages a word stands for, in the terms of `messages.search`."""

    statuses: tuple[Status, ...] = ()  # none: any
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def covers(self, status: Status, marks: Collection[str]) -> bool:
        is_status = not self.statuses or status in self.statuses
        return is_status and all(name in marks for name in self.has) and not set(self.lacks) & set(marks)


_COMPLAINED, _CLICKED, _OPENED, _SENT = (
    mark.value for mark in (Mark.COMPLAINED, Mark.CLICKED, Mark.OPENED, Mark.SENT)
)
_UNTOUCHED = (_COMPLAINED, _CLICKED, _OPENED)
_WAITING = (Status.QUEUED, Status.DEFERRED)
# What the recipient did says more than how the mail came; every message has exactly one word.
EMAIL_STATUSES: Mapping[str, Which] = MappingProxyType(
    {
        "complained": Which(has=(_COMPLAINED,)),
        "clicked": Which(has=(_CLICKED,), lacks=(_COMPLAINED,)),
        "opened": Which(has=(_OPENED,), lacks=(_COMPLAINED, _CLICKED)),
        "delivered": Which((Status.DELIVERED,), lacks=_UNTOUCHED),
        "bounced": Which((Status.BOUNCED,), lacks=_UNTOUCHED),
        "failed": Which((Status.FAILED, Status.SUPPRESSED, Status.CANCELLED), lacks=_UNTOUCHED),
        "sent": Which(_WAITING, has=(_SENT,), lacks=_UNTOUCHED),
        "queued": Which(_WAITING, lacks=(*_UNTOUCHED, _SENT)),
    }
)
QUEUED = "queued"
_MARKS = (*_UNTOUCHED, _SENT)


def email_status(status: Status, marked: Callable[[str], bool]) -> str:
    """The word for a message; `marked` tells whether it has a mark of that name."""
    marks = [name for name in _MARKS if marked(name)]
    return next(word for word, which in EMAIL_STATUSES.items() if which.covers(status, marks))


_UNSAID = (
    EventKind.ACCEPTED, EventKind.DEFERRED, EventKind.FAILED, EventKind.SUPPRESSED, EventKind.CANCELLED,
    EventKind.RECLASSIFIED, EventKind.CONTACT_CREATED, EventKind.CONTACT_UPDATED, EventKind.CONTACT_DELETED,
    EventKind.CONTACT_SUBSCRIBED, EventKind.CAMPAIGN_PAUSED, EventKind.CAMPAIGN_RESUMED,
    EventKind.DOMAIN_VERIFIED, EventKind.DOMAIN_FAILED, EventKind.AUTOMATION_ENROLLED,
    EventKind.AUTOMATION_COMPLETED, EventKind.CUSTOM,
    EventKind.CAMPAIGN_FAILED, EventKind.ALERT_RAISED, EventKind.ALERT_CLEARED,
)  # fmt: skip
EVENTS: dict[EventKind, str | None] = {
    **dict.fromkeys(_UNSAID),
    EventKind.SENT: "email.sent",
    EventKind.DELIVERED: "email.delivered",
    EventKind.BOUNCED: "email.bounced",
    EventKind.OPENED: "email.opened",
    EventKind.CLICKED: "email.clicked",
    EventKind.COMPLAINED: "email.complained",
    EventKind.UNSUBSCRIBED: "email.unsubscribed",
    EventKind.CAMPAIGN_CREATED: "campaign.created",
    EventKind.CAMPAIGN_SCHEDULED: "campaign.scheduled",
    EventKind.CAMPAIGN_STARTED: "campaign.sending",
    EventKind.CAMPAIGN_FINISHED: "campaign.sent",
    EventKind.CAMPAIGN_CANCELLED: "campaign.cancelled",
    EventKind.ORGANIZATION_CREATED: "organization.created",
    EventKind.USER_INVITED: "user.invited",
    EventKind.USER_JOINED: "user.joined",
    EventKind.GOAL_CONVERTED: "goal.converted",
    EventKind.REVENUE_RECORDED: "revenue.recorded",
}

# There is no word for a pause: what is paused is on its way.
CAMPAIGN_STATUSES: Mapping[CampaignStatus, str] = MappingProxyType(
    {
        CampaignStatus.DRAFT: "draft",
        CampaignStatus.SCHEDULED: "scheduled",
        CampaignStatus.SENDING: "sending",
        CampaignStatus.PAUSED: "sending",
        CampaignStatus.SENT: "sent",
        CampaignStatus.CANCELLED: "cancelled",
        CampaignStatus.FAILED: "failed",
    }
)
_ACTIVE = (CampaignStatus.SCHEDULED, CampaignStatus.SENDING, CampaignStatus.PAUSED)
# What a list is narrowed to by a word: "active" is in progress (contract: listCampaigns).
CAMPAIGN_FILTERS: Mapping[str, tuple[CampaignStatus, ...]] = MappingProxyType(
    {
        **{
            word: tuple(status for status, said in CAMPAIGN_STATUSES.items() if said == word)
            for word in CAMPAIGN_STATUSES.values()
        },
        "active": _ACTIVE,
    }
)
# A campaign's flags: the engine's switch, and what holds where nothing was said.
SWITCHES: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "analytics_enabled": ("analytics", True),
        "ai_optimization": ("ai_optimization", False),
        "track_opens": ("track_opens", True),
        "track_clicks": ("track_clicks", True),
        "unsubscribe_enabled": ("auto_footer", True),
    }
)

# Who was never said to be more is a subscriber (contract: createContact).
STAGES: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.NONE: "subscriber",
        Stage.SUBSCRIBER: "subscriber",
        Stage.LEAD: "lead",
        Stage.MARKETING_QUALIFIED_LEAD: "marketing_qualified_lead",
        Stage.SALES_QUALIFIED_LEAD: "sales_qualified_lead",
        Stage.OPPORTUNITY: "opportunity",
        Stage.CUSTOMER: "customer",
        Stage.EVANGELIST: "evangelist",
    }
)
GIVEN_STAGES: Mapping[str, Stage] = MappingProxyType({word: stage for stage, word in STAGES.items()})
CONTACT_SORTS: Mapping[str, ContactSort] = MappingProxyType(
    {
        "created_at": ContactSort.CREATED,
        "updated_at": ContactSort.UPDATED,
        "email": ContactSort.EMAIL,
        "engagement_score": ContactSort.SCORE,
    }
)

ROLES = {"owner": "owner", "admin": "admin", "editor": "member", "viewer": "user"}

# No word's scopes are all among the others': so a key's scopes tell which words it was given.
PERMISSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "send_email": ("messages:send",),
        "read_analytics": ("messages:read", "campaigns:read"),
        "manage_contacts": ("contacts:read", "contacts:write"),
        "manage_campaigns": ("campaigns:read", "campaigns:write"),
        "manage_webhooks": ("webhooks:read", "webhooks:write"),
    }
)


def scopes_of(permissions: Sequence[str] | None) -> list[str]:
    """The engine's scopes for a key with these permissions; None asks for all there is."""
    if permissions is None:
        return [ALL_SCOPES]
    return sorted({scope for word in permissions for scope in PERMISSIONS[word]})


def permissions_of(scopes: Collection[str]) -> list[str]:
    """The words for what a key may do, in the order of the documents."""
    return [
        word for word, needed in PERMISSIONS.items() if ALL_SCOPES in scopes or set(needed) <= set(scopes)
    ]


KEY_STATUSES = {True: "active", False: "inactive"}
