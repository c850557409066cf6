"""What became of a campaign: counts, rates, what it cost and brought. What no model says yet is null.

Openings and clicks are those of everybody, scanners too; each recipient counts once.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from starlette.responses import Response

from postrider.engine.errors import Invalid
from postrider.engine.insight import Counts, Measure, campaigns, conversions
from postrider.engine.insight.campaigns import CampaignReport, Grain
from postrider.engine.insight.conversions import Kind, Sum
from postrider.engine.insight.model import Span
from postrider.kit import clock
from postrider.kit.ids import RowId
from postrider.kit.money import MILS, ratio, round_half_up, share, units
from postrider.surfaces.common.operations import Call, Operation
from postrider.surfaces.penguinmails.answers import CURRENCY, done, money, time
from postrider.surfaces.penguinmails.ids import CAMPAIGN, path_id, to_id
from postrider.surfaces.penguinmails.limits import COST_PER_MESSAGE_USD
from postrider.surfaces.penguinmails.wire import Body, word_of

READ = "messages:read"
PERIOD = "7d"
PERIOD_MAX_DAYS = 3_660
PLACES, PERCENT_PLACES = 3, 1
UNITS_MS = {"h": clock.HOUR, "d": clock.DAY}
REVENUE = "revenue"
_PERIOD = re.compile(r"([1-9][0-9]{0,4})([hd])", re.ASCII)
_OVERVIEW: Mapping[str, Callable[[Counts], int]] = {
    "sent": campaigns.sent_of,
    "delivered": lambda counts: counts[Measure.DELIVERED],
    "opened": lambda counts: counts[Measure.OPENED_UNIQUE],
    "clicked": lambda counts: counts[Measure.CLICKED_UNIQUE],
    "bounced": lambda counts: counts.bounced,
    "complained": lambda counts: counts[Measure.COMPLAINED],
    "unsubscribed": lambda counts: counts[Measure.UNSUBSCRIBED],
}
# Rule 6: what is divided by what.
_RATES = {
    "delivery_rate": ("delivered", "sent"),
    "open_rate": ("opened", "delivered"),
    "click_rate": ("clicked", "delivered"),
    "click_to_open_rate": ("clicked", "opened"),
    "bounce_rate": ("bounced", "sent"),
    "complaint_rate": ("complained", "delivered"),
    "unsubscribe_rate": ("unsubscribed", "delivered"),
}
_DEVICES = {
    "mobile": Measure.OPENED_ON_MOBILE,
    "desktop": Measure.OPENED_ON_DESKTOP,
    "tablet": Measure.OPENED_ON_TABLET,
    "other": Measure.OPENED_ON_UNKNOWN,
}
_TIMED = ("sent", "delivered", "opened", "clicked", "bounced")
_TIMED_MEASURES = (
    Measure.ACCEPTED, Measure.CANCELLED, Measure.DELIVERED, Measure.OPENED_UNIQUE, Measure.CLICKED_UNIQUE,
    Measure.BOUNCED_HARD, Measure.BOUNCED_SOFT, Measure.BOUNCED_BLOCK,
)  # fmt: skip


class Found(NamedTuple):
    """A campaign's report, what it brought by kind, and what it cost (mils)."""

    report: CampaignReport
    brought: Mapping[Kind, Sum]
    cost_mils: int
    timeline: list[Span]


class Tracked(Body):
    metrics: list[Annotated[str, word_of([*_RATES, REVENUE])]] = Field(min_length=1, max_length=100)


async def get_campaign(call: Call) -> Response:
    period = _period(call)
    found = await _found(call, period, Grain.QUARTER)
    counts, campaign_id = found.report.counts, found.report.campaign_id
    return done(
        {
            "campaign_id": to_id(CAMPAIGN, campaign_id),
            "period": period,
            "overview": {**overview(counts), "total_recipients": found.report.total},
            "performance": performance(counts),
            "revenue_impact": impact(found),
            "ai_insights": {
                "optimization_score": None,
                "recommendations": [],
                "sentiment_analysis": dict.fromkeys(("positive", "neutral", "negative", "dominant_emotion")),
                "engagement_prediction": None,
                "audience_insights": None,
            },
            "device_breakdown": _devices(counts),
            "engagement_timeline": [
                {"timestamp": time(span.start), **{name: _OVERVIEW[name](span.counts) for name in _TIMED}}
                for span in found.timeline
            ],
        }
    )


async def get_metrics(call: Call) -> Response:
    period = _period(call)
    report = (await _found(call, period)).report
    return done(
        {
            "campaign_id": to_id(CAMPAIGN, report.campaign_id),
            "period": period,
            **overview(report.counts),
            **performance(report.counts),
        }
    )


async def track(call: Call, asked: Tracked) -> Response:
    """The figures as they are now. Nothing is told of their changes, so nothing claims to be tracking."""
    found = await _found(call, None)
    figures: dict[str, Any] = {
        **performance(found.report.counts),
        REVENUE: money(units(found.brought[Kind.ORDER].amount_mils)),
    }
    return done(
        {
            "campaign_id": to_id(CAMPAIGN, found.report.campaign_id),
            "tracking": False,
            "metrics": {name: figures[name] for name in dict.fromkeys(asked.metrics)},
            "updated_at": time(clock.now_ms()),
        },
        201,
    )


