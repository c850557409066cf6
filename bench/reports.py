"""Reports of one campaign of a million recipients, of whom a third opened it within ninety days, one by one.

Nothing is sent and no event recorded: messages, hits and quarters of an hour are filled by SQL as they would
be left, sums by the rebuild. Asked are the first page of each list, one from its middle and one from its end.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory

from bench import postgres, report
from bench.report import Options, Sample, Verdict
from postrider.db import migrate
from postrider.db.database import Database, Tx
from postrider.engine.insight import Measure, Who, campaigns
from postrider.engine.insight.campaigns import Grain, Standing
from postrider.engine.insight.campaigns.rebuild import mend
from postrider.engine.insight.tally import BUCKET_MS
from postrider.engine.principal import Principal
from postrider.kit import clock

RECIPIENTS = 1_000_000
DAYS = 90
START = 1_795_000_000_000 - 1_795_000_000_000 % clock.DAY
ORGANIZATION = 1
CAMPAIGN = b"campaign-million"
CONTENT = b"campaign-content"
MEASURES = (
    *(Measure.ACCEPTED, Measure.SENT, Measure.DELIVERED, Measure.BOUNCED_HARD),
    *(Measure.OPENED, Measure.OPENED_UNIQUE, Measure.OPENED_HUMAN, Measure.OPENED_HUMAN_UNIQUE),
    *(Measure.OPENED_SCANNER, Measure.OPENED_SCANNER_UNIQUE, Measure.OPENED_ON_MOBILE),
    *(Measure.OPENED_IN_GMAIL, Measure.CLICKED, Measure.CLICKED_UNIQUE, Measure.CLICKED_HUMAN),
    *(Measure.CLICKED_HUMAN_UNIQUE, Measure.CLICKED_SCANNER, Measure.CLICKED_SCANNER_UNIQUE),
)
LINKS = 20
FOLLOWED = [(3, link, 9 * link) for link in range(1, LINKS + 1)]  # kind, link, of how many recipients one
ROWS_AT_ONCE = 50_000
OPENS = (Measure.OPENED, Measure.OPENED_UNIQUE)
FIVE = (*OPENS, Measure.ACCEPTED, Measure.DELIVERED, Measure.CLICKED_UNIQUE)
PAGE, PAGE_MAX = 50, 1_000
ANSWER_MS = 100
ASKED = 5  # times each, of which the median counts
PRINCIPAL = Principal(ORGANIZATION)

Question = Callable[[Tx], object]


def run(options: Options) -> list[Verdict]:
    recipients = options.count(RECIPIENTS)
    contenders: dict[str, Callable[[], Sample]] = {"SQLite": partial(on_sqlite, recipients)}
    if postgres.programs():
        contenders["PostgreSQL"] = partial(on_postgresql, recipients)
    results = report.interleave(contenders, 1)  # to fill takes minutes, and each question is asked often
    report.print_medians(results)
    return [
        report.at_most(f"{name}: {question}, {recipients:,} recipients", ANSWER_MS, samples[0][question])
        for name, samples in results.items()
        for question in questions(recipients)
    ]


def on_sqlite(recipients: int) -> Sample:
    with TemporaryDirectory() as folder:
        return measure(f"sqlite:///{folder}/postrider.db", recipients)


def on_postgresql(recipients: int) -> Sample:
    with postgres.Cluster() as cluster:
        return measure(cluster.url, recipients)


def measure(url: str, recipients: int) -> Sample:
    """Medians in ms."""
    db = Database(url)
    try:
        migrate.upgrade(db)
        for statement in filling(recipients, is_sqlite=db.is_sqlite):
            db.write_now(_run, statement)
        mend(db, ORGANIZATION, {})
        if not db.is_sqlite:  # as autovacuum does to tables that have grown
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in ("messages", "campaign_hits", "campaign_rollups", "campaign_counts"):
                    connection.exec_driver_sql("SET statement_timeout = 0")
                    connection.exec_driver_sql(f"VACUUM ANALYZE {table}")
        return {name: _median_ms(db, ask) for name, ask in questions(recipients).items()}
    finally:
        db.close()


def questions(recipients: int) -> dict[str, Question]:
    """What is asked, by name; offsets go with the number of recipients."""
    of_campaign = (PRINCIPAL, CAMPAIGN)
    end = START + 30 * clock.DAY + clock.HOUR
    asked: dict[str, Question] = {
        "overview": lambda tx: campaigns.report(tx, *of_campaign),
        "a month": lambda tx: campaigns.report_between(tx, *of_campaign, start=START, end=end),
        "by hour": lambda tx: campaigns.timeline(tx, *of_campaign, Grain.HOUR, OPENS),
        "hourly, five measures": lambda tx: campaigns.timeline(tx, *of_campaign, Grain.HOUR, FIVE),
        "by day": lambda tx: campaigns.timeline(tx, *of_campaign, Grain.DAY, OPENS),
        "links": lambda tx: campaigns.links(tx, *of_campaign),
        "counts of 100": lambda tx: campaigns.counts_of(
            tx, ORGANIZATION, [CAMPAIGN, *(bytes([n]) * 16 for n in range(99))]
        ),
    }
    lists = {
        "all": (None, Who.ALL, recipients),
        "delivered": (Standing.DELIVERED, Who.ALL, recipients * 97 // 100),
        "queued": (Standing.QUEUED, Who.ALL, recipients // 1_000),
        "failed": (Standing.FAILED, Who.ALL, recipients // 1_000),
        "bounced": (Standing.BOUNCED, Who.ALL, recipients // 100),
        "opened": (Standing.OPENED, Who.ALL, recipients // 3),
        "opened, humans": (Standing.OPENED, Who.HUMAN, recipients // 4),
        "clicked, scanners": (Standing.CLICKED, Who.SCANNER, recipients // 1_000),
    }
    for name, (standing, who, total) in lists.items():
        for where, offset, limit in (
            ("first", 0, PAGE),
            ("middle", total // 2, PAGE),
            ("last", total - PAGE, PAGE),
            ("of 1,000", total // 2, PAGE_MAX),
        ):
            asked[f"{name}: {where}"] = _listing(standing, who, offset, limit)
    return asked


def _listing(standing: Standing | None, who: Who, offset: int, limit: int) -> Question:
    return lambda tx: campaigns.recipients(tx, PRINCIPAL, CAMPAIGN, standing, who, limit=limit, offset=offset)


def filling(recipients: int, *, is_sqlite: bool) -> list[str]:
    """INSERTs: message n bounced, failed or waits by n % 1000, and was opened where 3 divides n."""

    def octets(text: bytes) -> str:
        return f"X'{text.hex()}'" if is_sqlite else f"'\\x{text.hex()}'::bytea"

    key = "CAST(printf('%016d', n) AS BLOB)" if is_sqlite else "convert_to(lpad(n::text, 16, '0'), 'UTF8')"
    its = f"{ORGANIZATION}, {octets(CAMPAIGN)}"
    every = [_numbers(first, recipients, is_sqlite=is_sqlite) for first in range(1, recipients, ROWS_AT_ONCE)]
    status = "CASE WHEN n % 1000 < 10 THEN 4 WHEN n % 1000 = 10 THEN 5 WHEN n % 1000 = 11 THEN 2 ELSE 3 END"
    human, machine = "CASE WHEN n % 12 > 0 THEN 1 ELSE 0 END", "CASE WHEN n % 999 = 0 THEN 1 ELSE 0 END"
    hits = f"""INSERT INTO campaign_hits (organization_id, campaign_id, kind, link, message_id, variant,
          times, first_at, last_at, human, first_human_at, last_human_at, scanner, first_scanner_at,
          last_scanner_at)
        SELECT {its}, {{kind}}, {{link}}, {key}, 0, 1, {START}, {START}, {human}, {START}, {START},
          {machine}, {START}, {START} FROM {{numbers}} WHERE n % {{divisor}} = 0"""
    return [
        f"""INSERT INTO campaigns (organization_id, id, kind, name, status, total, accepted, skipped,
              created_at) VALUES ({its}, 'bulk', 'Million', 'sent', {recipients}, {recipients}, 0,
              {START})""",
        *(
            f"""INSERT INTO messages (organization_id, campaign_id, id, group_id, content_id, recipient,
              address_key, role, stream, declared_stream, lane_id, created_at, attempts, status,
              first_sent_at, first_delivered_at, opens, clicks)
            SELECT {its}, {key}, {key}, {octets(CONTENT)}, 'reader' || n || '@example.com',
              'reader' || n || '@example.com', 1, 3, 3, 1, {START}, 1, {status}, {START}, {START}, 0, 0
            FROM {numbers}"""
            for numbers in every
        ),
        *(
            hits.format(kind=kind, link=link, divisor=divisor, numbers=numbers)
            for kind, link, divisor in (*((1, 0, 3), (2, 0, 9), (4, 0, 100)), *FOLLOWED)
            for numbers in every
        ),
        *(
            f"INSERT INTO campaign_links (organization_id, campaign_id, number, url) "
            f"VALUES ({its}, {link}, 'https://example.com/{link}')"
            for link in range(1, LINKS + 1)
        ),
        *(
            f"""INSERT INTO campaign_rollups (organization_id, campaign_id, step_ms, measure, bucket, variant,
                  count) SELECT {its}, {BUCKET_MS}, '{each.value}',
                  {START} + CAST(n AS BIGINT) * {BUCKET_MS}, 0, 100
                FROM {_numbers(1, DAYS * clock.DAY // BUCKET_MS, is_sqlite=is_sqlite)}"""
            for each in MEASURES
        ),
    ]


def _numbers(first: int, last: int, *, is_sqlite: bool) -> str:
    """ROWS_AT_ONCE numbers as a table."""
    last = min(last, first + ROWS_AT_ONCE - 1)
    if not is_sqlite:
        return f"generate_series({first}, {last}) AS x(n)"
    counted = f"SELECT {first} UNION ALL SELECT n + 1 FROM c WHERE n < {last}"
    return f"(WITH RECURSIVE c(n) AS ({counted}) SELECT n FROM c) AS x"


def _run(tx: Tx, statement: str) -> None:
    tx.connection.driver_connection.execute(statement)  # type: ignore[union-attr]


def _median_ms(db: Database, ask: Question) -> float:
    times = []
    for _ in range(ASKED):
        started = time.monotonic()
        db.read_now(ask)
        times.append((time.monotonic() - started) * 1000)
    return statistics.median(times)
