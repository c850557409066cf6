"""Keeps contacts true: their status to the entries on their addresses, their scores to the time that is, and
dynamic segments to whom they mean.
"""

from postrider.db.database import Database
from postrider.engine import accounts
from postrider.engine.audience import follow, segments
from postrider.engine.audience.follow import Place
from postrider.workers.loop import Loop

IDLE_S = 0.5
SEGMENTS_IDLE_S = 5.0
FADE_EVERY_S = 6 * 3_600.0
ORGANIZATIONS_AT_ONCE = 200


class Statuses:
    """One for the process; several nodes may do it at once, each mark is taken up by one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.loop = Loop("statuses", self.once, idle_s=IDLE_S)

    async def once(self) -> bool:
        """One portion; answers whether there may be more."""
        if not await self._db.read(follow.has_changes):
            return False
        return await self._db.write(follow.project) == follow.PROJECTED_AT_ONCE


class Scores:
    """One for the process; several nodes may do it at once, each finding what the others left."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.loop = Loop("scores", self.once, idle_s=FADE_EVERY_S)

    async def once(self) -> bool:
        """All organizations once, in short writes."""
        last = 0
        while ids := await self._db.read(accounts.organization_ids, last, ORGANIZATIONS_AT_ONCE):
            for organization_id in ids:
                place: Place | None = None
                while (place := await self._db.write(follow.fade, organization_id, place)) is not None:
                    if self.loop.stopping:
                        return False
            last = ids[-1]
        return False


class Segments:
    """One for the process; several nodes may do it at once, each segment is refreshed by one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.loop = Loop("segments", self.once, idle_s=SEGMENTS_IDLE_S)

    async def once(self) -> bool:
        """One segment; answers whether there may be more."""
        return await segments.refresh_due(self._db)
