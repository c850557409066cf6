"""Leases sites, claims their due messages, and keeps each site's connections busy within its limits.

A connection sends its next body only when its previous outcome is committed: a kill repeats one message per
open connection at most.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import structlog

from postrider.db.database import Database, Tx, Unavailable
from postrider.engine.delivery.attempt import Workshop, attempt
from postrider.engine.delivery.couriers import Courier
from postrider.engine.delivery.load import Library, Loaded, load
from postrider.engine.delivery.model import Job, Moved, Outcome, Result, Verdict
from postrider.engine.delivery.reroute import reroute
from postrider.engine.delivery.settle import settle
from postrider.engine.messages import Claimed, queue
from postrider.engine.sending import campaigns
from postrider.engine.sending.routes import ASKED, Routes
from postrider.kit import clock
from postrider.kit.gate import Gate
from postrider.kit.ids import RowId
from postrider.workers.loop import Loop

SITES_AT_ONCE = 64
HELD_MAX = 2_000  # claimed and not settled, over all sites
HELD_PER_SITE_MIN = 40
IDLE_S = 0.5
REST_S = 0.004  # between two claims: what comes meanwhile is claimed together
IDLE_COURIER_S = 10.0  # an unused connection is closed after this
SITE_KEPT_S = 2.0  # a site without mail stays ours this long
SETTLE_MAX = 200
LINGER_S = 0.003
SETTLE_PAUSE_S = 1.0  # between tries to settle while the store is away
BACK_OFF_S = (5, 15, 30, 60, 120, 300, 600, 900)  # after so many connection failures in a row

_log = structlog.get_logger("deliver")
T = TypeVar("T")

CourierFactory = Callable[[str], Courier]  # by the site's name
Observe = Callable[[str, Claimed, Outcome], None]


@dataclass(slots=True)
class Runner:
    """One leased site: what waits for a connection, and the couriers that carry."""

    site: queue.Site
    waiting: asyncio.Queue[Job | None] = field(default_factory=asyncio.Queue)  # None ends a courier
    couriers: set[asyncio.Task[None]] = field(default_factory=set)
    held: int = 0
    carried: int = 0  # since `counted_at`
    counted_at: float = field(default_factory=time.monotonic)
    per_s: float = 0.0
    next_start: float = 0.0  # pacing: when the next attempt may start
    idle_since: float | None = None
    throttled: bool = False

    def room(self) -> int:
        """How many more to claim: a second's work at the pace of the last seconds, the held ones counted."""
        if self.throttled:
            return 0
        second = max(HELD_PER_SITE_MIN, self.site.max_connections * 2, int(self.per_s))
        if self.site.rate_per_s is not None:
            second = min(second, max(1, int(self.site.rate_per_s)))
        return second - self.held

    def close(self) -> list[Job]:
        """No further job: the couriers end after the one they carry; answers the jobs nobody carried."""
        self.throttled = True
        left = []
        while not self.waiting.empty():
            if (job := self.waiting.get_nowait()) is not None:
                left.append(job)
        for _ in self.couriers:
            self.waiting.put_nowait(None)
        return left

    def is_idle(self, now: float) -> bool:
        """Nothing came for a while; a site that only asks the DNS makes room for the next at once."""
        kept_s = 0.0 if self.site.name.startswith(ASKED) else SITE_KEPT_S
        return self.idle_since is not None and now - self.idle_since > kept_s

    def measure(self, now: float) -> None:
        if now - self.counted_at >= 1.0:
            self.per_s = self.carried / (now - self.counted_at)
            self.carried, self.counted_at = 0, now


