"""Analytics of the account: mail, contacts, revenue, and what mail is read with and where. Flat objects.

Openings and clicks are those of everybody, scanners too, as in the analytics of a campaign.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from postrider.engine.insight import account, conversions
from postrider.engine.insight.account import Census, Change, Growth, Mail, Overview, Trait, Traits
from postrider.engine.insight.conversions import Revenue
from postrider.engine.principal import Principal
from postrider.kit.money import ratio, share, units
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.nudgecampaign import vocabulary
from postrider.surfaces.nudgecampaign.ids import Noun, show
from postrider.surfaces.nudgecampaign.period import Period, read_period
from postrider.surfaces.nudgecampaign.resources import shown_at

READ = "analytics:read"
ENGINE_READ = "messages:read"
PLACES = 3  # of rates
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLIENTS = {"Gmail": "gmail", "Outlook": "outlook", "Apple Mail": "apple_mail"}
DEVICES = ("desktop", "mobile", "tablet")
SEGMENTS = ("highly_engaged", "engaged", "inactive", "never_engaged")
OTHER, UNKNOWN = "other", "unknown"
TRENDS = ("sent", "delivered", "opened", "clicked")


async def get_overview(call: Call) -> Response:
    period, reader = _asked(call)

    def read(tx: Any) -> tuple[Overview, Revenue]:
        found = account.overview(tx, reader, start=period.start, end=period.end, zone=period.zone)
        return found, _revenue(tx, call, reader, period)

    found, revenue = await call.services.db.read(read)
    return answer({"data": _overview(found, revenue, period)})


async def get_contacts(call: Call) -> Response:
    period, reader = _asked(call)

    def read(tx: Any) -> tuple[Census | None, Growth | None]:
        census = account.census(tx, reader)
        if census is None:
            return None, None
        growth = account.growth(tx, reader, census, start=period.start, end=period.end, zone=period.zone)
        return census, growth

    census, growth = await call.services.db.read(read)
    return answer({"data": _contacts(census, growth, period)})


async def get_revenue(call: Call) -> Response:
    period, reader = _asked(call)

    def read(tx: Any) -> tuple[Revenue, Mail, Census | None]:
        overview = account.overview(tx, reader, start=period.start, end=period.end, zone=period.zone)
        return _revenue(tx, call, reader, period), overview.total, account.census(tx, reader)

    revenue, mails, census = await call.services.db.read(read)
    return answer({"data": _money(revenue, mails, census, period)})


def _by_trait(trait: Trait, present: Callable[[Traits], dict[str, Any]]) -> Callable[[Call], Any]:
    async def get(call: Call) -> Response:
        period, reader = _asked(call)
        found = await call.services.db.read(
            lambda tx: account.traits(tx, reader, trait, start=period.start, end=period.end)
        )
        return answer({"data": {"total_opens": found.total.opens, **present(found)}})

    return get


async def get_places(call: Call) -> Response:
    period, reader = _asked(call)

    def read(tx: Any) -> tuple[Traits, Traits]:
        countries, cities = (
            account.traits(tx, reader, trait, start=period.start, end=period.end)
            for trait in (Trait.COUNTRY, Trait.CITY)
        )
        return countries, cities

    countries, cities = await call.services.db.read(read)
    return answer({"data": _places(countries, cities)})


def _overview(found: Overview, revenue: Revenue, period: Period) -> dict[str, Any]:
    total = found.total
    return {
        "summary": {
            "total_sent": total.sent,
            "total_delivered": total.delivered,
            "total_opened": total.opened,
            "total_clicked": total.clicked,
            "total_revenue": _number(revenue.total.amount_mils),
            "average_open_rate": _rate(total.opened, total.delivered),
            "average_click_rate": _rate(total.clicked, total.delivered),
        },
        "trends": {
            name: [
                {"date": period.date(day.start), "value": max(0, getattr(day.mail, name))}
                for day in found.days
            ]
            for name in TRENDS
        },
        "top_campaigns": [
            {
                "id": show(Noun.CAMPAIGN, each.campaign_id),
                "name": each.name,
                "open_rate": _rate(each.opened, each.delivered),
                "click_rate": _rate(each.clicked, each.delivered),
            }
            for each in found.campaigns
        ],
        "engagement_by_day": {
            name: _read_share(found.by_weekday.get(day)) for day, name in enumerate(WEEKDAYS)
        },
        "engagement_by_hour": {
            str(hour): _read_share(its) for hour, its in found.by_hour.items() if its.delivered
        },
    }


def _contacts(census: Census | None, growth: Growth | None, period: Period) -> dict[str, Any]:
    """Null, all of it, where a large audience was not counted yet: the worker's first round is to come."""
    statuses = dict.fromkeys(vocabulary.CONTACT_STATUSES.values(), None if census is None else 0)
    sources = dict.fromkeys(vocabulary.SOURCES.values(), None if census is None else 0)
    if census is None or growth is None:
        return {
            "total_contacts": None, **statuses, "growth_rate": None, "churn_rate": None, "list_growth": [],
            "sources": sources, "engagement_segments": dict.fromkeys(SEGMENTS), "counted_at": None,
        }  # fmt: skip
    for status, count in census.statuses.items():
        word = vocabulary.CONTACT_STATUSES[status]
        statuses[word] = (statuses[word] or 0) + count
    for source, count in census.sources.items():
        word = vocabulary.SOURCES.get(source, vocabulary.OTHER_SOURCE)
        sources[word] = (sources[word] or 0) + count
    churned = growth.changes.get(Change.UNSUBSCRIBED, 0) + growth.changes.get(Change.BOUNCED, 0)
    return {
        "total_contacts": census.total,
        **statuses,
        "growth_rate": _rate(growth.changes.get(Change.CREATED, 0), growth.at_start),
        "churn_rate": _rate(min(churned, growth.subscribed_at_start), growth.subscribed_at_start),
        "list_growth": [{"date": period.date(day), "total": total} for day, total in growth.days],
        "sources": sources,
        "engagement_segments": {name: getattr(census.engagement, name) for name in SEGMENTS},
        "counted_at": shown_at(census.taken_at),
    }


