"""What an event costs: recorded as mail is accepted and delivered, then followed by all that listen."""

import time
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory

import uvloop

from bench import claim, postgres, report
from bench.report import Options, Sample, Verdict
from postrider.app import FOLLOWERS
from postrider.db import migrate
from postrider.db.database import Database
from postrider.engine import journal
from postrider.engine.journal import Event, EventKind
from postrider.engine.journal.follow import Dispatch
from postrider.engine.messages import NewMessage, Stream, queue
from postrider.kit import clock

EVENTS = 100_000
EVENTS_A_MAIL = 3  # accepted, sent, delivered
BATCH = 200
ORGANIZATIONS = 100
OWNER = "bench"
EVENT_US = 80
VIA = {"via": "relay", "host": "127.0.0.1"}  # what a delivery tells


def run(options: Options) -> list[Verdict]:
    """CPU of this process for each event; what PostgreSQL's own processes add stands beside it."""
    count = options.count(EVENTS)
    contenders: dict[str, Callable[[], Sample]] = {"SQLite": partial(on_sqlite, count)}
    if postgres.programs():
        contenders["PostgreSQL"] = partial(on_postgresql, count)
    results = report.interleave(contenders, options.runs)
    report.print_medians(results)
    figure = "an event recorded and followed: this process"
    verdicts = [
        report.at_most(f"{name}: {figure}", EVENT_US, report.median(results, name, "CPU us/event"), "us")
        for name in results
    ]
    if "PostgreSQL" in results:
        server_us = report.median(results, "PostgreSQL", "server us")
        verdicts.append(Verdict("PostgreSQL: its own processes beside it", "", f"{server_us:,.2f} us", None))
    return verdicts


def on_sqlite(count: int) -> Sample:
    with TemporaryDirectory() as folder:
        return measure(f"sqlite:///{folder}/postrider.db", count)


def on_postgresql(count: int) -> Sample:
    with postgres.Cluster() as cluster:
        return measure(cluster.url, count, cluster.cpu_seconds)


def measure(url: str, count: int, server_cpu: Callable[[], float] = lambda: 0.0) -> Sample:
    db = Database(url)
    try:
        migrate.upgrade(db)
        db.write_now(journal.add_shards, journal.SHARDS)
        return uvloop.run(_measure(db, _mails(db, count // EVENTS_A_MAIL), server_cpu))
    finally:
        db.close()


def _mails(db: Database, count: int) -> list[NewMessage]:
    places = [
        queue.Place(number % ORGANIZATIONS + 1, Stream.TRANSACTIONAL, "far.test") for number in range(count)
    ]
    return [
        mail
        for start in range(0, count, claim.PORTION)
        for mail in db.write_now(claim.queue_mails, places[start : start + claim.PORTION], clock.now_ms())
    ]


async def _measure(db: Database, mails: list[NewMessage], server_cpu: Callable[[], float]) -> Sample:
    dispatch = Dispatch(db, FOLLOWERS, OWNER)
    events = len(mails) * EVENTS_A_MAIL
    marks = [(time.process_time(), server_cpu())]
    await _record(db, mails)
    marks.append((time.process_time(), server_cpu()))
    followed = 0
    while taken := await dispatch.once():
        followed += taken
    marks.append((time.process_time(), server_cpu()))
    if followed != events or dispatch.parked:
        raise AssertionError(f"{followed} of {events} events followed, {dispatch.parked} parked")
    started, recorded, ended = [[seconds / events * 1e6 for seconds in mark] for mark in marks]
    return {
        "CPU us/event": ended[0] - started[0],
        "record us": recorded[0] - started[0],
        "follow us": ended[0] - recorded[0],
        "server us": ended[1] - started[1],
    }


async def _record(db: Database, mails: list[NewMessage]) -> None:
    """As submit tells of a batch it took, and as settle tells of one that was delivered."""
    for start in range(0, len(mails), BATCH):
        accepted = [_event(mail, EventKind.ACCEPTED) for mail in mails[start : start + BATCH]]
        await db.write(journal.record, accepted)
    for start in range(0, len(mails), BATCH // 2):
        delivered = [
            event
            for mail in mails[start : start + BATCH // 2]
            for event in (_event(mail, EventKind.SENT), _event(mail, EventKind.DELIVERED))
        ]
        await db.write(journal.record, delivered)


def _event(mail: NewMessage, kind: EventKind) -> Event:
    return Event(
        organization_id=mail.organization_id,
        kind=kind,
        at=clock.now_ms(),
        message_id=mail.id,
        data=VIA if kind is EventKind.DELIVERED else None,
    )
