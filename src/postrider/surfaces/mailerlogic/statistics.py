"""Statistics of what went out, by day or hour, and what was used of the plan this month."""

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Literal

from pydantic import BaseModel
from starlette.responses import Response

from postrider.engine import accounts, insight
from postrider.engine.accounts import PLANS
from postrider.engine.insight import PLATFORMS, Counts, Measure, Report, Span, Step, Who
from postrider.kit import clock
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.limits import STATISTICS_MS
from postrider.surfaces.mailerlogic.query import Since, Until, Uuid, read_query
from postrider.surfaces.mailerlogic.vocabulary import PLATFORM_NAMES

READ, USAGE = "messages:read", "organization:read"
_WHO = {"all": Who.ALL, "human_only": Who.HUMAN, "scanner_only": Who.SCANNER}
_STEPS = {"day": Step.DAY, "hour": Step.HOUR}

Figures = Mapping[str, Callable[[Counts], Any]]

_SENT: Figures = {"sent": lambda counts: counts[Measure.ACCEPTED]}
_DELIVERED: Figures = {"delivered": lambda counts: counts[Measure.DELIVERED]}
_BOUNCES: Figures = {
    "bounced": lambda counts: counts.bounced,
    "hard": lambda counts: counts[Measure.BOUNCED_HARD],
    "soft": lambda counts: counts[Measure.BOUNCED_SOFT],
    "block": lambda counts: counts[Measure.BOUNCED_BLOCK],
}
_COMPLAINTS: Figures = {"complaints": lambda counts: counts[Measure.COMPLAINED]}
_OPENS: Figures = {
    "opens": lambda counts: counts.opens,
    "unique_opens": lambda counts: counts.unique_opens,
    "human_opens": lambda counts: counts[Measure.OPENED_HUMAN],
    "scanner_opens": lambda counts: counts[Measure.OPENED_SCANNER],
    "suspicious_opens": lambda counts: counts[Measure.OPENED_SUSPICIOUS],
}
_CLICKS: Figures = {
    "clicks": lambda counts: counts.clicks,
    "unique_clicks": lambda counts: counts.unique_clicks,
    "human_clicks": lambda counts: counts[Measure.CLICKED_HUMAN],
    "scanner_clicks": lambda counts: counts[Measure.CLICKED_SCANNER],
    "suspicious_clicks": lambda counts: counts[Measure.CLICKED_SUSPICIOUS],
}
_OVERVIEW: Figures = {
    **_SENT,
    **_DELIVERED,
    "bounced": _BOUNCES["bounced"],
    "failed": lambda counts: sum(
        counts[measure] for measure in (Measure.FAILED, Measure.SUPPRESSED, Measure.CANCELLED)
    ),
    **_COMPLAINTS,
    **_OPENS,
    **_CLICKS,
}


class DomainQuery(BaseModel):
    domain_id: Uuid | None = None


class StatisticsQuery(DomainQuery):
    """Without times the last STATISTICS_MS; whole quarters of an hour are counted."""

    fromdate: Since | None = None
    todate: Until | None = None
    precision: Literal["day", "hour"] = "day"
    filter: Literal["all", "human_only", "scanner_only"] = "all"


async def overview(call: Call) -> Response:
    report = await _report(call, read_query(call.request, StatisticsQuery), Step.WHOLE)
    return answer(_figures(_OVERVIEW, report.total))


async def platforms(call: Call) -> Response:
    """The mail programs that opened, the most used first; those that nobody used are left out."""
    total = (await _report(call, read_query(call.request, StatisticsQuery), Step.WHOLE)).total
    opens = {PLATFORM_NAMES[measure]: total[measure] for measure in PLATFORMS if total[measure]}
    return answer(
        {
            "platforms": [
                {"platform": name, "opens": count, "percentage": round(100 * count / total.opens, 1)}
                for name, count in sorted(opens.items(), key=lambda each: -each[1])
            ],
            "total": total.opens,
        }
    )


