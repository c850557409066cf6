"""This dialect's words for what the engine knows: total maps; None where it has no word and says nothing."""

from collections.abc import Callable

from postrider.engine.audience.model import ContactSort
from postrider.engine.audience.model import Status as ContactStatus
from postrider.engine.domains import DomainStatus
from postrider.engine.domains.model import Purpose
from postrider.engine.insight import Measure
from postrider.engine.journal import EventKind
from postrider.engine.messages import Status, Stream
from postrider.engine.suppression import Reason, Scope, Source

STREAMS = {
    "transactional": Stream.TRANSACTIONAL,
    "broadcast": Stream.BROADCAST,
    "shared": Stream.SHARED,
}

# What a test mode makes of (opens, clicks) as they were asked for (R24); None: as the domain has it.
Tracking = tuple[bool | None, bool | None]
TEST_MODES: dict[str, Callable[[Tracking], Tracking]] = {
    "basic": lambda asked: (False, False),
    "standard": lambda asked: (False, True),
    "full": lambda asked: asked,
}

STATUSES = {
    Status.QUEUED: "queued",
    Status.DEFERRED: "queued",
    Status.DELIVERED: "delivered",
    Status.BOUNCED: "bounced",
    Status.FAILED: "failed",
    Status.SUPPRESSED: "failed",
    Status.CANCELLED: "failed",
}

_UNSAID = (
    EventKind.DEFERRED, EventKind.RECLASSIFIED, EventKind.CONTACT_CREATED, EventKind.CONTACT_UPDATED,
    EventKind.CONTACT_DELETED, EventKind.CONTACT_SUBSCRIBED, EventKind.CAMPAIGN_CREATED,
    EventKind.CAMPAIGN_SCHEDULED, EventKind.CAMPAIGN_STARTED, EventKind.CAMPAIGN_PAUSED,
    EventKind.CAMPAIGN_RESUMED, EventKind.CAMPAIGN_FINISHED, EventKind.CAMPAIGN_CANCELLED,
    EventKind.ORGANIZATION_CREATED, EventKind.USER_INVITED, EventKind.USER_JOINED, EventKind.DOMAIN_VERIFIED,
    EventKind.DOMAIN_FAILED, EventKind.AUTOMATION_ENROLLED, EventKind.AUTOMATION_COMPLETED,
    EventKind.GOAL_CONVERTED, EventKind.REVENUE_RECORDED, EventKind.CUSTOM,
    EventKind.CAMPAIGN_FAILED, EventKind.ALERT_RAISED, EventKind.ALERT_CLEARED,
)  # fmt: skip
EVENTS: dict[EventKind, str | None] = {
    **dict.fromkeys(_UNSAID),
    EventKind.ACCEPTED: "queued",
    EventKind.SENT: "sent",
    EventKind.DELIVERED: "delivered",
    EventKind.BOUNCED: "bounced",
    EventKind.FAILED: "failed",
    EventKind.SUPPRESSED: "failed",
    EventKind.CANCELLED: "failed",
    EventKind.OPENED: "opened",
    EventKind.CLICKED: "clicked",
    EventKind.COMPLAINED: "complained",
    EventKind.UNSUBSCRIBED: "unsubscribed",
}

# The seed's spellings, which a query may use as well.
EVENT_SYNONYMS = {
    "bounce": "bounced",
    "complaint": "complained",
    "open": "opened",
    "click": "clicked",
    "unsubscribe": "unsubscribed",
}

PLATFORM_NAMES = {
    Measure.OPENED_IN_GMAIL: "Gmail",
    Measure.OPENED_IN_APPLE_MAIL: "Apple Mail",
    Measure.OPENED_IN_OUTLOOK: "Outlook",
    Measure.OPENED_IN_YAHOO: "Yahoo Mail",
    Measure.OPENED_IN_THUNDERBIRD: "Thunderbird",
    Measure.OPENED_ELSEWHERE: "Other",
}

DOMAIN_STATUSES = {
    DomainStatus.PENDING: "pending",
    DomainStatus.VERIFIED: "verified",
    DomainStatus.FAILED: "failed",
}

# The records of a domain here are TXT: a return path of one's own, a CNAME, is told elsewhere.
PURPOSES: dict[Purpose, str | None] = {
    Purpose.VERIFICATION: "verification",
    Purpose.SPF: "spf",
    Purpose.DKIM: "dkim",
    Purpose.DMARC: "dmarc",
    Purpose.RETURN_PATH: None,
}

# A suppression's type and bounce_type, by its reason; opt-outs stand in a list of their own.
SUPPRESSIONS: dict[Reason, tuple[str, str | None] | None] = {
    Reason.HARD_BOUNCE: ("bounce", "hard"),
    Reason.SOFT_BOUNCES: ("bounce", "soft"),
    Reason.MANUAL: ("bounce", None),
    Reason.COMPLAINT: ("complaint", None),
    Reason.OPERATOR: None,
    Reason.UNSUBSCRIBED: None,
}
# What a customer enters under a type: the reason is the customer's word.
GIVEN_REASONS = {
    "bounce": Reason.HARD_BOUNCE,
    "complaint": Reason.COMPLAINT,
    "unsubscribe": Reason.UNSUBSCRIBED,
}
SCOPES: dict[Scope, str | None] = {
    Scope.ORGANIZATION: "global",
    Scope.DOMAIN: "domain",
    Scope.LIST: None,
    Scope.STREAM: None,
}
SOURCES = {
    Source.SYSTEM: "system",
    Source.API: "api",
    Source.MANUAL: "manual",
    Source.LINK: "link",
    Source.ONE_CLICK: "one-click",
    # The mail program's own button does these too.
    Source.MAIL: "one-click",
    Source.FEEDBACK_LOOP: "one-click",
    Source.SIMULATOR: "link",
    Source.CONSENT: "api",
}
REASONS = {
    Reason.HARD_BOUNCE: "Hard bounce",
    Reason.SOFT_BOUNCES: "Repeated soft bounces",
    Reason.COMPLAINT: "Spam complaint",
    Reason.MANUAL: "Suppressed by hand",
    Reason.OPERATOR: "Suppressed by the operator",
    Reason.UNSUBSCRIBED: "Unsubscribed",
}

# Who has not confirmed yet is not mailed: here that is as good as unsubscribed.
CONTACT_STATUSES = {
    ContactStatus.PENDING: "unsubscribed",
    ContactStatus.SUBSCRIBED: "subscribed",
    ContactStatus.UNSUBSCRIBED: "unsubscribed",
    ContactStatus.BOUNCED: "bounced",
    ContactStatus.COMPLAINED: "complained",
}
GIVEN_STATUSES = {
    "subscribed": ContactStatus.SUBSCRIBED,
    "active": ContactStatus.SUBSCRIBED,  # as lists of contacts say it
    "unsubscribed": ContactStatus.UNSUBSCRIBED,
    "bounced": ContactStatus.BOUNCED,
    "complained": ContactStatus.COMPLAINED,
}
FILTER_STATUSES = {
    word: tuple(each for each, shown in CONTACT_STATUSES.items() if shown == CONTACT_STATUSES[status])
    for word, status in GIVEN_STATUSES.items()
}
CONTACT_SORTS = {
    "created_at": ContactSort.CREATED,
    "updated_at": ContactSort.UPDATED,
    "email": ContactSort.EMAIL,
    "engagement_score": ContactSort.SCORE,
}
