"""Runs imports and exports on the files of this node's folder, and clears away what has had its time."""

import time

import structlog

from postrider.db.database import Database, Tx, Unavailable
from postrider.engine import accounts, jobs
from postrider.engine.audience.transfer import Folder, exports, imports, tidy
from postrider.engine.jobs import Job
from postrider.workers.loop import Loop

IDLE_S = 0.5
TURN_S = 5.0  # of one job, before others come
TIDY_EVERY_S = 600.0
ORGANIZATIONS_AT_ONCE = 200
FAULT = "A page could not be worked on; the log says why"
_log = structlog.get_logger("transfers")


class Transfers:
    """One for the process; it holds one job at a time."""

    def __init__(self, db: Database, owner: str, folder: Folder) -> None:
        self._db = db
        self._owner = owner
        self._folder = folder
        self._held: Job | None = None  # of a round that did not come to its end
        self._is_to_blame = False  # that job, and not the store
        self._tidied_at = -TIDY_EVERY_S
        self.loop = Loop("transfers", self._once, idle_s=IDLE_S)

    async def _once(self) -> bool:
        await self._let_go()
        importing, exporting = (imports.kind_in(module.KIND, self._folder) for module in (imports, exports))
        job = await self._db.write(jobs.claim_job, self._owner, (importing, exporting))
        if job is None:
            await self._tidy()
            return False
        self._held, self._is_to_blame = job, True
        until = time.monotonic() + TURN_S
        run = imports.run_import if job.kind == importing else exports.run_export
        try:
            await run(
                self._db,
                job,
                self._owner,
                self._folder,
                lambda: self.loop.stopping or time.monotonic() > until,
            )
        except Unavailable:
            self._is_to_blame = False
            raise
        self._held = None
        return True

    async def _let_go(self) -> None:
        """A job that failed in the round before is tried again later, until it is given up."""
        if self._held is None:
            return
        if not self._is_to_blame:
            await self._db.write(jobs.pass_on, self._held, self._owner)
        elif await self._db.write(_give_back, self._held, self._owner):
            _log.error("transfer_given_up", job=self._held.id.hex(), kind=self._held.kind)
        self._held = None

    async def _tidy(self) -> None:
        if time.monotonic() - self._tidied_at < TIDY_EVERY_S:
            return
        self._tidied_at = time.monotonic()
        dropped = {
            "exports": await tidy.drop_expired(self._db, self._folder),
            "files": await tidy.drop_orphans(self._db, self._folder),
            "imports": 0,
        }
        last = 0
        while ids := await self._db.read(accounts.organization_ids, last, ORGANIZATIONS_AT_ONCE):
            for organization_id in ids:
                dropped["imports"] += await tidy.drop_old_imports(self._db, organization_id)
            last = ids[-1]
        if any(dropped.values()):
            _log.info("dropped", **dropped)


def _give_back(tx: Tx, job: Job, owner: str) -> bool:
    """Whether it was given up for good; then the import or export has failed too."""
    if not jobs.give_back(tx, job, owner, FAULT):
        return False
    (imports.end if job.kind.startswith(imports.KIND) else exports.end)(tx, job, owner, FAULT)
    return True
