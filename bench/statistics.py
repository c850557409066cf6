"""Statistics over ten million events: what the reports of two surfaces ask of the rollups, one by one.

No event is recorded: the rollups are filled as so many would leave them, one event after the other drawn for
a quarter of an hour of 90 days (by day twice as many as by night), one of 20 domains and one of 50 tags (both
by Zipf's law), in the share in which events come. The whole time is asked for; of hours the last forty days.
"""

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from tempfile import TemporaryDirectory

from bench import postgres, report
from bench.report import Options, Sample, Verdict
from postrider.db import migrate
from postrider.db.database import Database, Tx
from postrider.engine import insight
from postrider.engine.insight import Measure, Step, coarse, store
from postrider.engine.insight.tally import BUCKET_MS
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import new_id

EVENTS = 10_000_000
DAYS = 90
HOURLY_DAYS = 40
DOMAINS = [new_id() for _ in range(20)]
TAGS = [f"tag-{number}" for number in range(50)]
START = 1_795_000_000_000 - 1_795_000_000_000 % clock.DAY
END = START + DAYS * clock.DAY
ORGANIZATION = 1
SHARD = 1
STREAM = 1
ANSWER_MS = 50
ASKED = 5  # times each, of which the median counts
ROWS_AT_ONCE = 20_000
SHARES = {  # of a thousand events; what one counts as beside stands with it
    (Measure.ACCEPTED,): 270,
    (Measure.SENT,): 270,
    (Measure.DELIVERED,): 255,
    (Measure.OPENED, Measure.OPENED_UNIQUE, Measure.OPENED_HUMAN, Measure.OPENED_HUMAN_UNIQUE): 80,
    (Measure.OPENED, Measure.OPENED_SCANNER): 60,
    (Measure.CLICKED, Measure.CLICKED_UNIQUE): 40,
    (Measure.BOUNCED_HARD,): 8,
    (Measure.BOUNCED_SOFT,): 7,
    (Measure.DEFERRED,): 7,
    (Measure.UNSUBSCRIBED,): 2,
    (Measure.COMPLAINED,): 1,
}
_asked = partial(insight.report, principal=Principal(ORGANIZATION), start=START, end=END)
QUESTIONS: dict[str, Callable[[Tx], object]] = {
    "overview": lambda tx: _asked(tx),
    "by hour": lambda tx: _asked(tx, start=END - HOURLY_DAYS * clock.DAY, bucket=Step.HOUR),
    "by day": lambda tx: _asked(tx, bucket=Step.DAY),
    "a domain by day": lambda tx: _asked(tx, bucket=Step.DAY, domain_id=DOMAINS[0]),
    "DomainStats": lambda tx: (
        _asked(tx, domain_id=DOMAINS[0]),
        _asked(tx, start=2 * START - END, end=START, domain_id=DOMAINS[0]),
        _tags(tx),
    ),
    "AggrEvents by type": lambda tx: _asked(tx, domain_id=DOMAINS[0]),
    "AggrEvents by tag": lambda tx: _tags(tx),
}


def run(options: Options) -> list[Verdict]:
    events = options.count(EVENTS)
    contenders: dict[str, Callable[[], Sample]] = {"SQLite": partial(on_sqlite, events)}
    if postgres.programs():
        contenders["PostgreSQL"] = partial(on_postgresql, events)
    results = report.interleave(contenders, 1)  # to fill takes minutes, and each question is asked often
    report.print_medians(results)
    return [
        report.at_most(f"{name}: {question}, {events:,} events", ANSWER_MS, samples[0][question])
        for name, samples in results.items()
        for question in QUESTIONS
    ]


def on_sqlite(events: int) -> Sample:
    with TemporaryDirectory() as folder:
        return measure(f"sqlite:///{folder}/postrider.db", events)


def on_postgresql(events: int) -> Sample:
    with postgres.Cluster() as cluster:
        return measure(cluster.url, events)


def measure(url: str, events: int) -> Sample:
    """Medians in ms, and how many rows the events left."""
    db = Database(url)
    try:
        migrate.upgrade(db)
        rows = fill(db, events)
        coarse.mend(db, ORGANIZATION)  # what the follower adds beside them
        if not db.is_sqlite:
            db.write_now(_analyze)  # as autovacuum does to tables that have grown
        return {**{name: _median_ms(db, ask) for name, ask in QUESTIONS.items()}, "rows": rows}
    finally:
        db.close()


def fill(db: Database, events: int) -> int:
    """The rows of both tables, as the events leave them; answers how many."""
    filled = 0
    rows: list[store.Row] = []
    tag_rows: list[store.TagRow] = []
    for bucket, places, tag_places in drawn(events):
        rows += [(ORGANIZATION, bucket, measure, domain, STREAM, SHARD, n) for (measure, domain), n in places]
        tag_rows += [
            (ORGANIZATION, bucket, domain, tag, measure, SHARD, n) for (measure, domain, tag), n in tag_places
        ]
        if len(rows) + len(tag_rows) >= ROWS_AT_ONCE or bucket + BUCKET_MS >= END:
            db.write_now(store.add_rows, rows)
            db.write_now(store.add_tag_rows, tag_rows)
            filled += len(rows) + len(tag_rows)
            rows, tag_rows = [], []
    return filled


Drawn = tuple[int, list[tuple[tuple[str, bytes], int]], list[tuple[tuple[str, bytes, str], int]]]


def drawn(events: int) -> Iterator[Drawn]:
    """The counts of each quarter of an hour, in order."""
    dice = random.Random(events)
    buckets = range(START, END, BUCKET_MS)
    weights = [2 if 8 <= bucket % clock.DAY // clock.HOUR < 20 else 1 for bucket in buckets]
    total = sum(weights)
    kinds = [tuple(measure.value for measure in measures) for measures in SHARES]
    of_kinds = list(accumulate(SHARES.values()))
    of_domains, of_tags = (
        list(accumulate(1 / rank for rank in range(1, len(each) + 1))) for each in (DOMAINS, TAGS)
    )
    for bucket, weight in zip(buckets, weights, strict=True):
        count = round(events * weight / total)
        what = zip(
            dice.choices(kinds, cum_weights=of_kinds, k=count),
            dice.choices(DOMAINS, cum_weights=of_domains, k=count),
            dice.choices(TAGS, cum_weights=of_tags, k=count),
            strict=True,
        )
        places: Counter[tuple[str, bytes]] = Counter()
        tag_places: Counter[tuple[str, bytes, str]] = Counter()
        for measures, domain, tag in what:
            for measure in measures:
                places[measure, domain] += 1
                tag_places[measure, domain, tag] += 1
        yield bucket, sorted(places.items()), sorted(tag_places.items())


def _tags(tx: Tx) -> object:
    return insight.report_tags(tx, Principal(ORGANIZATION), start=START, end=END, domain_id=DOMAINS[0])


def _analyze(tx: Tx) -> None:
    for table in ("rollups", "tag_rollups", "coarse_rollups", "coarse_tag_rollups"):
        tx.exec_driver_sql(f"ANALYZE {table}")


def _median_ms(db: Database, ask: Callable[[Tx], object]) -> float:
    times = []
    for _ in range(ASKED):
        started = time.monotonic()
        db.read_now(ask)
        times.append((time.monotonic() - started) * 1000)
    return statistics.median(times)
