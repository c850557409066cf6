"""Hands events to the followers, and turns hits into events once their window is over."""

from collections.abc import Sequence

from postrider.db.database import Database
from postrider.engine import engagement
from postrider.engine.engagement import Sources
from postrider.engine.journal.follow import BATCH, Dispatch, Follower
from postrider.workers.loop import Loop

IDLE_S = 0.25
REST_S = 0.05  # events come in crowds: a batch of many costs little more than one


class Follow:
    """The follow worker of one process."""

    def __init__(self, db: Database, owner: str, followers: Sequence[Follower], sources: Sources) -> None:
        self._db = db
        self._sources = sources
        self.dispatch = Dispatch(db, followers, owner)
        self.loop = Loop("follow", self._once, idle_s=IDLE_S, rest_s=REST_S)
        self.followed = 0

    async def _once(self) -> bool:
        recorded = 0
        if await self._db.read(engagement.due_hits, self._sources):
            recorded = await self._db.write(engagement.record_hits, self._sources)
        taken = await self.dispatch.once()
        self.followed += taken
        return taken >= BATCH or recorded >= engagement.HITS_AT_ONCE
