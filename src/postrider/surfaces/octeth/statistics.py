"""Figures of a sender domain: totals beside the period before and by tag, and events grouped by one field."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from postrider.engine import insight
from postrider.engine.domains import Domain
from postrider.engine.errors import NotFound
from postrider.engine.insight import Counts, Measure, Report, Step
from postrider.kit import clock
from postrider.surfaces.common.operations import Call
from postrider.surfaces.octeth.command import Command, Parameter, Payload, Values
from postrider.surfaces.octeth.domains import domain_id, found_domain
from postrider.surfaces.octeth.errors import Code, Form
from postrider.surfaces.octeth.limits import BUCKETS, BUCKETS_MAX, STATISTICS_MS
from postrider.surfaces.octeth.parameters import NUMBER, TEXT
from postrider.surfaces.octeth.periods import PERIOD
from postrider.surfaces.octeth.vocabulary import MEASURES

READ = "messages:read"


async def domain_stats(call: Call, values: Values) -> Payload:
    """Whole days in UTC; the period before is as long, and ends where this one begins."""
    domain = await found_domain(call, values)
    start, end = _period(values)
    now = await _report(call, domain, start, end)
    before = await _report(call, domain, 2 * start - end, start)
    by_tag = await _by_tag(call, domain, start, end)
    return {
        "Stats": _figures(now.total),
        "ComparisonStats": {"PreviousPeriod": _figures(before.total)},
        "TagStats": {tag: _figures(counts) for tag, counts in by_tag.items()},
    }


async def aggregate_events(call: Call, values: Values) -> Payload:
    """The fullest groups first; a field that events are not counted by has none."""
    domain = await found_domain(call, values)
    size = min(values.get("AggregateSize", BUCKETS), BUCKETS_MAX)
    field = _FIELDS.get(values.get("AggregatedField", "eventtype").lower())
    counted = await field(call, domain, values) if field is not None else {}
    fullest = sorted(((key, count) for key, count in counted.items() if count), key=lambda each: -each[1])
    return {"AggBuckets": [{"key": key, "doc_count": count} for key, count in fullest[:size]]}


_UNKNOWN = {1: Code("Required parameter missing: DomainID")}
COMMANDS = (
    Command(
        "domainStats", "EmailGateway.DomainStats", "Totals of a sender domain", READ, domain_stats,
        (domain_id(2), *PERIOD), Form.NUMBER_AND_MESSAGE,
        {**_UNKNOWN, 2: Code("Unable to retrieve domain information")}, {NotFound: 2},
    ),
    Command(
        "aggrEvents", "EmailGateway.AggrEvents", "Event counts of a sender domain, grouped", READ,
        aggregate_events,
        (domain_id(2), *PERIOD, Parameter("AggregatedField", TEXT), Parameter("AggregateSize", NUMBER)),
        Form.NUMBER_AND_MESSAGE,
        {**_UNKNOWN, 2: Code("Failed to retrieve sender domain")}, {NotFound: 2},
    ),
)  # fmt: skip


def _period(values: Values) -> tuple[int, int]:
    """From StartDate to the end of EndDate; without them the last STATISTICS_MS to the end of today."""
    now = clock.now_ms()
    end = values.get("EndDate") or now - now % clock.DAY + clock.DAY
    start = values.get("StartDate")
    if start is None:
        start = end - end % clock.DAY - STATISTICS_MS
    return start, max(start, end)


async def _report(call: Call, domain: Domain, start: int, end: int, step: Step = Step.WHOLE) -> Report:
    return await call.services.db.read(
        insight.report,
        call.caller.principal,
        start=start,
        end=end,
        bucket=step,
        domain_id=domain.id,
    )


async def _by_tag(call: Call, domain: Domain, start: int, end: int) -> Mapping[str, Counts]:
    return await call.services.db.read(
        insight.report_tags, call.caller.principal, start=start, end=end, domain_id=domain.id
    )


def _figures(counts: Counts) -> dict[str, int]:
    return {
        "Sent": counts[Measure.ACCEPTED],
        "Delivered": counts[Measure.DELIVERED],
        "Bounced": counts.bounced,
        "Opened": counts.opens,
        "Clicked": counts.clicks,
        "Unsubscribed": counts[Measure.UNSUBSCRIBED],
        "Complained": counts[Measure.COMPLAINED],
    }


def _words(counts: Counts) -> Counter[str]:
    found: Counter[str] = Counter()
    for measure, word in MEASURES.items():
        if word is not None:
            found[word] += counts[measure]
    return found


async def _types(call: Call, domain: Domain, values: Values) -> Mapping[str, int]:
    return _words((await _report(call, domain, *_all_time(values))).total)


async def _tags(call: Call, domain: Domain, values: Values) -> Mapping[str, int]:
    by_tag = await _by_tag(call, domain, *_all_time(values))
    return {tag: _words(counts).total() for tag, counts in by_tag.items()}


async def _days(call: Call, domain: Domain, values: Values) -> Mapping[str, int]:
    spans = (await _report(call, domain, *_period(values), Step.DAY)).spans
    return {clock.to_iso(span.start).partition("T")[0]: _words(span.counts).total() for span in spans}


def _all_time(values: Values) -> tuple[int, int]:
    return values.get("StartDate") or 0, values.get("EndDate") or clock.now_ms() + clock.DAY


_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("eventtype", "event_type", "event"), _types),
    **dict.fromkeys(("tag", "tags"), _tags),
    **dict.fromkeys(("day", "date", "timestamp"), _days),
}
