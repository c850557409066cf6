"""A campaign to a list of 100,000: made into messages, delivered beside a bulk send, paused and called off.

The bulk send is of the same size and content, to addresses of nobody, so that it has less to do. In a second
campaign people work meanwhile: they look at campaigns and send single mails; a quarter of it delivered, it is
paused, then cancelled, and all figures have to agree: messages, the campaign's counts, quota.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx2
from sqlalchemy import text

from bench import load, mail, postgres, processes, report
from bench.load import RECIPIENT, SENDER, BadAnswer, Load
from bench.peers import CountingSink
from bench.postrider_server import Server
from bench.processes import free_port
from bench.report import Options, Sample, Verdict
from postrider.db.database import AnyRow, Database, Tx
from postrider.engine.messages import Status
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.surfaces.nudgecampaign.ids import Noun, path_id

PEOPLE = 100_000
BULK_AT_ONCE = 10_000
DELIVERED_OF_FOUR = 1  # before the pause
PAUSE_S = 0.05  # between one look, one more and a single send
LOOK_S = 0.2  # at the store
SETTLED_S = 5.0  # after the pause: what is on its way by then has gone
TIMEOUT_S = 900.0
EXPANDED_S, KEPT_X, API_P95_MS, FIRST_ATTEMPT_MS, PAUSED_S = 10, 0.8, 100, 250, 2
RUNS_MAX = 3  # of some minutes each
NUDGE, CONSOLE = "/nudgecampaign/v2", "/console/v1"
CAMPAIGN, BULK, BESIDE = "campaign", "bulk send", "campaign beside requests, cancelled"
PROBE = "probe"


def run(options: Options) -> list[Verdict]:
    count = options.count(PEOPLE)
    contenders: dict[str, Callable[[], Sample]] = {}
    stores = ["SQLite", "PostgreSQL"] if postgres.programs() else ["SQLite"]
    for store in stores:
        for name, measure in ((CAMPAIGN, campaign), (BULK, bulk), (BESIDE, beside)):
            contenders[f"{store}: {name}"] = partial(on, store, measure, count)
    results = report.interleave(contenders, min(options.runs, RUNS_MAX))
    report.print_medians(results)
    return [verdict for store in stores for verdict in judge(results, store, count)]


def judge(results: report.Results, store: str, count: int) -> list[Verdict]:
    alone, sent_in_bulk, watched = (f"{store}: {name}" for name in (CAMPAIGN, BULK, BESIDE))
    expanded = report.median(results, alone, "expanded s")
    kept = report.ratio(results, alone, sent_in_bulk, "mails/s")
    found = partial(report.median, results, watched)
    called_off = Verdict(f"{store}: the rest called off", "", f"{found('called off s'):,.2f} s", None)
    return [
        report.at_most(f"{store}: {count:,} made into messages", EXPANDED_S, expanded, "s"),
        report.at_least(f"{store}: delivered, beside a bulk send", KEPT_X, kept),
        report.at_most(f"{store}: requests while it is made, p95", API_P95_MS, found("making p95 ms")),
        report.at_most(f"{store}: requests while it is sent, p95", API_P95_MS, found("sending p95 ms")),
        report.at_most(f"{store}: first attempt of others, p50", FIRST_ATTEMPT_MS, found("first attempt ms")),
        report.at_most(f"{store}: last mail after the pause", PAUSED_S, found("paused s"), "s"),
        called_off,
    ]


def on(store: str, measure: Callable[[int, str | None], Sample], count: int) -> Sample:
    if store == "SQLite":
        return measure(count, None)
    with postgres.Cluster() as cluster:
        return measure(count, cluster.url)


def campaign(count: int, database_url: str | None) -> Sample:
    """By itself, from the request until the far end has it all."""
    sink_port = free_port()
    with (
        CountingSink(sink_port, count) as sink,
        Server(sink_port, database_url=database_url) as server,
        _world(server, count) as world,
    ):
        cpu, started = server.cpu_seconds(), time.monotonic()
        asked_at = clock.now_ms()
        world.act("send")
        answered = time.monotonic()
        ended = sink.wait(TIMEOUT_S)
        followed = server.wait_until_followed()
        return {
            "expanded s": (world.run().ended_at - asked_at) / 1000,
            "mails/s": count / (ended - started),
            "answered ms": (answered - started) * 1000,
            "followed s": followed - ended,
            "CPU us/mail": (server.cpu_seconds() - cpu) / count * 1e6,
        }


def bulk(count: int, database_url: str | None) -> Sample:
    """As many in requests of 10,000, one after the other."""
    sink_port = free_port()
    with CountingSink(sink_port, count) as sink, Server(sink_port, database_url=database_url) as server:
        cpu, started = server.cpu_seconds(), time.monotonic()
        parts = range(0, count, BULK_AT_ONCE)
        requests = (mail.bulk(server.key, first, min(BULK_AT_ONCE, count - first)) for first in parts)
        load.http(server.http_port, requests, 1)
        ended = sink.wait(TIMEOUT_S)
        followed = server.wait_until_followed()
        return {
            "mails/s": count / (ended - started),
            "followed s": followed - ended,
            "CPU us/mail": (server.cpu_seconds() - cpu) / count * 1e6,
        }


def beside(count: int, database_url: str | None) -> Sample:
    """With people at work, until a quarter is delivered; then paused, then cancelled."""
    sink_port = free_port()
    with (
        CountingSink(sink_port, 10 * count) as _,
        Server(sink_port, database_url=database_url) as server,
        _world(server, count) as world,
    ):
        people = People(world)
        making, sending = Load(), Load()
        world.act("send")
        while world.messages().get(Status.DELIVERED, 0) < count * DELIVERED_OF_FOUR // 4:
            people.work(making if world.run().ended_at is None else sending)
        paused_at = world.act("pause", CONSOLE)
        late, last_ms = _after(world, paused_at)
        asked_at = world.act("cancel")
        processes.wait_until(world.is_called_off, "calling off", timeout_s=TIMEOUT_S)
        called_off_s = (clock.now_ms() - asked_at) / 1000
        server.wait_until_followed()
        return {
            "making p95 ms": making.percentile(95),
            "sending p95 ms": sending.percentile(95),
            "requests": len(making.latencies_ms) + len(sending.latencies_ms),
            "first attempt ms": people.waits().percentile(50),
            "first attempt p95": people.waits().percentile(95),
            "late mails": late,
            "paused s": last_ms / 1000,
            "called off": world.agreed(people)[Status.CANCELLED],
            "called off s": called_off_s,
        }


@dataclass(slots=True)
class World:
    """A draft to a list of so many, on a running server, and the store behind it."""

    server: Server
    db: Database
    campaign: str  # its id as the dialect shows it

    @property
    def campaign_id(self) -> bytes:
        return path_id(Noun.CAMPAIGN, self.campaign)

    def act(self, verb: str, surface: str = NUDGE) -> int:
        """When it was answered, in ms."""
        key, name = self.server.keys["nudgecampaign"], self.campaign
        if surface == CONSOLE:  # no dialect can pause
            key, name = self.server.keys["console"], to_uuid(self.campaign_id)
        self.server.call("POST", f"{surface}/campaigns/{name}/{verb}", {}, key=key)
        return clock.now_ms()

    def run(self) -> AnyRow:
        return self.rows("SELECT ended_at, accepted FROM runs WHERE campaign_id = :campaign")[0]

    def messages(self) -> dict[Status, int]:
        found = self.rows(
            "SELECT status, count(*) FROM messages WHERE organization_id = 1 AND campaign_id = :campaign "
            "GROUP BY status"
        )
        return {Status(row[0]): row[1] for row in found}

    def is_called_off(self) -> bool:
        """Its job has ended, and nothing waits."""
        time.sleep(LOOK_S)
        working = self.rows("SELECT id FROM jobs WHERE kind LIKE 'campaign%' AND ended_at IS NULL")
        return not working and all(status.is_final for status in self.messages())

    def rows(self, statement: str, **values: Any) -> list[AnyRow]:
        def read(tx: Tx) -> list[AnyRow]:
            return list(tx.execute(text(statement), {"campaign": self.campaign_id, **values}))

        return self.db.read_now(read)

    def agreed(self, people: "People") -> dict[Status, int]:
        """Its messages by status; raises BadAnswer where the campaign, the API or the quota say otherwise."""
        found = self.messages()
        key = self.server.keys["nudgecampaign"]
        shown = self.server.call("GET", f"{NUDGE}/campaigns/{self.campaign}", key=key)
        delivered = shown["data"]["attributes"]["stats"]["delivered"]
        said = self.rows("SELECT accepted, status FROM campaigns WHERE id = :campaign")[0]
        used = self.rows("SELECT sum(messages) FROM usage WHERE organization_id = 1")[0][0]
        sent = found.get(Status.DELIVERED, 0)
        told = (delivered, *said, used)
        meant = (sent, sum(found.values()), "cancelled", sent + len(people.sent_at))
        if told != meant:
            raise BadAnswer(f"delivered, accepted, status, quota: {told}, but {meant} by {found}")
        return found


@dataclass(slots=True)
class People:
    """Whoever works while a campaign is sent: a look at all, a look at it, a single mail, again and again."""

    world: World
    sent_at: dict[str, int] = field(default_factory=dict)  # ms, by recipient
    _singles: Iterator[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._singles = mail.sends(self.world.server.key, 10**9, prefix=PROBE)

    def work(self, seen: Load) -> None:
        server = self.world.server
        headers = {"X-API-Key": server.keys["nudgecampaign"]}
        for path in (f"{NUDGE}/campaigns", f"{NUDGE}/campaigns/{self.world.campaign}"):
            seen.latencies_ms += load.http(server.http_port, iter([load.get(path, headers)]), 1).latencies_ms
        self.sent_at[f"{PROBE}{len(self.sent_at)}{RECIPIENT}"] = clock.now_ms()
        seen.latencies_ms += load.http(server.http_port, iter([next(self._singles)]), 1).latencies_ms
        time.sleep(PAUSE_S)

    def waits(self) -> Load:
        """From a single mail's request until its first attempt began."""
        found = self.world.rows(
            "SELECT m.recipient, a.started_at FROM messages m JOIN attempts a "
            "ON a.organization_id = m.organization_id AND a.message_id = m.id AND a.number = 1 "
            "WHERE m.organization_id = 1 AND m.campaign_id IS NULL"
        )
        if len(found) < len(self.sent_at):
            raise BadAnswer(f"{len(self.sent_at) - len(found)} single mails were never tried")
        return Load(latencies_ms=[row.started_at - self.sent_at[row.recipient] for row in found])


