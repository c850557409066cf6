"""The claim with a million mails queued, nine of ten behind one site that rests: its pace, and who waits.

No contents are loaded and nothing is sent; the rows go back after each run, so that every run finds them all.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryDirectory

import uvloop
from sqlalchemy import text

from bench import postgres, report
from bench.report import Options, Sample, Verdict
from postrider.db import migrate
from postrider.db.database import Database, Tx
from postrider.engine import messages
from postrider.engine.messages import Claimed, NewMessage, Role, Status, Stream, queue
from postrider.kit import clock
from postrider.kit.ids import new_id
from postrider.workers.deliver import HELD_MAX, HELD_PER_SITE_MIN, SITES_AT_ONCE

QUEUED = 1_000_000
RESTING_OF_TEN = 9
LARGE_OF_TEN = 8  # of those that are not resting: behind the large sites
ORGANIZATIONS = 1_000
SITES = 5_000
CLAIMED = 24_000
ROOM = 200  # a site that carries 200 mails a second
NEWCOMERS = 10  # how often somebody new comes, in a run
PORTION = 5_000  # rows of one insert
SMALL_LATER_MS = clock.MINUTE  # so that the large sites are leased first
OWNER = "bench"
RESTING = "resting.test"
CLAIMS_PER_S = 50_000
FIRST_ROW_MS = 50
CONTENT = new_id()  # contents are not read


def run(options: Options) -> list[Verdict]:
    """Rows claimed a second at large sites (as the worker does) and at small ones, and a newcomer's wait."""
    with ExitStack() as stack:
        stores = {"SQLite": f"sqlite:///{stack.enter_context(TemporaryDirectory())}/postrider.db"}
        if postgres.programs():
            stores["PostgreSQL"] = stack.enter_context(postgres.Cluster()).url
        worlds = {name: stack.enter_context(World(url)) for name, url in stores.items()}
        for name, world in worlds.items():
            seconds = world.fill(options.count(QUEUED))
            print(f"  {name}: {options.count(QUEUED):,} mails queued in {seconds:.1f} s", flush=True)
        contenders = {name: partial(measure, world, options.count(CLAIMED)) for name, world in worlds.items()}
        results = report.interleave(contenders, options.runs)
    report.print_medians(results)
    verdicts = []
    for name in results:
        rate = report.median(results, name, "rows/s")
        first_ms = report.median(results, name, "newcomer ms")
        verdicts.append(report.at_least(f"{name}: claim of {QUEUED:,} queued", CLAIMS_PER_S, rate, "rows/s"))
        verdicts.append(
            report.at_most(f"{name}: a newcomer's first row, worst of {NEWCOMERS}", FIRST_ROW_MS, first_ms)
        )
    return verdicts


def measure(world: "World", count: int) -> Sample:
    return uvloop.run(_measure(world, count))


@dataclass
class World:
    """`with World(url) as world:` a migrated store; `fill` it, then claim from it as one worker."""

    url: str
    due_at: int = field(default_factory=lambda: clock.now_ms() - clock.HOUR)
    newcomers: Iterator[int] = field(default_factory=lambda: itertools.count(ORGANIZATIONS + 1))

    def __enter__(self) -> "World":
        self.db = Database(self.url)
        migrate.upgrade(self.db)
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def fill(self, count: int) -> float:
        """Queue `count` mails; answers how many seconds it took."""
        started = time.monotonic()
        places = waiting(count)
        while portion := list(itertools.islice(places, PORTION)):
            self.db.write_now(queue_mails, portion, self.due_at)
        self.db.write_now(rest, RESTING)
        with self.db.engine.connect() as connection:
            connection.execute(text("ANALYZE"))  # as autovacuum does to a table that has grown
            connection.commit()
        return time.monotonic() - started


def waiting(count: int) -> Iterator[queue.Place]:
    """Nine of ten at the resting site; of the rest most at a few large sites, the others thinly spread."""
    streams = itertools.cycle(Stream)
    resting = count * RESTING_OF_TEN // 10
    large = (count - resting) * LARGE_OF_TEN // 10
    for number in range(large):
        organization = number % ORGANIZATIONS
        yield queue.Place(organization + 1, next(streams), large_site(organization))
    for number in range(count - resting - large):
        small = SITES_AT_ONCE + number % (SITES - SITES_AT_ONCE - 1)
        yield queue.Place(number % ORGANIZATIONS + 1, next(streams), f"small{small}.test")
    for number in range(resting):
        yield queue.Place(number % ORGANIZATIONS + 1, next(streams), RESTING)


def large_site(number: int) -> str:
    return f"large{number % SITES_AT_ONCE}.test"


