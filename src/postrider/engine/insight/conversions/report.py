"""Revenue of a time, of an organization and of its campaigns: sums of sums, of however many orders."""

from collections.abc import Iterable
from datetime import UTC, tzinfo

from postrider.db.database import Tx
from postrider.engine.insight import coarse
from postrider.engine.insight.conversions import store
from postrider.engine.insight.conversions.model import CampaignRevenue, Kind, Revenue, RevenueSpan, Sum
from postrider.engine.insight.model import Step
from postrider.engine.insight.report import READ, spans_of, widened
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId

CAMPAIGNS_MAX = 100  # of one report
NOTHING = Sum()


def revenue(
    tx: Tx,
    principal: Principal,
    *,
    start: int,
    end: int,
    currency: str,
    bucket: Step = Step.DAY,
    zone: tzinfo = UTC,
) -> Revenue:
    """Orders from `start` to before `end` (ms) in one currency; campaigns that brought most stand first.

    Raises Invalid for more than insight.report.SPANS_MAX spans.
    """
    principal.require(READ)
    organization_id = principal.organization_id
    spans = spans_of(start, end, bucket, zone)
    found = store.by_span(
        tx, organization_id, [p for span in spans for p in coarse.pieces_of(*span, coarse.STEPS)], currency
    )
    total = Sum(sum(each.times for each in found.values()), sum(each.amount_mils for each in found.values()))
    pieces = list(coarse.pieces_of(*widened(start, end), coarse.STEPS))
    brought = store.by_campaign(tx, organization_id, pieces, currency)
    best = sorted(brought, key=lambda each: (-brought[each].amount_mils, -brought[each].times, each))
    best = best[:CAMPAIGNS_MAX]
    names = store.campaigns(tx, organization_id, best)
    return Revenue(
        [RevenueSpan(*span, found.get(span[0], NOTHING)) for span in spans],
        total,
        [CampaignRevenue(each, names.get(each), brought[each]) for each in best],
    )


def revenue_of(
    tx: Tx, principal: Principal, campaign_id: RowId, *, start: int, end: int, currency: str
) -> dict[Kind, Sum]:
    """What one campaign brought from `start` to before `end` (ms), by kind; both are there."""
    principal.require(READ)
    pieces = list(coarse.pieces_of(*widened(start, end), coarse.STEPS))
    found = store.of_campaign(tx, principal.organization_id, campaign_id, pieces, currency)
    return {kind: found.get(kind, NOTHING) for kind in Kind}


def totals_of(
    tx: Tx, principal: Principal, campaign_ids: Iterable[RowId], *, currency: str
) -> dict[RowId, dict[Kind, Sum]]:
    """All that campaigns have brought so far, by kind; every campaign and both kinds are there."""
    principal.require(READ)
    ids = list(campaign_ids)
    found = store.totals(tx, principal.organization_id, ids, currency)
    return {each: {kind: found.get((each, kind), NOTHING) for kind in Kind} for each in ids}
