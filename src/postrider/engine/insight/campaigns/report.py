"""Reports of one campaign, and counts of many: from what followers counted, never from events or messages.

Each is as quick for a million recipients as for ten.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from postrider.db.database import Tx
from postrider.engine.insight.campaigns import store
from postrider.engine.insight.campaigns.model import (
    CLICKS,
    SENT,
    UNIQUE,
    CampaignReport,
    Grain,
    HitKind,
    LinkReport,
    MeanRates,
    Seen,
)
from postrider.engine.insight.coarse.pieces import pieces_of
from postrider.engine.insight.model import Counts, Measure, Span, Who
from postrider.engine.insight.report import LATEST, widened
from postrider.engine.principal import Principal
from postrider.engine.sending.find import find_campaign
from postrider.kit import clock
from postrider.kit.ids import RowId

FINE_MS = 92 * clock.DAY  # of a timeline by less than days: the last of them
DAYS_MS = 3_660 * clock.DAY  # of one by days and more
_Span = tuple[int, int, dict[Measure, int]]  # its beginning, its end, what was counted
_KEPT = {Measure.OPENED_SCANNER_UNIQUE: 0, Measure.CLICKED_SCANNER_UNIQUE: 0}  # what others' counts lack


def counts_of(
    tx: Tx, organization_id: int, campaign_ids: Iterable[RowId], who: Who = Who.ALL
) -> dict[RowId, Counts]:
    """Everything counted of some campaigns so far, in one query; one of which nothing is known has zeros.

    Asks for no scope: for whoever may see the campaigns already.
    """
    wanted = list(campaign_ids)
    found = store.counts(tx, organization_id, wanted)
    return {each: Counts(_KEPT | _added(found.get(each, {}).values()), who) for each in wanted}


def mean_rates(tx: Tx, organization_id: int, campaign_ids: Iterable[RowId]) -> MeanRates:
    """Over however many campaigns: summed where they are kept. Asks for no scope, as counts_of."""
    sent, opened, clicked = store.rates(tx, organization_id, campaign_ids)
    return MeanRates(sent, opened / sent if sent else 0.0, clicked / sent if sent else 0.0)


def by_variant(tx: Tx, organization_id: int, campaign_id: RowId, who: Who = Who.ALL) -> dict[int, Counts]:
    """The counts of each variant of a split test that anything is known of; 0 is mail outside of it."""
    found = store.counts(tx, organization_id, [campaign_id]).get(campaign_id, {})
    return {variant: Counts(_KEPT | _added([seen]), who) for variant, seen in sorted(found.items())}


def report(tx: Tx, principal: Principal, campaign_id: RowId, who: Who = Who.ALL) -> CampaignReport:
    """A campaign of any kind and what became of it so far. Raises NotFound."""
    campaign = find_campaign(tx, principal, campaign_id)
    found = store.counts(tx, principal.organization_id, [campaign_id]).get(campaign_id, {})
    sent = [seen for variant in found.values() for measure, seen in variant.items() if measure in SENT]
    return CampaignReport(
        campaign.id, campaign.kind, campaign.name, campaign.status, campaign.total,
        Counts(_KEPT | _added(found.values()), who),
        min((seen.first_at for seen in sent if seen.first_at is not None), default=None),
        max((seen.last_at for seen in sent if seen.last_at is not None), default=None),
    )  # fmt: skip


def report_between(
    tx: Tx, principal: Principal, campaign_id: RowId, who: Who = Who.ALL, *, start: int, end: int
) -> CampaignReport:
    """As report, of what happened from `start` to before `end` (ms), widened to quarters of an hour."""
    whole = report(tx, principal, campaign_id, who)
    pieces = [piece[1:] for piece in pieces_of(*widened(start, end), store.STEPS)]
    found = store.totals(tx, principal.organization_id, campaign_id, pieces)
    return replace(whole, counts=Counts(_KEPT | dict(found), who))


def timeline(
    tx: Tx,
    principal: Principal,
    campaign_id: RowId,
    grain: Grain,
    measures: Sequence[Measure],
    who: Who = Who.ALL,
    *,
    start: int = 0,
    end: int = LATEST,
) -> list[Span]:
    """The times (UTC) in which any of the measures was counted, in order, and their counts; no empty ones.

    Of a long time the last FINE_MS, by days and more the last DAYS_MS. Raises NotFound.
    """
    find_campaign(tx, principal, campaign_id)
    last = store.last_day(tx, principal.organization_id, campaign_id, measures)
    if last is None:
        return []
    length = int(grain)
    step = min(length, store.DAY)
    start, end = widened(start, min(end, last + store.DAY))
    start = max(start - start % step, end - (FINE_MS if step < store.DAY else DAYS_MS))
    found = store.spans(tx, principal.organization_id, campaign_id, measures, (step, start, end))
    spans = [(at, at + length, found[at]) for at in sorted(found)]
    if length > step:
        spans = list(_joined(grain, spans))
    return [Span(at, until, Counts(_KEPT | counts, who)) for at, until, counts in spans]


def _joined(grain: Grain, days: Iterable[_Span]) -> Iterator[_Span]:
    for begin, together in groupby(days, key=lambda day: grain.begin(day[0])):
        total: Counter[Measure] = Counter()
        for _, _, counts in together:
            total.update(counts)
        yield begin, grain.end(begin), dict(total)


def links(tx: Tx, principal: Principal, campaign_id: RowId, who: Who = Who.ALL) -> list[LinkReport]:
    """The links that were followed, those with most clicks first. Raises NotFound."""
    find_campaign(tx, principal, campaign_id)
    clicks, unique = CLICKS[who], UNIQUE[HitKind.CLICKED, who]
    found = [
        LinkReport(
            url, seen[clicks].times, seen.get(unique, Seen()).times, seen[Measure.CLICKED].first_at,
            seen[Measure.CLICKED].last_at,
        )
        for url, seen in store.link_sums(tx, principal.organization_id, campaign_id).items()
        if clicks in seen
    ]  # fmt: skip
    return sorted(found, key=lambda link: (-link.clicks, link.url))


def _added(variants: Iterable[Mapping[Measure, Seen]]) -> dict[Measure, int]:
    total: Counter[Measure] = Counter()
    for counts in variants:
        total.update({measure: seen.times for measure, seen in counts.items()})
    return dict(total)
