"""This dialect's words for what the engine knows: total maps; None where it has no word and says nothing."""

from postrider.engine.accounts import OrganizationStatus
from postrider.engine.domains import DomainStatus
from postrider.engine.insight import Measure
from postrider.engine.journal import EventKind
from postrider.engine.messages import Status

STATUSES = {
    Status.QUEUED: "Pending",
    Status.DEFERRED: "Pending",
    Status.DELIVERED: "Delivered",
    Status.BOUNCED: "Failed",
    Status.FAILED: "Failed",
    Status.SUPPRESSED: "Failed",
    Status.CANCELLED: "Failed",
}

_UNSAID = (
    EventKind.DEFERRED, EventKind.SENT, EventKind.FAILED, EventKind.SUPPRESSED, EventKind.CANCELLED,
    EventKind.RECLASSIFIED, EventKind.CONTACT_CREATED, EventKind.CONTACT_UPDATED, EventKind.CONTACT_DELETED,
    EventKind.CONTACT_SUBSCRIBED, EventKind.CAMPAIGN_CREATED, EventKind.CAMPAIGN_SCHEDULED,
    EventKind.CAMPAIGN_STARTED, EventKind.CAMPAIGN_PAUSED, EventKind.CAMPAIGN_RESUMED,
    EventKind.CAMPAIGN_FINISHED, EventKind.CAMPAIGN_CANCELLED, EventKind.ORGANIZATION_CREATED,
    EventKind.USER_INVITED, EventKind.USER_JOINED, EventKind.DOMAIN_VERIFIED, EventKind.DOMAIN_FAILED,
    EventKind.AUTOMATION_ENROLLED, EventKind.AUTOMATION_COMPLETED, EventKind.GOAL_CONVERTED,
    EventKind.REVENUE_RECORDED, EventKind.CUSTOM,
    EventKind.CAMPAIGN_FAILED, EventKind.ALERT_RAISED, EventKind.ALERT_CLEARED,
)  # fmt: skip
EVENTS: dict[EventKind, str | None] = {
    **dict.fromkeys(_UNSAID),
    EventKind.ACCEPTED: "send",  # "accepted by the platform", not SENT: that is the receiver's word
    EventKind.DELIVERED: "delivery",
    EventKind.BOUNCED: "bounce",
    EventKind.OPENED: "open",
    EventKind.CLICKED: "click",
    EventKind.UNSUBSCRIBED: "unsubscribe",
    EventKind.COMPLAINED: "complaint",
}

# Other spellings of events, which are taken wherever one is asked for (contract: webhooks.event_aliases).
EVENT_ALIASES = {
    "sent": "send",
    "accepted": "send",
    "accepted-by-oempro": "send",
    "delivered": "delivery",
    "accepted-by-mta": "delivery",
    "bounced": "bounce",
    "opened": "open",
    "clicked": "click",
    "unsubscribed": "unsubscribe",
    "complained": "complaint",
}
# How GET /api/v1/webhooks shows them (contract: webhooks.event_aliases.emit).
PAST_EVENTS = {
    "send": "sent",
    "delivery": "delivered",
    "bounce": "bounced",
    "open": "opened",
    "click": "clicked",
    "unsubscribe": "unsubscribed",
    "complaint": "complained",
}
# What a count is a count of.
MEASURES: dict[Measure, str | None] = {
    **dict.fromkeys(Measure),
    Measure.ACCEPTED: "send",
    Measure.DELIVERED: "delivery",
    Measure.BOUNCED_HARD: "bounce",
    Measure.BOUNCED_SOFT: "bounce",
    Measure.BOUNCED_BLOCK: "bounce",
    Measure.OPENED: "open",
    Measure.CLICKED: "click",
    Measure.UNSUBSCRIBED: "unsubscribe",
    Measure.COMPLAINED: "complaint",
}

PENDING, VERIFIED, FAILED = "Pending", "Verified", "Failed"
DOMAIN_STATUSES = {
    DomainStatus.PENDING: "Approval Pending",
    DomainStatus.VERIFIED: "Enabled",
    DomainStatus.FAILED: "Approval Pending",
}
VERIFICATION_STATUSES = {
    DomainStatus.PENDING: PENDING,
    DomainStatus.VERIFIED: VERIFIED,
    DomainStatus.FAILED: FAILED,
}
# DKIMStatus and SPFStatus where the record was not found as it should be, after a first check.
MISSING_RECORD_STATUSES = {
    DomainStatus.PENDING: PENDING,
    DomainStatus.VERIFIED: FAILED,
    DomainStatus.FAILED: FAILED,
}

ACCOUNT_STATUSES = {
    OrganizationStatus.ACTIVE: "Enabled",
    OrganizationStatus.SUSPENDED: "Disabled",
    OrganizationStatus.PENDING: "Disabled",
}
# The number of the email operation's error for an account that may not send.
ACCOUNT_ERRORS: dict[OrganizationStatus, int | None] = {
    OrganizationStatus.ACTIVE: None,
    OrganizationStatus.SUSPENDED: 12,
    OrganizationStatus.PENDING: 34,
}
