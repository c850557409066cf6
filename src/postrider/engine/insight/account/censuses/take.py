"""A census: every contact by status, source and what it did of late.

Up to LIVE_MAX contacts are counted when somebody asks. More are counted by a worker, in slices, and the last
result is what is told, with the time it is of.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field

from postrider.db.database import Tx
from postrider.engine.audience.model import Status
from postrider.engine.insight.account.censuses import store
from postrider.engine.insight.account.model import Census, Engagement
from postrider.engine.insight.report import READ
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

LIVE_MAX = 5_000
SLICE = 1_000
SOURCES_MAX = 100  # that are told apart; the rest is "other"
OTHER = "other"
SKEW_MS = clock.HOUR
HIGHLY_MS, HIGHLY_TIMES = 30 * clock.DAY, 5
ENGAGED_MS = 90 * clock.DAY


@dataclass(slots=True)
class Count:
    """A census under way."""

    taken_at: int
    after: RowId = b""
    total: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    engagement: Counter[str] = field(default_factory=Counter)

    @property
    def result(self) -> Census:
        engagement = Engagement(**self.engagement)
        return Census(self.taken_at, self.total, dict(self.statuses), dict(self.sources), engagement)


def begin() -> Count:
    return Count(clock.now_ms())


def go_on(tx: Tx, organization_id: int, count: Count) -> bool:
    """Count the next SLICE of contacts; answers whether there may be more."""
    found = store.part(tx, organization_id, count.after, SLICE)
    if not found:
        return False
    since = count.taken_at - HIGHLY_MS
    active = [each.id for each in found if (each.last_activity_at or 0) >= since]
    times = store.times(tx, organization_id, active, since=since, skew_ms=SKEW_MS) if active else {}
    for each in found:
        count.statuses[Status(each.status)] += 1
        is_told = each.source in count.sources or len(count.sources) < SOURCES_MAX
        count.sources[each.source if is_told else OTHER] += 1
        count.engagement[_engagement(each.last_activity_at, times.get(each.id, 0), count.taken_at)] += 1
    count.total += len(found)
    count.after = found[-1].id
    return len(found) == SLICE


def is_large(tx: Tx, organization_id: int) -> bool:
    """Whether an organization has more than LIVE_MAX contacts."""
    return store.has_more_than(tx, organization_id, LIVE_MAX)


def keep(tx: Tx, organization_id: int, count: Count) -> None:
    """Let a finished census be what is told."""
    counts = {
        "total": count.total,
        "statuses": {str(int(status)): number for status, number in count.statuses.items()},
        "sources": dict(count.sources),
        "engagement": asdict(count.result.engagement),
    }
    store.put(tx, organization_id, counts, count.taken_at)


def census(tx: Tx, principal: Principal) -> Census | None:
    """Everybody, as of now or of the worker's last round; None where that has not yet been."""
    principal.require(READ)
    organization_id = principal.organization_id
    if not is_large(tx, organization_id):
        count = begin()
        while go_on(tx, organization_id, count):
            pass
        return count.result
    kept = store.last(tx, organization_id)
    if kept is None:
        return None
    counts, taken_at = kept
    return Census(
        taken_at,
        counts["total"],
        {Status(int(status)): number for status, number in counts["statuses"].items()},
        counts["sources"],
        Engagement(**counts["engagement"]),
    )


def taken_at(tx: Tx, organization_id: int) -> int | None:
    """When the last one that is kept was taken."""
    kept = store.last(tx, organization_id)
    return None if kept is None else kept[1]


def _engagement(last_activity_at: int | None, times: int, now: int) -> str:
    """The field of Engagement that counts such a contact."""
    if last_activity_at is None:
        return "never_engaged"
    if times >= HIGHLY_TIMES:
        return "highly_engaged"
    return "engaged" if last_activity_at >= now - ENGAGED_MS else "inactive"
