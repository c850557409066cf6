"""What following costs: three kinds of events, one webhook in each of a hundred organizations.

Recorded first, unmeasured; then followed by all that listen, as shipped: counts by domain and by tag with
their first times, soft bounces, rows for the webhooks. Nothing is posted: `webhooks` measures that.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from tempfile import TemporaryDirectory

import uvloop

from bench import claim, postgres, report
from bench.report import Options, Sample, Verdict
from postrider.app import FOLLOWERS, FORMATS, KEY_KINDS
from postrider.db import migrate
from postrider.db.database import Database, Tx
from postrider.engine import accounts, journal, messages, webhooks
from postrider.engine.journal import Event, EventKind
from postrider.engine.journal.follow import Dispatch
from postrider.engine.messages import Content, ContentKind, NewMessage, Stream, queue
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.seal import MASTER_KEY_BYTES, Sealer

EVENTS = 60_000
ORGANIZATIONS = 100
KINDS = (EventKind.DELIVERED, EventKind.OPENED, EventKind.CLICKED)
TAGS = ["welcome", "spring"]
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BATCH = 200
OWNER = "bench"
SEALER = Sealer(bytes(MASTER_KEY_BYTES))
EVENT_US = 80
EVENTS_PER_S = 25_000


def run(options: Options) -> list[Verdict]:
    """CPU of this process for each event; what PostgreSQL's own processes add stands beside it."""
    events = options.count(EVENTS)
    contenders: dict[str, Callable[[], Sample]] = {"SQLite": partial(on_sqlite, events)}
    if postgres.programs():
        contenders["PostgreSQL"] = partial(on_postgresql, events)
    results = report.interleave(contenders, options.runs)
    report.print_medians(results)
    verdicts = []
    for name in results:
        cpu_us, rate = (report.median(results, name, key) for key in ("CPU us/event", "events/s"))
        verdicts.append(report.at_most(f"{name}: an event followed, CPU", EVENT_US, cpu_us, "us"))
        verdicts.append(Verdict(f"{name}: or events followed", f"{EVENTS_PER_S:,}/s", f"{rate:,.0f}/s", None))
    return verdicts


def on_sqlite(events: int) -> Sample:
    with TemporaryDirectory() as folder:
        return measure(f"sqlite:///{folder}/postrider.db", events)


def on_postgresql(events: int) -> Sample:
    with postgres.Cluster() as cluster:
        return measure(cluster.url, events, cluster.cpu_seconds)


def measure(url: str, events: int, server_cpu: Callable[[], float] = lambda: 0.0) -> Sample:
    db = Database(url)
    try:
        migrate.upgrade(db)
        db.write_now(journal.add_shards, journal.SHARDS)
        mails = events // len(KINDS)
        fill(db, ORGANIZATIONS, mails, "https://far.test/hook", KINDS)
        return uvloop.run(_measure(db, mails * len(KINDS), server_cpu))
    finally:
        db.close()


async def _measure(db: Database, events: int, server_cpu: Callable[[], float]) -> Sample:
    dispatch = Dispatch(db, FOLLOWERS, OWNER)
    started, cpu, server = time.monotonic(), time.process_time(), server_cpu()
    followed = 0
    while taken := await dispatch.once():
        followed += taken
    seconds = time.monotonic() - started
    cpu, server = time.process_time() - cpu, server_cpu() - server
    queued = count(db, "webhook_queue")
    if (followed, queued, dispatch.parked) != (events, events, 0):
        raise AssertionError(f"{followed} of {events} followed, {queued} queued, {dispatch.parked} parked")
    return {
        "events/s": events / seconds,
        "CPU us/event": cpu / events * 1e6,
        "server us": server / events * 1e6,
    }


def count(db: Database, table: str) -> int:
    def ask(tx: Tx) -> int:
        return int(tx.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())

    return db.read_now(ask)


def fill(db: Database, organizations: int, mails: int, url: str, kinds: Sequence[EventKind]) -> None:
    """Organizations with an endpoint each that hears of `kinds`; mails, with an event of each kind."""
    password_hash = accounts.hash_password("bench-password-1")
    made = [
        db.write_now(
            accounts.create,
            name="Bench", email=f"bench{number}@far.test", password_hash=password_hash, plan="enterprise",
            kinds=KEY_KINDS, sealer=SEALER,
        ).organization_id
        for number in range(organizations)
    ]  # fmt: skip
    for organization_id in made:
        _subscribe(db, organization_id, url, kinds)
    db.write_now(messages.insert_contents, [(_content(organization_id), b"{}") for organization_id in made])
    places = [
        queue.Place(made[number % organizations], Stream.TRANSACTIONAL, "far.test") for number in range(mails)
    ]
    for start in range(0, mails, claim.PORTION):
        portion = places[start : start + claim.PORTION]
        _record(db, db.write_now(claim.queue_mails, portion, clock.now_ms()), kinds)


def _subscribe(db: Database, organization_id: int, url: str, kinds: Sequence[EventKind]) -> None:
    format_ = FORMATS["mailerlogic"]
    words = [format_.words[kind][0] for kind in kinds]
    told = webhooks.Changes(url=url, events=words, secret="bench")
    db.write_now(
        lambda tx: webhooks.create_endpoint(
            tx, Principal(organization_id), format_, sealer=SEALER, allow_private=True, **told
        )
    )


def _content(organization_id: int) -> Content:
    now = clock.now_ms()
    return Content(
        organization_id=organization_id, id=claim.CONTENT, kind=ContentKind.PARTS,
        from_header="Shop <shop@far.test>", from_address="shop@far.test", subject="Hello", headers={},
        track_opens=True, track_clicks=True, unsubscribe_header=True, links=[], attachments=[], size_bytes=1,
        messages=1, created_at=now, expires_at=now, tags=TAGS,
    )  # fmt: skip


def _record(db: Database, mails: Sequence[NewMessage], kinds: Sequence[EventKind]) -> None:
    """In the order in which they happen: deliveries, then openings and clicks, each a message's first."""
    data = {"user_agent": AGENT, "human": True, "first_human": True}
    for kind in kinds:
        facts = {"via": "relay"} if kind is EventKind.DELIVERED else data
        for start in range(0, len(mails), BATCH):
            db.write_now(
                journal.record,
                [
                    Event(mail.organization_id, kind, clock.now_ms(), mail.id, data=facts)
                    for mail in mails[start : start + BATCH]
                ],
            )
