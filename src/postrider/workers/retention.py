"""What goes after its time: bodies, attachments, events beyond the plan, captured mail beyond the newest.

Once an hour, organization by organization, in short writes; a kill loses nothing but the place in the round.
"""

from collections.abc import Callable

import structlog

from postrider.db.database import Database, Tx
from postrider.engine import accounts, journal
from postrider.engine.accounts import PLANS
from postrider.engine.delivery import control
from postrider.engine.messages import queue, retention
from postrider.kit import clock
from postrider.kit.ids import RowId
from postrider.workers.loop import Loop

EVERY_S = 3_600.0
ORGANIZATIONS_AT_ONCE = 200
SESSIONS_KEPT_MS = clock.DAY  # after they ran out, so that they can be told from those that never were

_log = structlog.get_logger("retention")


class Retention:
    """One for the process; several nodes may do it at once, each finding what the others left."""

    def __init__(self, db: Database, *, body_kept_ms: int) -> None:
        self._db = db
        self._body_kept_ms = body_kept_ms
        self.loop = Loop("retention", self._round, idle_s=EVERY_S)

    async def _round(self) -> bool:
        """Everything once."""
        dropped = {
            "attachments": await self._until_none(retention.drop_attachments, self._body_kept_ms),
            "sessions": await self._until_none(_drop_sessions),
            "domain_sites": await self._until_none(queue.forget_domains),
        }
        last = 0
        while ids := await self._db.read(accounts.organization_ids, last, ORGANIZATIONS_AT_ONCE):
            for organization_id in ids:
                await self._of_organization(organization_id, dropped)
            last = ids[-1]
        if any(dropped.values()):
            _log.info("dropped", **dropped)
        return False

    async def _of_organization(self, organization_id: int, dropped: dict[str, int]) -> None:
        steps = (("bodies", self._bodies), ("captured", self._captured), ("events", self._events))
        for name, step in steps:
            dropped[name] = dropped.get(name, 0) + await step(organization_id)

    async def _captured(self, organization_id: int) -> int:
        return await self._until_none(control.trim_captured, organization_id)

    async def _bodies(self, organization_id: int) -> int:
        after: RowId | None = b""
        dropped = 0
        while after is not None:
            page = await self._db.write(retention.drop_bodies, organization_id, after, self._body_kept_ms)
            dropped, after = dropped + page.dropped, page.last
        return dropped

    async def _events(self, organization_id: int) -> int:
        organization = await self._db.read(accounts.organization, organization_id)
        if organization is None:
            return 0
        kept_ms = PLANS[organization.plan].event_retention_days * clock.DAY
        return await self._until_none(journal.drop_old, organization_id, kept_ms)

    async def _until_none(self, drop: Callable[..., int], *facts: object) -> int:
        """Run a step that drops a few rows until it finds no more."""
        dropped = 0
        while count := await self._db.write(drop, *facts):
            dropped += count
        return dropped


def _drop_sessions(tx: Tx) -> int:
    return accounts.purge_sessions(tx, clock.now_ms() - SESSIONS_KEPT_MS)