class Deliver:
    """The deliver worker of one process."""

    def __init__(
        self,
        db: Database,
        owner: str,
        workshop: Workshop,
        make_courier: CourierFactory,
        routes: Routes,
        observe: Observe,
        on_settled: Callable[[], None],
    ) -> None:
        self._db = db
        self._owner = owner
        self._workshop = workshop
        self._make_courier = make_courier
        self._routes = routes
        self._observe = observe
        self._on_settled = on_settled
        self._library = Library(workshop.sealer)
        self._runners: dict[int, Runner] = {}
        self._in_hand: set[RowId] = set()  # claimed, and neither settled nor given back
        self._unsure = False  # a write failed: rows may bear our name that are not in hand
        self._settle: Gate[Result, bool] = Gate(
            self._settle_batch,
            max_items=SETTLE_MAX,
            max_waiting=HELD_MAX * 2,
            max_running=2,
            linger_s=LINGER_S,
        )
        self._reroute: Gate[Moved, None] = Gate(
            self._reroute_batch, max_items=SETTLE_MAX, max_waiting=HELD_MAX * 2, linger_s=LINGER_S
        )
        self.loop = Loop("deliver", self._once, idle_s=IDLE_S, rest_s=REST_S)

    @property
    def held(self) -> int:
        return sum(runner.held for runner in self._runners.values())

    async def finish(self, timeout_s: float) -> None:
        """After the loop has stopped: give back what waits, let what is under way end, free the sites."""
        waiting = [job.claimed for runner in self._runners.values() for job in runner.close()]
        tasks = [task for runner in self._runners.values() for task in runner.couriers]
        await self._db.write(queue.put_back, waiting, self._owner, clock.now_ms())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._settle.drain()
        await self._reroute.drain()
        await self._db.write(queue.park, self._owner, list(self._runners))

    async def _once(self) -> bool:
        if self._unsure:
            self._unsure = False
            await self._surely(self._db.write(queue.return_unheld, self._owner, frozenset(self._in_hand)))
        return await self._surely(self._round())

    async def _surely(self, work: Awaitable[T]) -> T:
        """What fails here may have left rows with our name: the next round gives them back."""
        try:
            return await work
        except BaseException:
            self._unsure = True
            raise

    async def _round(self) -> bool:
        now = time.monotonic()
        for runner in self._runners.values():
            runner.measure(now)
        places = {
            site_id: room
            for site_id, runner in self._runners.items()
            if (room := runner.room()) >= self._worth(runner)
        }
        budget = HELD_MAX - self.held
        if budget <= 0:
            return False
        new_sites = SITES_AT_ONCE - len(self._runners)
        claimed, loaded = await self._db.write(
            _claim_round, self._owner, places, budget, new_sites, self._library.known
        )
        await self._start(claimed, loaded)
        await self._park_idle(now)
        return any(jobs for _, jobs in claimed)

    def _worth(self, runner: Runner) -> int:
        """Claim when half of a second's work is gone, so that claims stay few and large."""
        return 1 if runner.held == 0 else max(1, (runner.room() + runner.held) // 2)

    async def _start(
        self, claimed: Sequence[tuple[queue.Site, list[Claimed]]], loaded: Loaded | None
    ) -> None:
        for site, part in claimed:
            runner = self._runners.setdefault(site.id, Runner(site))
            runner.site = site
            runner.idle_since = None if part else runner.idle_since or time.monotonic()
        if loaded is None:
            return
        for site, part in claimed:
            runner = self._runners[site.id]
            jobs = self._library.jobs(part, loaded)
            runner.held += len(jobs)
            self._in_hand.update(job.claimed.id for job in jobs)
            for job in jobs:
                runner.waiting.put_nowait(job)
            wanted = min(runner.site.max_connections, runner.waiting.qsize() + len(runner.couriers))
            while len(runner.couriers) < wanted:
                task = asyncio.get_running_loop().create_task(self._carry(runner))
                runner.couriers.add(task)
                task.add_done_callback(runner.couriers.discard)
                task.add_done_callback(self._ended)
            if len(jobs) < len(part):
                await self._give_back([each for each in part if each.id not in self._in_hand])

    async def _carry(self, runner: Runner) -> None:
        """One connection's life: job after job, until there is none for a while."""
        courier = self._make_courier(runner.site.name)
        try:
            while (job := await self._next(runner)) is not None:
                try:
                    await self._surely(self._try(runner, job, courier))
                except Unavailable as lost:
                    _log.warning("store_unavailable", site=runner.site.name, reason=str(lost))
                finally:
                    self._in_hand.discard(job.claimed.id)
                    runner.held -= 1
                if runner.held <= runner.site.max_connections:
                    self.loop.wake()
        finally:
            await courier.close()

    def _ended(self, courier: asyncio.Task[None]) -> None:
        """A courier that died of a fault is told; its message is given back, its place taken by another."""
        if not courier.cancelled() and (fault := courier.exception()) is not None:
            _log.error("courier_fault", exc_info=fault)
            self.loop.wake()

    async def _try(self, runner: Runner, job: Job, courier: Courier) -> None:
        result = await attempt(job, courier, self._workshop)
        runner.carried += 1
        await self._after(runner, result)

    async def _next(self, runner: Runner) -> Job | None:
        try:
            job = runner.waiting.get_nowait()
        except asyncio.QueueEmpty:
            if runner.throttled:
                return None
            try:
                async with asyncio.timeout(IDLE_COURIER_S):
                    job = await runner.waiting.get()
            except TimeoutError:
                return None
        if job is None:
            return None
        if runner.site.rate_per_s is not None:
            await self._pace(runner, runner.site.rate_per_s)
        return job

    async def _pace(self, runner: Runner, rate_per_s: float) -> None:
        """The site's rate, exact because the site is ours alone."""
        now = time.monotonic()
        start = max(now, runner.next_start)
        runner.next_start = start + 1 / rate_per_s
        if start > now:
            await asyncio.sleep(start - now)

    async def _after(self, runner: Runner, result: Result | Moved) -> None:
        if isinstance(result, Moved):
            await self._reroute(result)
            return
        job, outcome = result.job, result.outcome
        self._observe(runner.site.name, job.claimed, outcome)
        if outcome.verdict is Verdict.UNREACHABLE and clock.now_ms() - job.claimed.created_at < TOO_OLD_MS:
            await self._give_back([job.claimed])
            await self._throttle(runner, outcome)
            return
        await self._settle_surely(result)
        if runner.site.failures and outcome.ip is not None and not runner.throttled:
            runner.site = replace(runner.site, failures=0)  # somebody answers again
            await self._db.write(queue.throttle, runner.site.id, 0, 0)
        if outcome.back_off_s:
            await self._throttle(runner, outcome)

    async def _settle_surely(self, result: Result) -> None:
        """An outcome is never forgotten while this process lives: the store may be away for a while."""
        while True:
            try:
                await self._settle(result)
                self._in_hand.discard(result.job.claimed.id)
                return
            except Unavailable:
                await asyncio.sleep(SETTLE_PAUSE_S)

    async def _settle_batch(self, results: list[Result]) -> list[bool | Exception]:
        kept: set[RowId] = await self._db.write(settle, results, self._owner)
        self._on_settled()
        return [result.job.claimed.id in kept for result in results]

    async def _reroute_batch(self, moved: list[Moved]) -> list[Exception | None]:
        await self._db.write(reroute, moved, self._owner, self._routes)
        self._in_hand.difference_update(each.job.claimed.id for each in moved)
        self.loop.wake()
        return [None] * len(moved)

    async def _give_back(self, claimed: list[Claimed]) -> None:
        self._in_hand.difference_update(each.id for each in claimed)
        await self._db.write(queue.put_back, claimed, self._owner, clock.now_ms())

    async def _throttle(self, runner: Runner, outcome: Outcome) -> None:
        """Rest the whole site: one row; what we hold of it goes back untried."""
        if runner.throttled:
            return
        failures = runner.site.failures + 1
        rest_s = outcome.back_off_s or BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1]
        _log.warning(
            "site_rests", site=runner.site.name, seconds=rest_s, code=outcome.code, reply=outcome.reply
        )
        waiting = [job.claimed for job in runner.close()]
        runner.held -= len(waiting)
        self._in_hand.difference_update(each.id for each in waiting)
        await self._db.write(
            _throttle, runner.site.id, clock.now_ms() + rest_s * clock.SECOND, failures, waiting, self._owner
        )

    async def _park_idle(self, now: float) -> None:
        idle = [
            site_id
            for site_id, runner in self._runners.items()
            if runner.held == 0 and (runner.throttled or runner.is_idle(now))
        ]
        if idle:
            await self._db.write(queue.park, self._owner, idle)
            for site_id in idle:
                self._runners.pop(site_id).close()


