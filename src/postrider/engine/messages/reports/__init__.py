"""What reports of a campaign read of its messages and contents: read only."""

from postrider.engine.messages.reports.store import (
    COUNT_MAX,
    LastAttempt,
    Recipient,
    count,
    last_attempts,
    links_of,
    of_addresses,
    page,
    recipients,
)

__all__ = [
    "COUNT_MAX",
    "LastAttempt",
    "Recipient",
    "count",
    "last_attempts",
    "links_of",
    "of_addresses",
    "page",
    "recipients",
]
