"""Counts the contacts of large organizations, for the reports that tell of all of them at once."""

from postrider.db.database import Database
from postrider.engine import accounts
from postrider.engine.insight import account
from postrider.kit import clock
from postrider.workers.loop import Loop

EVERY_S = 3_600.0
FRESH_MS = 45 * clock.MINUTE  # what another node took so lately is not taken again
ORGANIZATIONS_AT_ONCE = 200


class Censuses:
    """One for the process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.loop = Loop("censuses", self.once, idle_s=EVERY_S)

    async def once(self) -> bool:
        """All large organizations once, each in short reads and one write; killed, it begins anew."""
        last = 0
        while ids := await self._db.read(accounts.organization_ids, last, ORGANIZATIONS_AT_ONCE):
            for organization_id in ids:
                if not await self._take(organization_id):
                    return False
            last = ids[-1]
        return False

    async def _take(self, organization_id: int) -> bool:
        """Whether the round may go on."""
        if not await self._db.read(account.is_large, organization_id):
            return True
        taken_at = await self._db.read(account.taken_at, organization_id)
        if taken_at is not None and clock.now_ms() - taken_at < FRESH_MS:
            return True
        count = account.begin()
        while await self._db.read(account.go_on, organization_id, count):
            if self.loop.stopping:
                return False
        await self._db.write(account.keep, organization_id, count)
        return True
