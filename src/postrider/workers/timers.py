"""What time brings: the heartbeat, the burial of dead workers, and the tidying of what expired."""

import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from postrider.db import lease
from postrider.db.database import Database, Tx
from postrider.engine import accounts, jobs, journal, sending, suppression, webhooks
from postrider.engine.accounts import Keyring
from postrider.engine.messages import queue
from postrider.workers.loop import Loop

TICK_S = 1.0
_log = structlog.get_logger("timers")


def release(tx: Tx, dead: Sequence[str]) -> int:
    """Free everything dead workers held; answers how many messages go out again."""
    if not dead:
        return 0
    journal.release_shards(tx, dead)
    jobs.release_dead(tx, dead)
    webhooks.release_dead(tx, dead)
    return queue.release_dead(tx, dead)


class Timers:
    """The timers worker of one process. `on_lost`: our own lease has ended, so others hold our work."""

    def __init__(
        self, db: Database, worker: lease.Worker, keyring: Keyring, on_lost: Callable[[], None]
    ) -> None:
        self._db = db
        self._worker = worker
        self._keyring = keyring
        self._on_lost = on_lost
        self._last: dict[str, float] = {}
        self._timers: tuple[tuple[str, float, Callable[[], Awaitable[None]]], ...] = (
            ("heartbeat", lease.HEARTBEAT_MS / 1000, self._beat),
            ("bury", 10, self._bury),
            ("touch", 15, self._touch),
            ("purge", 60, self._purge),
            ("expire", 30, self._expire),
        )
        self.loop = Loop("timers", self._once, idle_s=TICK_S)

    async def _once(self) -> bool:
        now = time.monotonic()
        for name, every_s, run in self._timers:
            if now - self._last.get(name, now - every_s) >= every_s:
                await run()
                self._last[name] = now  # only now: what failed is due again at once
        return False

    async def _beat(self) -> None:
        if not await self._db.write(lease.renew, self._worker):
            _log.error("lease_lost", worker=self._worker.id)
            self._on_lost()

    async def _bury(self) -> None:
        freed = await self._db.write(_bury)
        if freed:
            _log.warning("dead_worker_buried", messages=freed)

    async def _touch(self) -> None:
        if used := self._keyring.take_used():
            await self._db.write(accounts.touch_credentials, used)

    async def _purge(self) -> None:
        while await self._db.write(sending.purge_keys) >= sending.PURGE_AT_ONCE:
            continue

    async def _expire(self) -> None:
        while await self._db.write(suppression.drop_expired) >= suppression.EXPIRED_AT_ONCE:
            continue


def _bury(tx: Tx) -> int:
    return release(tx, lease.bury(tx))