async def get_planned(call: Call) -> Response:
    """The sketch of the next version: flat, and money as plain numbers."""
    found = await _found(call, _period(call))
    cost = _cost_of_one(found)
    return done(
        {
            **{
                name: _OVERVIEW[name](found.report.counts)
                for name in ("sent", "delivered", "opened", "clicked")
            },
            "ai_insights": dict.fromkeys(
                ("optimization_score", "sentiment_score", "personalization_effectiveness")
            ),
            "revenue_impact": {
                "total_value": float(units(found.brought[Kind.ORDER].amount_mils)),
                "cost_per_acquisition": None if cost is None else float(units(cost)),
                "lifetime_value_projection": None,
            },
        }
    )


_ONE = "analytics/campaigns/{campaign_id}"
OPERATIONS = (
    Operation("getCampaignAnalytics", "GET", (f"/api/v1/{_ONE}",), "All of a campaign", READ, get_campaign),
    Operation(
        "getCampaignMetrics", "GET", (f"/api/v1/{_ONE}/metrics",), "A campaign's metrics", READ, get_metrics
    ),
    Operation(
        "trackCampaignPerformance", "POST", (f"/api/v1/{_ONE}/track",), "Chosen metrics as of now", READ,
        track, body=Tracked, status=201,
    ),
    Operation(
        "v2GetCampaignAnalytics", "GET", (f"/api/v2/{_ONE}",), "A campaign's analytics, next version", READ,
        get_planned,
    ),
)  # fmt: skip


def overview(counts: Counts) -> dict[str, int]:
    """How many recipients something happened to (AnalyticsOverview)."""
    return {name: figure(counts) for name, figure in _OVERVIEW.items()}


def performance(counts: Counts) -> dict[str, float]:
    """Rates by rule 6 (PerformanceMetrics)."""
    its = overview(counts)
    return {name: _rate(its[part], its[whole]) for name, (part, whole) in _RATES.items()}


async def _found(call: Call, period: str | None, grain: Grain | None = None) -> Found:
    """Of the time that a period counts back from now; of all time without one."""
    campaign_id: RowId = path_id(CAMPAIGN, call.request.path_params["campaign_id"], "campaign")
    principal, price = call.caller.principal, COST_PER_MESSAGE_USD[call.caller.organization.plan]
    end = clock.now_ms() + 1
    start = 0 if period is None else end - _period_ms(period)

    def read(tx: Any) -> Found:
        if period is None:
            report = campaigns.report(tx, principal, campaign_id)
            brought = conversions.totals_of(tx, principal, [campaign_id], currency=CURRENCY)[campaign_id]
        else:
            report = campaigns.report_between(tx, principal, campaign_id, start=start, end=end)
            brought = conversions.revenue_of(
                tx, principal, campaign_id, start=start, end=end, currency=CURRENCY
            )
        spans = []
        if grain is not None:
            spans = campaigns.timeline(
                tx, principal, campaign_id, grain, _TIMED_MEASURES, start=start, end=end
            )
        cost_mils = round_half_up(price * MILS * campaigns.sent_of(report.counts))
        return Found(report, brought, cost_mils, spans)

    return await call.services.db.read(read)


def _period(call: Call) -> str:
    """As it was asked for: 12h, 7d; raises Invalid."""
    period = call.request.query_params.get("period") or PERIOD
    found = _PERIOD.fullmatch(period)
    if found is None or _period_ms(period) > PERIOD_MAX_DAYS * clock.DAY:
        message = f"Input should be hours or days, such as 12h or 7d, of at most {PERIOD_MAX_DAYS} days"
        raise Invalid(field="period", message=message)
    return period


def _period_ms(period: str) -> int:
    return int(period[:-1]) * UNITS_MS[period[-1]]


def impact(found: Found) -> dict[str, Any]:
    """Rule 7; what would be divided by nothing is null where it is no rate."""
    counts, revenue = found.report.counts, found.brought[Kind.ORDER].amount_mils
    cost = _cost_of_one(found)
    gain = ratio(100 * (revenue - found.cost_mils), found.cost_mils, places=PERCENT_PLACES)
    return {
        "total_value": _money(revenue),
        "value_per_recipient": _money(share(revenue, _OVERVIEW["sent"](counts))),
        "revenue_per_delivered": _money(share(revenue, _OVERVIEW["delivered"](counts))),
        "conversion_value": _money(found.brought[Kind.GOAL].amount_mils),
        "cost_per_acquisition": None if cost is None else _money(cost),
        "roi_percentage": float(gain) if found.cost_mils else None,
    }


def _cost_of_one(found: Found) -> int | None:
    """What one conversion cost, in mils; None without conversions."""
    times = found.brought[Kind.GOAL].times
    return share(found.cost_mils, times) if times else None


def _devices(counts: Counts) -> dict[str, float]:
    opens = {word: counts[measure] for word, measure in _DEVICES.items()}
    return {word: _rate(count, sum(opens.values())) for word, count in opens.items()}


def _rate(part: int, whole: int) -> float:
    return float(ratio(part, whole, places=PLACES))


def _money(mils: int) -> str:
    return money(units(mils))
