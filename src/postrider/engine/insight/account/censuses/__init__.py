"""All contacts of an organization counted: at once where they are few, by a worker where they are many."""

from postrider.engine.insight.account.censuses.take import (
    LIVE_MAX,
    Count,
    begin,
    census,
    go_on,
    is_large,
    keep,
    taken_at,
)

__all__ = ["LIVE_MAX", "Count", "begin", "census", "go_on", "is_large", "keep", "taken_at"]