async def usage(call: Call) -> Response:
    """The calendar month so far, in UTC. The limit is the account's, whichever domain is asked for."""
    query, now = read_query(call.request, DomainQuery), clock.now_ms()
    month, start = accounts.month_of(now), clock.to_datetime(now).replace(day=1, hour=0, minute=0, second=0)
    report = await _sum(call, query, int(start.timestamp()) * clock.SECOND, now + 1)
    used = (await call.services.db.read(accounts.usage_of, call.caller.principal, [month]))[month]
    limit, total = PLANS[call.caller.organization.plan].monthly_messages, report.total
    sent = total[Measure.ACCEPTED]
    return answer(
        {
            "current_month": {
                "emails_sent": sent,
                "emails_delivered": total[Measure.DELIVERED],
                "emails_bounced": total.bounced,
                "emails_complained": total[Measure.COMPLAINED],
                "emails_opened": total.unique_opens,
                "emails_clicked": total.unique_clicks,
                "delivery_rate": _percent(total[Measure.DELIVERED], sent),
                "bounce_rate": _percent(total.bounced, sent),
            },
            "limits": {
                "monthly_limit": limit,
                "remaining": max(0, limit - used),
                "used_percentage": _percent(used, limit),
            },
        }
    )


def _series(figures: Figures) -> Callable[[Call], Any]:
    """The handler of a list of figures by day or hour; the first of them is summed up."""
    first = next(iter(figures.values()))

    async def series(call: Call) -> Response:
        query = read_query(call.request, StatisticsQuery)
        step = _STEPS[query.precision]
        report = await _report(call, query, step)
        data = [{"date": _date(span, step), **_figures(figures, span.counts)} for span in report.spans]
        return answer({"precision": query.precision, "data": data, "total": first(report.total)})

    return series


def _paths(rest: str) -> tuple[str, str]:
    return f"/api/v1/{rest}", f"/api/{rest}"


_ROOT = "stats/outbound"
OPERATIONS = (
    Operation("getUsage", "GET", _paths("customer/usage"), "This month's usage", USAGE, usage),
    Operation("statsOverview", "GET", _paths(_ROOT), "Overview", READ, overview),
    Operation("statsSends", "GET", _paths(f"{_ROOT}/sends"), "Emails sent", READ, _series(_SENT)),
    Operation(
        "statsDelivered", "GET", _paths(f"{_ROOT}/delivered"), "Emails delivered", READ, _series(_DELIVERED)
    ),
    Operation("statsBounces", "GET", _paths(f"{_ROOT}/bounces"), "Bounces", READ, _series(_BOUNCES)),
    Operation("statsSpam", "GET", _paths(f"{_ROOT}/spam"), "Spam complaints", READ, _series(_COMPLAINTS)),
    Operation("statsOpens", "GET", _paths(f"{_ROOT}/opens"), "Opens", READ, _series(_OPENS)),
    Operation(
        "statsOpenPlatforms", "GET", _paths(f"{_ROOT}/opens/platforms"), "Opens by mail program", READ,
        platforms,
    ),
    Operation("statsClicks", "GET", _paths(f"{_ROOT}/clicks"), "Clicks", READ, _series(_CLICKS)),
)  # fmt: skip


async def _report(call: Call, query: StatisticsQuery, step: Step) -> Report:
    end = clock.now_ms() + 1 if query.todate is None else query.todate
    start = end - STATISTICS_MS if query.fromdate is None else query.fromdate
    return await _sum(call, query, start, end, step, _WHO[query.filter])


async def _sum(
    call: Call, query: DomainQuery, start: int, end: int, step: Step = Step.WHOLE, who: Who = Who.ALL
) -> Report:
    return await call.services.db.read(
        insight.report,
        call.caller.principal,
        start=start,
        end=end,
        bucket=step,
        zone=UTC,
        domain_id=query.domain_id,
        who=who,
    )


def _figures(figures: Figures, counts: Counts) -> dict[str, Any]:
    return {name: figure(counts) for name, figure in figures.items()}


def _date(span: Span, step: Step) -> str:
    moment = clock.to_iso(span.start)
    return moment.partition("T")[0] if step is Step.DAY else moment


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole if whole else 0:.2f}"