TOO_OLD_MS = 48 * clock.HOUR  # waiting for a site at which nobody answers


def _claim_round(
    tx: Tx,
    owner: str,
    places: dict[int, int],
    budget: int,
    new_sites: int,
    known: Callable[[Sequence[Claimed]], frozenset[RowId]],
) -> tuple[list[tuple[queue.Site, list[Claimed]]], Loaded | None]:
    """Claim for the sites that have room, lease a few more, and load what the claimed need."""
    claimed: list[tuple[queue.Site, list[Claimed]]] = []
    for site in queue.lease_sites(tx, owner, list(places), max(0, new_sites)):
        room = min(places.get(site.id, HELD_PER_SITE_MIN), budget)
        # A site leased without room is answered too: it is ours, and must be served or parked later.
        taken = queue.claim(tx, owner, site.id, room) if room > 0 else []
        budget -= len(taken)
        claimed.append((site, taken))
    everything = [each for _, part in claimed for each in part]
    if stopped := campaigns.halt(tx, everything, owner):
        claimed = [(site, [each for each in part if each.id not in stopped]) for site, part in claimed]
        everything = [each for each in everything if each.id not in stopped]
    return claimed, load(tx, everything, known(everything)) if everything else None


def _throttle(tx: Tx, site_id: int, until: int, failures: int, waiting: list[Claimed], owner: str) -> None:
    queue.throttle(tx, site_id, until, failures)
    queue.put_back(tx, waiting, owner, clock.now_ms())
