"""Reports: sums of rollups over any time, in steps of any zone's days or hours, of a domain or a tag.

Nothing here reads events or messages: a report is as quick for a million mails as for ten, and outlives the
journal. Times are widened to whole quarters of an hour.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from postrider.db.database import Tx
from postrider.engine.errors import Invalid
from postrider.engine.insight import coarse, store
from postrider.engine.insight.model import Counts, Measure, Report, Span, Step, Who
from postrider.engine.insight.tally import BUCKET_MS, bucket_of
from postrider.engine.messages import Stream
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

READ = "messages:read"
SPANS_MAX = 1_000  # of one report
TAGS_MAX = 100
LATEST = 32_503_680_000_000  # the year 3000


def report(
    tx: Tx,
    principal: Principal,
    *,
    start: int,
    end: int,
    bucket: Step = Step.WHOLE,
    zone: tzinfo = UTC,
    domain_id: RowId | None = None,
    tag: str | None = None,
    who: Who = Who.ALL,
) -> Report:
    """What happened from `start` to before `end` (ms), in spans of a step; a span at either end may be short.

    Raises Invalid for more than SPANS_MAX spans. An unknown domain or tag has counts of 0.
    """
    principal.require(READ)
    spans = spans_of(start, end, bucket, zone)
    steps = coarse.STEPS if tag is None else coarse.TAG_STEPS
    pieces = [piece for span in spans for piece in coarse.pieces_of(*span, steps)]
    if tag is None:
        found = coarse.sums(tx, principal.organization_id, pieces, domain_id=domain_id)
    else:
        found = coarse.tag_sums(tx, principal.organization_id, pieces, domain_id=domain_id, tag=tag)
    return Report(
        [Span(since, until, Counts(found.get(since, {}), who)) for since, until in spans],
        Counts(_total(found.values()), who),
    )


def report_tags(
    tx: Tx, principal: Principal, *, start: int, end: int, domain_id: RowId | None = None
) -> dict[str, Counts]:
    """The TAGS_MAX tags with most events in a time, and their counts."""
    principal.require(READ)
    start, end = widened(start, end)
    pieces = list(coarse.pieces_of(start, end, coarse.TAG_STEPS))
    found = coarse.top_tags(tx, principal.organization_id, pieces, domain_id=domain_id, limit=TAGS_MAX)
    return {tag: Counts(counts) for tag, counts in found.items()}


def report_streams(tx: Tx, asked: Sequence[tuple[int, Stream, int]]) -> dict[tuple[int, Stream, int], Counts]:
    """Counts of (organization, stream) since a time (ms), for the platform itself, which asks nobody.

    The quarter of an hour in which a time lies is left out: it holds what happened before.
    """
    rows = [(organization_id, int(stream), _next_bucket(since)) for organization_id, stream, since in asked]
    found = store.by_stream(tx, rows)
    return {key: Counts(found.get(row, {})) for key, row in zip(asked, rows, strict=True)}


def spans_of(start: int, end: int, bucket: Step, zone: tzinfo) -> list[tuple[int, int]]:
    """A report's spans as (start, end), without gaps; raises Invalid for more than SPANS_MAX."""
    start, end = widened(start, end)
    if (end - start) // _SHORTEST_MS[bucket] > SPANS_MAX:
        raise Invalid(field="range", message=f"a report has at most {SPANS_MAX} steps")
    return list(_spans(start, end, bucket, zone))


def widened(start: int, end: int) -> tuple[int, int]:
    """A time as whole quarters of an hour, from 1970 to LATEST; none where its end is not past its start."""
    start, end = (min(max(at, 0), LATEST) for at in (start, end))
    if end <= start:
        return bucket_of(start), bucket_of(start)
    return bucket_of(start), bucket_of(end + BUCKET_MS - 1)


def _next_bucket(at: int) -> int:
    return bucket_of(at + BUCKET_MS - 1)


# A day of 23 hours, and no limit for what is not divided.
_SHORTEST_MS = {Step.WHOLE: clock.DAY * 1_000_000, Step.DAY: 23 * clock.HOUR, Step.HOUR: clock.HOUR}


def _spans(start: int, end: int, step: Step, zone: tzinfo) -> Iterator[tuple[int, int]]:
    if step is Step.WHOLE:
        yield start, end
        return
    while start < end:
        following = min(_next_day(start, zone) if step is Step.DAY else _next_hour(start, zone), end)
        yield start, following
        start = following


def _next_day(at: int, zone: tzinfo) -> int:
    """The next midnight of a zone, also where its days have 23 or 25 hours."""
    tomorrow = datetime.fromtimestamp(at / 1000, zone).date() + timedelta(days=1)
    return bucket_of(int(datetime.combine(tomorrow, time(), zone).timestamp() * 1000))


def _next_hour(at: int, zone: tzinfo) -> int:
    """The next full hour of a zone: some lie half an hour, or a quarter, beside UTC's."""
    local = datetime.fromtimestamp(at / 1000, zone)
    return at + clock.HOUR - (local.minute * clock.MINUTE + local.second * clock.SECOND)


def _total(each: Iterable[Mapping[Measure, int]]) -> dict[Measure, int]:
    total: Counter[Measure] = Counter()
    for counts in each:
        total.update(counts)
    return dict(total)
