"""The one Event, and the closed list of what can happen."""

from dataclasses import field
from enum import IntEnum
from typing import Any

from postrider.kit.ids import RowId, new_id
from postrider.kit.record import record


class EventKind(IntEnum):
    """Stored numbers: never renumber, only add."""

    ACCEPTED = 1
    DEFERRED = 2
    SENT = 3
    DELIVERED = 4
    BOUNCED = 5  # data.class: hard | soft | block
    FAILED = 6  # data.reason
    SUPPRESSED = 7
    CANCELLED = 8
    OPENED = 9
    CLICKED = 10
    RECLASSIFIED = 11
    COMPLAINED = 12
    UNSUBSCRIBED = 13
    CONTACT_CREATED = 20
    CONTACT_UPDATED = 21
    CONTACT_DELETED = 22
    CONTACT_SUBSCRIBED = 23
    CAMPAIGN_CREATED = 30
    CAMPAIGN_SCHEDULED = 31
    CAMPAIGN_STARTED = 32
    CAMPAIGN_PAUSED = 33
    CAMPAIGN_RESUMED = 34
    CAMPAIGN_FINISHED = 35
    CAMPAIGN_CANCELLED = 36
    CAMPAIGN_FAILED = 37  # data.reason
    ORGANIZATION_CREATED = 40
    USER_INVITED = 41
    USER_JOINED = 42
    DOMAIN_VERIFIED = 45
    DOMAIN_FAILED = 46
    AUTOMATION_ENROLLED = 50
    AUTOMATION_COMPLETED = 51
    GOAL_CONVERTED = 60
    REVENUE_RECORDED = 61
    CUSTOM = 70
    ALERT_RAISED = 80  # of the operator: data.kind, subject
    ALERT_CLEARED = 81


@record
class Event:
    """Something that happened, at `at` (ms). `source_id` makes a repeat a no-op; `data` is small JSON."""

    organization_id: int
    kind: EventKind
    at: int
    message_id: RowId | None = None
    contact_id: RowId | None = None
    campaign_id: RowId | None = None
    data: dict[str, Any] | None = None
    source_id: str | None = None
    id: RowId = field(default_factory=new_id)
