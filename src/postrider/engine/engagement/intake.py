"""Takes hits in: a pixel or a redirect is answered at once, its row follows with the next write, in 50 ms."""

import asyncio

from postrider.db.database import Database, Unavailable
from postrider.engine.engagement import store
from postrider.engine.engagement.model import Hit

FLUSH_S = 0.02
WAITING_MAX = 50_000
AT_ONCE = 1_000


class Intake:
    """One for the process; `lost` counts hits dropped because the store could not take them in time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[Hit] = []
        self._flushing: asyncio.Task[None] | None = None
        self.lost = 0

    def add(self, hit: Hit) -> None:
        """Returns at once; the hit is on disk within 50 ms where the store keeps up."""
        if len(self._waiting) >= WAITING_MAX:
            self.lost += 1
            return
        self._waiting.append(hit)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def drain(self, timeout_s: float) -> None:
        """Wait until what was taken in is on disk; a store that is gone is not waited for longer."""
        if self._flushing is not None:
            await asyncio.wait([self._flushing], timeout=timeout_s)

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(FLUSH_S)
                batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                try:
                    await self._db.write_first(store.insert_hits, batch)
                except Unavailable:  # kept for the next round, as far as there is room
                    self._waiting = batch + self._waiting
        finally:
            self._flushing = None