def queue_mails(tx: Tx, places: Sequence[queue.Place], due_at: int) -> list[NewMessage]:
    """One mail at each place, due; those at small sites a little later."""
    lanes = queue.add_lanes(tx, places, lambda _: 20)
    new = [_mail(place, due_at + SMALL_LATER_MS * place[2].startswith("small")) for place in places]
    messages.insert_messages(tx, new, [lanes[place].id for place in places])
    queue.wake(tx, {lanes[place].id: mail.due_at or 0 for place, mail in zip(places, new, strict=True)})
    return new


def rest(tx: Tx, name: str) -> None:
    (lane,) = queue.add_lanes(tx, [queue.Place(1, Stream.TRANSACTIONAL, name)], lambda _: 20).values()
    queue.throttle(tx, lane.site_id, clock.now_ms() + clock.DAY, 1)


def _mail(place: queue.Place, due_at: int) -> NewMessage:
    organization_id, stream, site, _ = place
    message_id = new_id()
    return NewMessage(
        organization_id=organization_id,
        id=message_id,
        group_id=message_id,
        content_id=CONTENT,
        campaign_id=None,
        recipient=f"somebody@{site}",
        address_key=f"somebody@{site}",
        role=Role.TO,
        vars=None,
        stream=stream,
        declared_stream=stream,
        domain_id=CONTENT,
        created_at=due_at,
        due_at=due_at,
        is_test=False,
        status=Status.QUEUED,
    )


async def _measure(world: World, count: int) -> Sample:
    sites = await world.db.write(queue.lease_sites, OWNER, [], SITES_AT_ONCE)
    turns = itertools.cycle(sites)
    held: list[Claimed] = []
    started, started_cpu = time.perf_counter(), time.process_time()
    while len(held) < count:
        held += await _round(world, turns)
    seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
    sample = {"rows/s": len(held) / seconds, "CPU us/row": cpu / len(held) * 1e6}
    waits_ms = [await _newcomer_ms(world, turns, held) for _ in range(NEWCOMERS)]
    small, small_seconds = await _small_sites(world, count // 10)
    await _put_back(world, held, world.due_at)
    await _put_back(world, small, world.due_at + SMALL_LATER_MS)
    await world.db.write(queue.park, OWNER, [site.id for site in sites])
    return {**sample, "newcomer ms": max(waits_ms), "small sites rows/s": len(small) / small_seconds}


async def _round(world: World, turns: Iterator[queue.Site]) -> list[Claimed]:
    """As the worker's that holds nothing, while the next sites in turn have room."""
    ours = [site.id for site in itertools.islice(turns, HELD_MAX // ROOM)]
    _, claimed = await world.db.write(_claim, ours, 0, ROOM)
    if not claimed:
        raise AssertionError("the large sites ran dry: claim fewer, or queue more")
    return claimed


async def _newcomer_ms(world: World, turns: Iterator[queue.Site], held: list[Claimed]) -> float:
    """From handing in a mail of an organization new to the next site in turn, until it is claimed."""
    organization_id, site = next(world.newcomers), next(turns)
    place = queue.Place(organization_id, Stream.TRANSACTIONAL, site.name)
    started = time.perf_counter()
    await world.db.write(queue_mails, [place], clock.now_ms())
    ours = itertools.chain([site], turns)
    while True:
        claimed = await _round(world, ours)
        held += claimed
        if any(each.organization_id == organization_id for each in claimed):
            return (time.perf_counter() - started) * 1000


async def _small_sites(world: World, count: int) -> tuple[list[Claimed], float]:
    """Sites of a few mails, each in its own lane: leased, emptied and parked; and the seconds it took."""
    claimed: list[Claimed] = []
    started = time.perf_counter()
    while len(claimed) < count:
        sites, part = await world.db.write(_claim, [], SITES_AT_ONCE, HELD_PER_SITE_MIN)
        if not part:
            raise AssertionError("the small sites ran dry: claim fewer, or queue more")
        claimed += part
        await world.db.write(queue.park, OWNER, [site.id for site in sites])
    return claimed, time.perf_counter() - started


async def _put_back(world: World, claimed: list[Claimed], due_at: int) -> None:
    for start in range(0, len(claimed), HELD_MAX):
        await world.db.write(queue.put_back, claimed[start : start + HELD_MAX], OWNER, due_at)


def _claim(tx: Tx, ours: list[int], new_sites: int, room: int) -> tuple[list[queue.Site], list[Claimed]]:
    """The store's part of the worker's round, without loading what the claimed need."""
    sites = queue.lease_sites(tx, OWNER, ours, new_sites)
    return sites, [claimed for site in sites for claimed in queue.claim(tx, OWNER, site.id, room)]
