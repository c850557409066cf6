"""GET /campaigns/{id}/analytics: figures, timeline, links, devices, mail programs of one campaign. Flat."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from starlette.responses import Response

from postrider.engine.insight import Counts, Measure, campaigns
from postrider.engine.insight.campaigns import CampaignReport, Grain, LinkReport
from postrider.engine.insight.model import Span
from postrider.engine.insight.report import LATEST
from postrider.kit.money import ratio
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.query import read_parameters
from postrider.surfaces.nudgecampaign.resources import Misread, one_of, read_at, shown_at

READ = "campaigns:read"
PLACES = 3  # of rates
GRAINS = {"hour": Grain.HOUR, "day": Grain.DAY, "week": Grain.WEEK, "month": Grain.MONTH}
_TIMED = (
    *(Measure.ACCEPTED, Measure.CANCELLED, Measure.DELIVERED),
    *(Measure.OPENED_UNIQUE, Measure.CLICKED_UNIQUE),
)
_DEVICES = {
    "desktop": Measure.OPENED_ON_DESKTOP,
    "mobile": Measure.OPENED_ON_MOBILE,
    "tablet": Measure.OPENED_ON_TABLET,
}
_CLIENTS = {
    "gmail": (Measure.OPENED_IN_GMAIL,),
    "outlook": (Measure.OPENED_IN_OUTLOOK,),
    "apple_mail": (Measure.OPENED_IN_APPLE_MAIL,),
    "other": (Measure.OPENED_IN_YAHOO, Measure.OPENED_IN_THUNDERBIRD, Measure.OPENED_ELSEWHERE),
}

Figures = Mapping[str, Callable[[Counts], float]]

_COUNTED: Figures = {
    "sent": campaigns.sent_of,
    "delivered": lambda counts: counts[Measure.DELIVERED],
    "opened": lambda counts: counts[Measure.OPENED_UNIQUE],
    "clicked": lambda counts: counts[Measure.CLICKED_UNIQUE],
}
_METRICS: Figures = {
    **_COUNTED,
    "bounced": lambda counts: counts.bounced,
    "complained": lambda counts: counts[Measure.COMPLAINED],
    "unsubscribed": lambda counts: counts[Measure.UNSUBSCRIBED],
}


def _rate_of(part: str, whole: str) -> Callable[[Counts], float]:
    return lambda counts: _rate(_METRICS[part](counts), _METRICS[whole](counts))


METRICS: Figures = {
    **_METRICS,
    "delivery_rate": _rate_of("delivered", "sent"),
    "open_rate": _rate_of("opened", "delivered"),
    "click_rate": _rate_of("clicked", "delivered"),
    "click_to_open_rate": _rate_of("clicked", "opened"),
    "bounce_rate": _rate_of("bounced", "sent"),
    "complaint_rate": _rate_of("complained", "delivered"),
    "unsubscribe_rate": _rate_of("unsubscribed", "delivered"),
}


async def get_campaign_analytics(call: Call) -> Response:
    """Of everybody, scanners too. Dates bound metrics and timeline; links, devices and clients are whole."""
    campaign_id = path_id(Noun.CAMPAIGN, call.request.path_params["campaign_id"])
    asked, principal = _asked(call), call.caller.principal
    start, end = asked.get("start_date", 0), asked.get("end_date", LATEST)
    grain = GRAINS[asked.get("granularity", "hour")]

    def read(tx: Any) -> tuple[CampaignReport, Counts, list[Span], list[LinkReport]]:
        whole = campaigns.report(tx, principal, campaign_id)
        within = whole.counts
        if asked.keys() & {"start_date", "end_date"}:
            within = campaigns.report_between(tx, principal, campaign_id, start=start, end=end).counts
        spans = campaigns.timeline(tx, principal, campaign_id, grain, _TIMED, start=start, end=end)
        return whole, within, spans, campaigns.links(tx, principal, campaign_id)

    whole, within, spans, links = await call.services.db.read(read)
    return answer(
        {
            "data": {
                "campaign_id": show(Noun.CAMPAIGN, campaign_id),
                "metrics": {name: METRICS[name](within) for name in asked.get("metrics", METRICS)},
                "timeline": [
                    {"timestamp": shown_at(span.start), **_figures(_COUNTED, span.counts)} for span in spans
                ],
                "links": [
                    {"url": link.url, "clicks": link.clicks, "unique_clicks": link.unique_clicks}
                    for link in links
                ],
                "devices": _shares({word: whole.counts[its] for word, its in _DEVICES.items()}),
                "clients": _shares(
                    {word: sum(whole.counts[each] for each in its) for word, its in _CLIENTS.items()}
                ),
            }
        }
    )


OPERATIONS = (
    Operation(
        "getCampaignAnalytics", "GET", ("/v2/campaigns/{campaign_id}/analytics",), "Of one campaign",
        READ, get_campaign_analytics,
    ),
)  # fmt: skip


def _asked(call: Call) -> dict[str, Any]:
    """The query's values; raises Faulty with all that is wrong."""
    faults: list[Detail] = []
    readers = {
        "granularity": one_of([*GRAINS]),
        "metrics": _metrics,
        "start_date": read_at,
        "end_date": _end,
    }
    found = read_parameters(call.request, readers, faults)
    if not faults and found.get("start_date", 0) >= found.get("end_date", LATEST):
        faults.append(Detail("end_date", "The end lies before the start", "invalid_value"))
    if faults:
        raise Faulty(400, faults)
    return found


def _metrics(text: str) -> list[str]:
    words = dict.fromkeys(word.strip() for word in text.split(",", len(METRICS)) if word.strip())
    if unknown := [word for word in words if word not in METRICS]:
        raise Misread(f"Unknown: {unknown[0][:100]}")
    return [*words] or [*METRICS]


def _end(text: str) -> int:
    """The first ms that is past a time, or past a day: both belong to what is asked for."""
    at = read_at(text)
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return at + 1
    try:
        return read_at((day + timedelta(days=1)).isoformat())
    except OverflowError:
        raise Misread("Input should be an ISO 8601 date and time", "invalid_format") from None


def _figures(figures: Figures, counts: Counts) -> dict[str, float]:
    return {name: figure(counts) for name, figure in figures.items()}


def _shares(opens: Mapping[str, int]) -> dict[str, float]:
    """Of what is known; zeros where nothing is."""
    total = sum(opens.values())
    return {word: _rate(count, total) for word, count in opens.items()}


def _rate(part: float, whole: float) -> float:
    return float(ratio(int(part), int(whole), places=PLACES))
