"""Posts events to the endpoints that asked for them; each endpoint by itself, so that none delays another.

An endpoint is leased whole, served by a task of its own and given back. What does not come to its end (a
kill, a stop, a store that is gone) is posted again, with the same bytes.
"""

import asyncio
from functools import partial

import structlog

from postrider.db.database import Database, Unavailable
from postrider.engine.webhooks import Formats, deliver
from postrider.engine.webhooks.deliver import Leased
from postrider.kit import clock
from postrider.kit.outgoing import Outgoing
from postrider.kit.seal import Sealer
from postrider.workers.loop import Loop

IDLE_S = 0.25
LEASED_AT_ONCE = 32
ENDPOINTS_MAX = 1_000  # that are served at one time
SETTLE_AGAIN_S = 1.0
FAULT_REST_MS = clock.MINUTE  # of an endpoint whose work we could not do
TIDY_EVERY_MS = clock.MINUTE
_log = structlog.get_logger("webhooks")


class Notify:
    """The notify worker of one process."""

    def __init__(
        self, db: Database, owner: str, formats: Formats, outgoing: Outgoing, sealer: Sealer
    ) -> None:
        self._db = db
        self._owner = owner
        self._formats = formats
        self._outgoing = outgoing
        self._sealer = sealer
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: list[Leased] = []  # whose task ended without settling
        self._tidied_at = 0
        self.loop = Loop("notify", self.once, idle_s=IDLE_S)

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

    async def _serve(self, leased: Leased) -> None:
        format_ = self._formats.get(leased.endpoint.format)
        if format_ is None or not leased.endpoint.is_active:
            await self._db.write(deliver.clear, self._owner, leased.endpoint, self._formats)
            return
        posts, unsayable = deliver.prepare(leased, format_)
        if posts:
            await self._db.write(deliver.freeze, posts)
        attempts = await deliver.send(self._outgoing, self._sealer, leased, format_, posts)
        settle = partial(
            deliver.settle,
            owner=self._owner,
            leased=leased,
            format_=format_,
            attempts=attempts,
            unsayable=unsayable,
        )
        while True:
            try:
                disabled = await self._db.write(settle)
                break
            except Unavailable:  # what was posted must not be posted again for that
                await asyncio.sleep(SETTLE_AGAIN_S)
        if disabled:
            endpoint = leased.endpoint
            _log.warning("webhook_disabled", organization=endpoint.organization_id, webhook=endpoint.id.hex())

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
        if now - self._tidied_at >= TIDY_EVERY_MS:
            await self._db.write(deliver.drop_old_log)
            self._tidied_at = now
