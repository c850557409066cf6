"""Posts events to the endpoints that asked for them; each endpoint by itself, so that none delays another.

An endpoint is leased whole, served by a task of its own and given back. What does not come to its end (a
kill, a stop, a store that is gone) is posted again, with the same bytes.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog

from postrider.db.database import Database, Tx, Unavailable
from postrider.engine.webhooks import Attempt, Formats, deliver
from postrider.engine.webhooks.deliver import Leased, Post, Served, Settled
from postrider.kit import clock
from postrider.kit.gate import Gate
from postrider.kit.outgoing import Outgoing
from postrider.kit.seal import Sealer
from postrider.workers.loop import Loop
from postrider.workers.turns import Turns

IDLE_S = 0.25
REST_S = 0.02  # an endpoint that is leased a little later has more to be told at once
LEASED_AT_ONCE = 32
GATHERED_MAX = 16  # endpoints of one write: each has POSTS_AT_ONCE attempts at most
ENDPOINTS_MAX = 1_000  # that are served at one time
SETTLE_AGAIN_S = 1.0
FAULT_REST_MS = clock.MINUTE  # of an endpoint whose work we could not do
TIDY_EVERY_MS = clock.MINUTE
T = TypeVar("T")
R = TypeVar("R")
_log = structlog.get_logger("webhooks")


class Notify:
    """The notify worker of one process."""

    def __init__(
        self,
        db: Database,
        owner: str,
        formats: Formats,
        outgoing: Outgoing,
        sealer: Sealer,
        posted: Callable[[Sequence[Attempt]], None] = lambda attempts: None,
        disabled: Callable[[Tx, Leased, Sequence[Attempt]], object] = lambda tx, leased, attempts: None,
    ) -> None:
        self._db = db
        self._owner = owner
        self._formats = formats
        self._outgoing = outgoing
        self._sealer = sealer
        self._posted = posted
        self._disabled = disabled
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: list[Leased] = []  # whose task ended without settling
        self._tidied_at = 0
        self._turns = Turns()
        self._frozen = Gate(
            partial(self._write_all, _freeze_now), max_items=GATHERED_MAX, max_waiting=ENDPOINTS_MAX
        )
        self._settled = Gate(
            partial(self._write_all, self._settle_now), max_items=GATHERED_MAX, max_waiting=ENDPOINTS_MAX
        )
        self.loop = Loop("notify", self.once, idle_s=IDLE_S, rest_s=REST_S)

    async def once(self) -> bool:
        """Start on what is due, as far as there is room; answers whether there may be more."""
        await self._tidy()
        room = min(LEASED_AT_ONCE, ENDPOINTS_MAX - len(self._tasks))
        if room <= 0 or not await self._db.read(deliver.has_due):
            return False
        leased = await self._db.write(deliver.lease, self._owner, room)
        try:
            loaded = await self._db.read(deliver.load, leased, self._formats)
        except BaseException:
            self._left += leased
            raise
        for each in loaded:
            task = asyncio.get_running_loop().create_task(self._serve(each), name="notify endpoint")
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, each))
        return len(leased) == room

    async def drain(self) -> None:
        """Wait until every endpoint that is being served is given back."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def finish(self, timeout_s: float) -> None:
        """After the loop has ended: wait a while for what is under way, then let it go."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._frozen.drain()
        await self._settled.drain()

    async def _serve(self, leased: Leased) -> None:
        format_ = self._formats.get(leased.endpoint.format)
        if format_ is None or not leased.endpoint.is_active:
            await self._db.write(deliver.clear, self._owner, leased.endpoint, self._formats)
            return
        posts, unsayable = deliver.prepare(leased, format_)
        if posts:
            await self._frozen(posts)
        settling: asyncio.Task[bool] | None = None
        async with asyncio.TaskGroup() as settles:  # one portion is settled while the next is posted
            while True:
                portion, posts = posts[: deliver.POSTS_AT_ONCE], posts[deliver.POSTS_AT_ONCE :]
                attempts = await deliver.send(
                    self._outgoing, self._sealer, leased, format_, portion, self._turns
                )
                goes_on = settling is None or await settling
                is_taking = goes_on and any(attempt.is_success for attempt in attempts)
                is_last = not posts or not is_taking or self.loop.stopping
                served = Served(leased, format_, attempts, unsayable, is_last)
                settling, unsayable = settles.create_task(self._settle(served)), []
                if is_last:
                    return

    async def _settle(self, served: Served) -> bool:
        """Answers whether its endpoint takes further posts."""
        while True:
            try:
                settled = await self._settled(served)
                break
            except Unavailable:  # what was posted must not be posted again for that
                await asyncio.sleep(SETTLE_AGAIN_S)
        self._posted(served.attempts)
        if settled.is_disabled:
            endpoint = served.leased.endpoint
            _log.warning("webhook_disabled", organization=endpoint.organization_id, webhook=endpoint.id.hex())
        return settled.goes_on

    async def _write_all(
        self, function: Callable[[Tx, list[T]], Sequence[R]], gathered: list[T]
    ) -> list[R | Exception]:
        """In one write; where that cannot be, each by itself, so that a fault is one endpoint's only."""
        (results,) = await asyncio.gather(self._db.write(function, gathered), return_exceptions=True)
        if not isinstance(results, BaseException):
            return [*results]
        if len(gathered) == 1 or isinstance(results, Unavailable) or not isinstance(results, Exception):
            raise results
        each_alone = (self._db.write(function, [each]) for each in gathered)
        alone = await asyncio.gather(*each_alone, return_exceptions=True)
        return [_one(result) for result in alone]

    def _settle_now(self, tx: Tx, gathered: Sequence[Served]) -> list[Settled]:
        settled = deliver.settle(tx, self._owner, gathered)
        for each, (is_disabled, _) in zip(gathered, settled, strict=True):
            if is_disabled:
                self._disabled(tx, each.leased, each.attempts)
        return settled

    def _ended(self, leased: Leased, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (fault := task.exception()) is None:
            self.loop.wake()
            return
        self._left.append(leased)
        _log.error("webhook_fault", webhook=leased.endpoint.id.hex(), exc_info=fault)

    async def _tidy(self) -> None:
        """Give back what was left, and drop what the log kept long enough."""
        now = clock.now_ms()
        if self._left:
            left = list(self._left)
            await self._db.write(deliver.give_back, self._owner, left, now + FAULT_REST_MS)
            self._left = [each for each in self._left if each not in left]
        is_time = now - self._tidied_at >= TIDY_EVERY_MS
        if is_time and not await self._db.write(deliver.drop_old_log):  # else there may be more: next round
            self._tidied_at = now


def _freeze_now(tx: Tx, gathered: Sequence[Sequence[Post]]) -> list[None]:
    deliver.freeze(tx, [post for posts in gathered for post in posts])
    return [None] * len(gathered)


def _one(result: Sequence[R] | BaseException) -> R | Exception:
    if not isinstance(result, BaseException):
        return result[0]
    if not isinstance(result, Exception):
        raise result
    return result