@contextmanager
def _world(server: Server, count: int) -> Iterator[World]:
    list_id = _fill(server, count)
    new = {
        "name": "Spring",
        "subject": mail.MERGED_SUBJECT,
        "html_content": mail.merged_html(),
        "from_email": SENDER,
        "recipient_list_id": list_id,
        "settings": {"auto_footer": False, "google_analytics": False},  # as a bulk send's mail
    }
    drawn = server.call("POST", f"{NUDGE}/campaigns", new, key=server.keys["nudgecampaign"])
    folder = server.settings["POSTRIDER_DATA_DIR"]
    db = Database(server.settings.get("POSTRIDER_DATABASE_URL") or f"sqlite:///{folder}/postrider.db")
    try:
        yield World(server, db, drawn["data"]["id"])
    finally:
        db.close()


def _fill(server: Server, count: int) -> str:
    """A list of so many contacts, imported as a file, and followed."""
    key = server.keys["nudgecampaign"]
    made = server.call("POST", f"{NUDGE}/lists", {"name": "News"}, key=key)
    list_id: str = made["data"]["id"]
    lines = (f"user{number}{RECIPIENT},Ann,A20\n" for number in range(count))
    mapping = {"email": 0, "first_name": 1, "custom_fields.code": 2}
    answer = httpx2.post(
        f"http://127.0.0.1:{server.http_port}{NUDGE}/contacts/import",
        headers={"X-API-Key": key},
        files={"file": ("contacts.csv", "".join(["email,name,code\n", *lines]))},
        data={"mapping": json.dumps(mapping), "list_id": list_id},
        timeout=TIMEOUT_S,
    )
    if answer.status_code != 201:
        raise BadAnswer(answer.text[:500])
    path = f"{NUDGE}/contacts/import/{answer.json()['data']['import_id']}"

    def is_done() -> bool:
        time.sleep(LOOK_S)
        told = server.call("GET", path, key=key)["data"]
        if told["failed"] or told["error"]:
            raise BadAnswer(str(told)[:500])
        return bool(told["status"] == "completed")

    processes.wait_until(is_done, "the import", timeout_s=TIMEOUT_S)
    server.wait_until_followed()
    return list_id


def _after(world: World, paused_at: int) -> tuple[int, int]:
    """How many mails of it went out after the pause was answered, and how many ms after it the last."""
    time.sleep(SETTLED_S)
    found = world.rows(
        "SELECT count(*), max(a.started_at + a.duration_ms) FROM messages m JOIN attempts a "
        "ON a.organization_id = m.organization_id AND a.message_id = m.id "
        "WHERE m.organization_id = 1 AND m.campaign_id = :campaign AND a.started_at + a.duration_ms > :at",
        at=paused_at,
    )[0]
    return found[0], found[1] - paused_at if found[0] else 0
