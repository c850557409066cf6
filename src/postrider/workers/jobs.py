"""Runs long work page by page: a page's rows and the job's new position are one transaction."""

from collections.abc import Callable, Mapping

import structlog

from postrider.db.database import Database, Tx, Unavailable
from postrider.engine import jobs
from postrider.engine.jobs import Job
from postrider.workers.loop import Loop

IDLE_S = 1.0
Handler = Callable[[Tx, Job], int]
_log = structlog.get_logger("jobs")


class JobLost(Exception):
    """Another worker holds the job by now: what this page did is undone."""


class Jobs:
    """The jobs worker of one process; `handlers` by the job's kind."""

    def __init__(
        self, db: Database, owner: str, handlers: Mapping[str, Handler], on_page: Callable[[], None]
    ) -> None:
        self._db = db
        self._owner = owner
        self._handlers = handlers
        self._on_page = on_page
        self.loop = Loop("jobs", self._once, idle_s=IDLE_S)

    async def _once(self) -> bool:
        job = await self._db.write(jobs.claim_job, self._owner)
        if job is None:
            return False
        try:
            await self._db.write(self._run_page, job)
        except Unavailable:
            raise
        except Exception as fault:
            _log.exception("job_page_failed", job=job.id.hex(), kind=job.kind, page=job.position)
            await self._db.write(jobs.give_back, job, self._owner, f"{type(fault).__name__}: {fault}")
            return True
        self._on_page()
        return True

    def _run_page(self, tx: Tx, job: Job) -> None:
        self._handlers[job.kind](tx, job)
        if not jobs.finish_page(tx, job, self._owner):
            raise JobLost
