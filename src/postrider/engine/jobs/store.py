"""The SQL of jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from postrider.db.database import Tx
from postrider.db.portable import Statement, insert_batch
from postrider.engine.jobs.tables import job_pages, jobs
from postrider.kit import clock
from postrider.kit.ids import RowId

PAGE_ROWS = 1_000
RETRY_AFTER_MS = 5 * clock.SECOND
FAILURES_MAX = 20

_claim = Statement(
    """UPDATE jobs SET owner = :owner, due_at = NULL WHERE (organization_id, id) IN (
         SELECT organization_id, id FROM jobs WHERE due_at <= :now ORDER BY due_at LIMIT 1 {skip_locked})
       RETURNING organization_id, id"""
)
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
    """A job due now; each page is JSON the kind's handler reads."""
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


def claim_job(tx: Tx, owner: str) -> Job | None:
    """The job that has waited longest, ours from now on."""
    rows = _claim(tx, owner=owner, now=clock.now_ms())
    if not rows:
        return None
    organization_id, job_id = rows[0]
    found = tx.execute(
        select(jobs).where(jobs.c.organization_id == organization_id, jobs.c.id == job_id)
    ).one()
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


def give_back(tx: Tx, job: Job, owner: str, error: str) -> None:
    """A page failed: it is tried again later; FAILURES_MAX times in a row fail the job, with the reason."""
    failures = job.failures + 1
    failed = failures >= FAILURES_MAX
    tx.execute(
        update(jobs)
        .where(jobs.c.organization_id == job.organization_id, jobs.c.id == job.id, jobs.c.owner == owner)
        .values(
            owner=None,
            due_at=None if failed else clock.now_ms() + RETRY_AFTER_MS,
            status="failed" if failed else "running",
            failures=failures,
            error=error[:500],
        )
    )


def release_dead(tx: Tx, owners: Sequence[str]) -> None:
    if owners:
        tx.execute(
            update(jobs).where(jobs.c.owner.in_(list(owners))).values(owner=None, due_at=clock.now_ms())
        )
