"""Runs long work page by page: a page's rows and the job's new position are one transaction."""

import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from postrider.db.database import Database, Tx, Unavailable
from postrider.engine import jobs
from postrider.engine.jobs import Job
from postrider.workers.loop import Loop

IDLE_S = 1.0
TURN_S = 5.0  # of a job without pages, before others come
Handler = Callable[[Tx, Job], int]
# (store, job, owner, is_over): asked after each of its writes whether the job's turn has ended
Runner = Callable[[Database, Job, str, Callable[[], bool]], Awaitable[None]]
Step = Callable[[Tx, Job, str], Job | None]  # a slice of work; None when it is done
_log = structlog.get_logger("jobs")


class JobLost(Exception):
    """Another worker holds the job by now: what this page did is undone."""


class Jobs:
    """The jobs worker of one process: by the job's kind `handlers` of pages, `runners` of work without."""

    def __init__(
        self,
        db: Database,
        owner: str,
        handlers: Mapping[str, Handler],
        on_page: Callable[[], None],
        runners: Mapping[str, Runner] | None = None,
    ) -> None:
        self._db = db
        self._owner = owner
        self._handlers = handlers
        self._on_page = on_page
        self._runners = runners or {}
        self._held: Job | None = None  # of a round in which the store was lost
        self.loop = Loop("jobs", self._once, idle_s=IDLE_S)

    async def _once(self) -> bool:
        if self._held is not None:
            await self._db.write(jobs.pass_on, self._held, self._owner)
            self._held = None
        job = await self._db.write(jobs.claim_job, self._owner, [*self._handlers, *self._runners])
        if job is None:
            return False
        try:
            if job.kind in self._runners:
                await self._runners[job.kind](self._db, job, self._owner, self._turn())
            else:
                await self._db.write(self._run_page, job)
        except Unavailable:
            self._held = job
            raise
        except Exception as fault:
            _log.exception("job_page_failed", job=job.id.hex(), kind=job.kind, page=job.position)
            await self._db.write(jobs.give_back, job, self._owner, f"{type(fault).__name__}: {fault}")
            return True
        self._on_page()
        return True

    def _turn(self) -> Callable[[], bool]:
        until = time.monotonic() + TURN_S

        def is_over() -> bool:
            self._on_page()
            return self.loop.stopping or time.monotonic() > until

        return is_over

    def _run_page(self, tx: Tx, job: Job) -> None:
        self._handlers[job.kind](tx, job)
        if not jobs.finish_page(tx, job, self._owner):
            raise JobLost


async def sweep(db: Database, job: Job, owner: str, is_over: Callable[[], bool], step: Step) -> None:
    """A runner of work that is the same step again and again until it says that it is done."""
    while (moved := await db.write(step, job, owner)) is not None:
        job = moved
        if is_over():
            await db.write(jobs.pass_on, job, owner)
            return