def _money(revenue: Revenue, mails: Mail, census: Census | None, period: Period) -> dict[str, Any]:
    total = revenue.total
    return {
        "total_revenue": _number(total.amount_mils),
        "revenue_per_email": _number(share(total.amount_mils, mails.sent)),
        "revenue_per_contact": None if census is None else _number(share(total.amount_mils, census.total)),
        "conversion_rate": _rate(total.times, mails.delivered),
        "average_order_value": _number(share(total.amount_mils, total.times)),
        "revenue_by_campaign": [
            {
                "campaign_id": show(Noun.CAMPAIGN, each.campaign_id),
                "campaign_name": each.name,
                "revenue": _number(each.sum.amount_mils),
                "conversions": each.sum.times,
            }
            for each in revenue.campaigns
        ],
        "revenue_timeline": [
            {"date": period.date(span.start), "revenue": _number(span.sum.amount_mils)}
            for span in revenue.spans
        ],
    }


def _clients(found: Traits) -> dict[str, Any]:
    opens = dict.fromkeys((*CLIENTS.values(), OTHER), 0)
    for value, hits in found.values:
        opens[CLIENTS.get(value, OTHER)] += hits.opens
    return {
        "clients": {word: _rate(count, found.total.opens) for word, count in opens.items()},
        "breakdown": _breakdown("client", found, lambda value: value.lower().replace(" ", "_") or UNKNOWN),
    }


def _devices(found: Traits) -> dict[str, Any]:
    """The three shares are of the openings whose device is known: they add up to 1."""
    opens = dict.fromkeys(DEVICES, 0)
    for value, hits in found.values:
        if value in opens:
            opens[value] += hits.opens
    known = sum(opens.values())
    return {
        "devices": {word: _rate(count, known) for word, count in opens.items()},
        "breakdown": _breakdown("device", found, lambda value: value or UNKNOWN),
    }


def _places(countries: Traits, cities: Traits) -> dict[str, Any]:
    return {
        "total_opens": countries.total.opens,
        "countries": _breakdown("country", countries, lambda value: value or UNKNOWN),
        "cities": [
            {"city": city, "country": country or UNKNOWN, **_figures(hits.opens, hits.clicks, cities)}
            for value, hits in cities.values
            if value
            for country, _, city in [value.partition("/")]
        ],
    }


def _breakdown(name: str, found: Traits, word_of: Callable[[str], str]) -> list[dict[str, Any]]:
    return [
        {name: word_of(value), **_figures(hits.opens, hits.clicks, found)} for value, hits in found.values
    ]


def _figures(opens: int, clicks: int, found: Traits) -> dict[str, Any]:
    return {"opens": opens, "clicks": clicks, "share": _rate(opens, found.total.opens)}


_ROOT = "/v2/analytics"
OPERATIONS = (
    Operation("getAnalyticsOverview", "GET", (f"{_ROOT}/overview",), "All mail", READ, get_overview),
    Operation("getContactAnalytics", "GET", (f"{_ROOT}/contacts",), "The audience", READ, get_contacts),
    Operation("getRevenueAnalytics", "GET", (f"{_ROOT}/revenue",), "Revenue", READ, get_revenue),
    Operation(
        "getClientAnalytics", "GET", (f"{_ROOT}/clients",), "Opens by mail program", READ,
        _by_trait(Trait.CLIENT, _clients),
    ),
    Operation(
        "getGeographicAnalytics", "GET", (f"{_ROOT}/geographic",), "Opens by country and city", READ,
        get_places,
    ),
    Operation(
        "getDeviceAnalytics", "GET", (f"{_ROOT}/devices",), "Opens by device", READ,
        _by_trait(Trait.DEVICE, _devices),
    ),
)  # fmt: skip


def _asked(call: Call) -> tuple[Period, Principal]:
    """To the engine these are reports on mail: only here do they have a scope of their own."""
    period = read_period(call.request, call.caller.organization)
    return period, replace(call.caller.principal, scopes=frozenset({ENGINE_READ}))


def _revenue(tx: Any, call: Call, reader: Principal, period: Period) -> Revenue:
    currency = call.caller.organization.settings.currency
    return conversions.revenue(
        tx, reader, start=period.start, end=period.end, currency=currency, zone=period.zone
    )


def _rate(part: int, whole: int) -> float:
    return float(ratio(part, whole, places=PLACES))


def _read_share(its: Mail | None) -> float:
    return 0.0 if its is None else _rate(its.read, its.delivered)


def _number(mils: int) -> float:
    return float(units(mils))
