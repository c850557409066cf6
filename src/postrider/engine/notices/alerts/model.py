"""Kinds of alerts, what was seen of one in a look, and an alert as it is kept."""

from enum import StrEnum
from typing import Any

from postrider.kit.ids import RowId
from postrider.kit.record import record


class AlertKind(StrEnum):
    """Stored: never rename one, only add."""

    QUEUE_STUCK = "queue_stuck"
    FOLLOWER_LAG = "follower_lag"
    CERTIFICATE_ENDS = "certificate_ends"
    LISTED = "listed"
    DISK_FULL = "disk_full"


@record
class Sight:
    """Something that is wrong now. `facts` are small JSON: what the mail about it shows."""

    subject: str  # which one: with the kind and the scope it is the same alert in each look
    facts: dict[str, Any]


@record
class Look:
    """One look for a kind of trouble; what it does not see is over. A look that failed is none."""

    kind: AlertKind
    sights: tuple[Sight, ...]
    scope: str = ""  # the node that looked, where each sees its own


@record
class Alert:
    """`cleared_at` None: it goes on."""

    organization_id: int
    id: RowId
    kind: AlertKind
    scope: str
    subject: str
    facts: dict[str, Any]
    raised_at: int
    seen_at: int
    cleared_at: int | None
