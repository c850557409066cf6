"""Followers: whoever must hear of events. One transaction applies all of them to a batch and drops its tail.

A batch that fails is halved until the one event that cannot be taken stands alone; it is parked with its
reason.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postrider.db.database import Database, Tx, Unavailable
from postrider.engine.journal import store
from postrider.engine.journal.model import Event

LEASE_AGAIN_S = 2.0  # how soon shards that others left become ours
BATCH = 400  # events of one transaction: what stays under 25 ms

Apply = Callable[[Tx, int, Sequence[Event]], None]


@dataclass(frozen=True, slots=True)
class Follower:
    """A name and what it does with a batch of one shard, in order."""

    name: str
    apply: Apply


class Dispatch:
    """Reads the tail of the shards this worker holds, and hands it to the followers in their order."""

    def __init__(self, db: Database, followers: Sequence[Follower], owner: str) -> None:
        self._db = db
        self._followers = followers
        self._owner = owner
        self._shards: list[int] = []
        self._lease_again_at = 0.0
        self.parked = 0

    async def once(self) -> int:
        """One round over our shards; answers how many events were taken."""
        if time.monotonic() >= self._lease_again_at:
            self._shards = await self._db.write(store.lease_shards, self._owner)
            self._lease_again_at = time.monotonic() + LEASE_AGAIN_S
        return await self.follow(self._shards)

    async def follow(self, shards: Sequence[int]) -> int:
        """Events that wait in some shards, BATCH at most."""
        batch = await self._db.read(store.read_tail, shards, BATCH)
        if batch:
            await self._take(batch)
        return len(batch)

    async def _take(self, batch: list[tuple[int, Event]]) -> None:
        try:
            await self._db.write(self._apply, batch)
        except Unavailable:
            raise
        except Exception as fault:
            if len(batch) == 1:
                await self._db.write(self._park, *batch[0], fault)
                self.parked += 1
                return
            half = len(batch) // 2
            await self._take(batch[:half])
            await self._take(batch[half:])

    def _apply(self, tx: Tx, batch: list[tuple[int, Event]]) -> None:
        by_shard: dict[int, list[Event]] = {}
        for shard, event in batch:
            by_shard.setdefault(shard, []).append(event)
        for shard, events in by_shard.items():
            for follower in self._followers:
                follower.apply(tx, shard, events)
        store.delete_tail(tx, [(shard, event.id) for shard, event in batch])

    def _park(self, tx: Tx, shard: int, event: Event, fault: Exception) -> None:
        store.park(tx, event, type(fault).__name__, str(fault))
        store.delete_tail(tx, [(shard, event.id)])
