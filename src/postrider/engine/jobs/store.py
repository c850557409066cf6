"""The SQL of jobs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, insert, select, tuple_, update

from postrider.db.database import Tx
from postrider.db.portable import insert_batch
from postrider.engine.jobs.tables import job_pages, jobs
from postrider.kit import clock
from postrider.kit.ids import RowId

PAGE_ROWS = 1_000
RETRY_AFTER_MS = 5 * clock.SECOND
FAILURES_MAX = 20

_insert_pages = insert_batch(job_pages, "organization_id", "job_id", "page", "body")


@dataclass(frozen=True, slots=True)
class Job:
    organization_id: int
    id: RowId
    kind: str
    facts: dict[str, Any]
    pages: int
    position: int
    failures: int


def insert_job(
    tx: Tx, *, organization_id: int, job_id: RowId, kind: str, facts: dict[str, Any], pages: Sequence[bytes]
) -> None:
    """A job due now; each page is JSON the kind's handler reads. Without pages it is work that knows its
    own place, and lasts until `end_job`.
    """
    now = clock.now_ms()
    tx.execute(
        insert(jobs).values(
            organization_id=organization_id,
            id=job_id,
            kind=kind,
            status="running",
            facts=facts,
            pages=len(pages),
            position=0,
            due_at=now,
            created_at=now,
        )
    )
    _insert_pages(tx, [(organization_id, job_id, number, body) for number, body in enumerate(pages)])


def claim_job(tx: Tx, owner: str, kinds: Collection[str]) -> Job | None:
    """The job of these kinds that has waited longest, ours from now on."""
    key = tuple_(jobs.c.organization_id, jobs.c.id)
    waiting = (
        select(jobs.c.organization_id, jobs.c.id)
        .where(jobs.c.due_at <= clock.now_ms(), jobs.c.kind.in_(list(kinds)))
        .order_by(jobs.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = tx.execute(
        update(jobs).where(key.in_(waiting)).values(owner=owner, due_at=None).returning(jobs)
    ).one_or_none()
    if found is None:
        return None
    return Job(
        found.organization_id, found.id, found.kind, found.facts, found.pages, found.position, found.failures
    )


def page_body(tx: Tx, job: Job) -> bytes:
    body: bytes = tx.execute(
        select(job_pages.c.body).where(
            job_pages.c.organization_id == job.organization_id,
            job_pages.c.job_id == job.id,
            job_pages.c.page == job.position,
        )
    ).scalar_one()
    return body


def finish_page(tx: Tx, job: Job, owner: str) -> bool:
    """In the page's own transaction: drop it, move on, let other jobs have a turn. False: no longer ours."""
    ended = job.position + 1 >= job.pages
    now = clock.now_ms()
    done = tx.execute(
        update(jobs)
        .where(
            jobs.c.organization_id == job.organization_id,
            jobs.c.id == job.id,
            jobs.c.owner == owner,
            jobs.c.position == job.position,
        )
        .values(
            position=job.position + 1,
            owner=None,
            due_at=None if ended else now,
            status="done" if ended else "running",
            ended_at=now if ended else None,
            failures=0,
        )
    )
    if not done.rowcount:
        return False
    tx.execute(
        delete(job_pages).where(
            job_pages.c.organization_id == job.organization_id,
            job_pages.c.job_id == job.id,
            job_pages.c.page == job.position,
        )
    )
    return True


def keep_place(tx: Tx, job: Job, owner: str, facts: dict[str, Any]) -> Job | None:
    """In the transaction of some of its work: how far a job without pages has come. None: no longer ours."""
    moved = tx.execute(
        update(jobs)
        .where(
            jobs.c.organization_id == job.organization_id,
            jobs.c.id == job.id,
            jobs.c.owner == owner,
            jobs.c.position == job.position,
        )
        .values(position=job.position + 1, facts=facts, failures=0)
    )
    return replace(job, position=job.position + 1, facts=facts, failures=0) if moved.rowcount else None


def pass_on(tx: Tx, job: Job, owner: str) -> None:
    """The job's turn is over: others come first, then it goes on."""
    _let_go(tx, job, owner, due_at=clock.now_ms(), failures=0)


def park(tx: Tx, job: Job, owner: str) -> None:
    """It waits until somebody wakes it."""
    _let_go(tx, job, owner, due_at=None)


def facts_of(tx: Tx, organization_id: int, job_id: RowId) -> dict[str, Any]:
    """What a job was told, with the place it came to."""
    facts: dict[str, Any] = tx.execute(
        select(jobs.c.facts).where(jobs.c.organization_id == organization_id, jobs.c.id == job_id)
    ).scalar_one()
    return facts


def wake(tx: Tx, organization_id: int, job_id: RowId) -> None:
    """A parked job goes on; one that runs, or has ended, is left alone."""
    tx.execute(
        update(jobs)
        .where(
            jobs.c.organization_id == organization_id,
            jobs.c.id == job_id,
            jobs.c.status == "running",
            jobs.c.owner.is_(None),
            jobs.c.due_at.is_(None),
        )
        .values(due_at=clock.now_ms())
    )


def end_job(tx: Tx, job: Job, owner: str, error: str | None = None) -> None:
    """Work without pages has come to its end, or cannot go on."""
    status = "done" if error is None else "failed"
    _let_go(tx, job, owner, due_at=None, status=status, error=error and error[:500], ended_at=clock.now_ms())


def give_back(tx: Tx, job: Job, owner: str, error: str) -> bool:
    """A page failed: it is tried again later. True: that was the FAILURES_MAX-th time in a row; it failed."""
    failures = job.failures + 1
    failed = failures >= FAILURES_MAX
    _let_go(
        tx,
        job,
        owner,
        due_at=None if failed else clock.now_ms() + RETRY_AFTER_MS,
        status="failed" if failed else "running",
        failures=failures,
        error=error[:500],
    )
    return failed


def release_dead(tx: Tx, owners: Sequence[str]) -> None:
    if owners:
        tx.execute(
            update(jobs).where(jobs.c.owner.in_(list(owners))).values(owner=None, due_at=clock.now_ms())
        )


def _let_go(tx: Tx, job: Job, owner: str, **changes: Any) -> None:
    tx.execute(
        update(jobs)
        .where(jobs.c.organization_id == job.organization_id, jobs.c.id == job.id, jobs.c.owner == owner)
        .values(owner=None, **changes)
    )
