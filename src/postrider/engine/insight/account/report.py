"""Reports on an account as a whole: from rollups and a census, so as quick for a million mails as for ten."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime, tzinfo

from postrider.db.database import Tx
from postrider.engine.audience.model import Status
from postrider.engine.insight import coarse
from postrider.engine.insight.account import store
from postrider.engine.insight.account.model import (
    CampaignRates,
    Census,
    Change,
    Growth,
    Hits,
    Mail,
    MailSpan,
    Overview,
    Trait,
    Traits,
)
from postrider.engine.insight.coarse import Piece
from postrider.engine.insight.model import Step
from postrider.engine.insight.report import READ, spans_of, widened
from postrider.engine.insight.tally import BUCKET_MS
from postrider.engine.principal import Principal
from postrider.kit import clock

TOP_CAMPAIGNS = 5
VALUES_MAX = 100  # of one trait that a report tells
DAYS_A_WEEK, HOURS_A_DAY = 7, 24
NOTHING = Mail()
EPOCH_WEEKDAY = 3  # 1970 began on a Thursday


def overview(tx: Tx, principal: Principal, *, start: int, end: int, zone: tzinfo = UTC) -> Overview:
    """What happened from `start` to before `end` (ms), by days of a zone. Raises Invalid for too many days.

    Campaigns are those that began in this time, the one of which most was opened first.
    """
    principal.require(READ)
    organization_id, spans = principal.organization_id, spans_of(start, end, Step.DAY, zone)
    found = store.mail(tx, organization_id, [piece for span in spans for piece in _pieces(*span)])
    since, until = widened(start, end)
    hours = store.mail_by_hour(tx, organization_id, stretches(since, until, zone))
    begun = store.campaigns_begun(tx, organization_id, since=since, until=until)
    return Overview(
        [MailSpan(*span, found.get(span[0], NOTHING)) for span in spans],
        _total(found.values()),
        _grouped(hours, lambda hour: (hour // HOURS_A_DAY + EPOCH_WEEKDAY) % DAYS_A_WEEK),
        _grouped(hours, lambda hour: hour % HOURS_A_DAY),
        sorted(begun, key=_most_opened)[:TOP_CAMPAIGNS],
    )


def traits(tx: Tx, principal: Principal, trait: Trait, *, start: int, end: int) -> Traits:
    """Openings and clicks from `start` to before `end` (ms) by a trait, VALUES_MAX values of it at most."""
    principal.require(READ)
    pieces = coarse.pieces_of(*widened(start, end), store.TRAIT_STEPS)
    found = store.traits(tx, principal.organization_id, trait, pieces)
    total = Hits(sum(each.opens for each in found.values()), sum(each.clicks for each in found.values()))
    ordered = sorted(found.items(), key=lambda each: (-each[1].opens, -each[1].clicks, each[0]))
    return Traits(total, ordered[:VALUES_MAX])


def growth(
    tx: Tx, principal: Principal, census: Census, *, start: int, end: int, zone: tzinfo = UTC
) -> Growth:
    """How an audience came to what a census says, by days of a zone. Raises Invalid for too many days."""
    principal.require(READ)
    now = clock.now_ms()
    spans = spans_of(start, max(start, min(end, now + 1)), Step.DAY, zone)
    pieces = [piece for span in spans for piece in _pieces(*span)]
    by_span = store.changes(tx, principal.organization_id, pieces)
    last = spans[-1][1] if spans else now
    later = _sum(tx, principal.organization_id, last, now)
    missed = _sum(tx, principal.organization_id, census.taken_at + BUCKET_MS, now)
    total = census.total + _net(missed) - _net(later)
    days = []
    for span in reversed(spans):
        days.append((span[0], max(total, 0)))
        total -= _net(by_span.get(span[0], Counter()))
    changes = sum(by_span.values(), Counter[Change]())
    churned = sum(
        each[change] for each in (changes, later) for change in (Change.UNSUBSCRIBED, Change.BOUNCED)
    )
    created = changes[Change.CREATED] + later[Change.CREATED]
    subscribed = census.statuses.get(Status.SUBSCRIBED, 0) + churned - created
    return Growth(max(total, 0), max(subscribed, 0), days[::-1], changes)


def stretches(since: int, until: int, zone: tzinfo) -> Iterator[tuple[int, int, int]]:
    """(since, until, how far the zone is ahead of UTC), all in ms: anew wherever its clocks are changed."""
    begin, offset = since, _offset(since, zone)
    at = since
    while at < until:
        following = min(at + clock.DAY, until)
        if _offset(following, zone) != offset:
            changed = _change(at, following, zone)
            yield begin, changed, offset
            begin, offset = changed, _offset(changed, zone)
        at = following
    if begin < until:
        yield begin, until, offset


def _change(low: int, high: int, zone: tzinfo) -> int:
    """The quarter of an hour at which a zone's clocks are changed, after `low` and not after `high`."""
    was = _offset(low, zone)
    while high - low > BUCKET_MS:
        middle = low + (high - low) // (2 * BUCKET_MS) * BUCKET_MS
        low, high = (middle, high) if _offset(middle, zone) == was else (low, middle)
    return high


def _offset(at: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at / clock.SECOND, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) * clock.SECOND


def _grouped(hours: Mapping[int, Mail], group_of: Callable[[int], int]) -> dict[int, Mail]:
    groups: dict[int, list[Mail]] = {}
    for hour, its in hours.items():
        groups.setdefault(group_of(hour), []).append(its)
    return {group: _total(groups[group]) for group in sorted(groups)}


def _total(each: Iterable[Mail]) -> Mail:
    mails = list(each)
    return Mail(*(sum(getattr(mail, its.name) for mail in mails) for its in fields(Mail)))


def _most_opened(campaign: CampaignRates) -> tuple[float, int, bytes]:
    return -campaign.opened / campaign.delivered, -campaign.delivered, campaign.campaign_id


def _pieces(since: int, until: int) -> list[Piece]:
    return list(coarse.pieces_of(since, until, store.STEPS))


def _sum(tx: Tx, organization_id: int, since: int, until: int) -> Counter[Change]:
    """What changed from the quarter of an hour of a time on; nothing where the other comes before it."""
    begin, end = widened(since, until + 1)
    found = store.changes(tx, organization_id, _pieces(begin, end))
    return found.get(begin, Counter())


def _net(changes: Counter[Change]) -> int:
    return changes[Change.CREATED] - changes[Change.DELETED]
