"""Work without pages: it runs in turns, and goes on where it stood when the store was away."""

from collections.abc import Callable

import pytest

from postrider.db.database import Database, Tx, Unavailable
from postrider.engine import jobs
from postrider.engine.jobs import Job
from postrider.kit.ids import new_id
from postrider.workers.jobs import Jobs

KIND, OWNER = "count", "us"
STEPS = 3


def move(tx: Tx, job: Job, step: int) -> Job:
    moved = jobs.keep_place(tx, job, OWNER, {"step": step})
    assert moved is not None
    return moved


class Counting:
    """Does STEPS steps, one a turn, and loses the store once before the second."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.is_store_away = True

    async def run(self, db: Database, job: Job, owner: str, is_over: Callable[[], bool]) -> None:
        step = job.facts["step"]
        if step == 1 and self.is_store_away:
            self.is_store_away = False
            raise Unavailable
        if step == STEPS:
            await db.write(jobs.end_job, job, owner)
            return
        job = await db.write(move, job, step + 1)
        self.done.append(step)
        is_over()
        await db.write(jobs.pass_on, job, owner)


async def test_a_job_whose_store_was_away_goes_on(database: Database) -> None:
    counting, pages = Counting(), list[int]()
    database.write_now(
        lambda tx: jobs.insert_job(
            tx, organization_id=1, job_id=new_id(), kind=KIND, facts={"step": 0}, pages=()
        )
    )
    worker = Jobs(database, OWNER, {}, lambda: pages.append(1), {KIND: counting.run})
    assert await worker._once()
    with pytest.raises(Unavailable):
        await worker._once()
    while await worker._once():
        pass
    assert counting.done == [0, 1, 2]
    assert len(pages) >= STEPS, "whoever waits for the work is woken after each part of it"
    assert database.write_now(jobs.claim_job, OWNER, [KIND]) is None


async def test_only_the_owner_moves_a_job_and_only_once(database: Database) -> None:
    database.write_now(
        lambda tx: jobs.insert_job(
            tx, organization_id=1, job_id=new_id(), kind=KIND, facts={"step": 0}, pages=()
        )
    )
    job = database.write_now(jobs.claim_job, OWNER, [KIND])
    assert job is not None
    assert database.write_now(jobs.keep_place, job, "them", {}) is None
    moved = database.write_now(jobs.keep_place, job, OWNER, {"step": 1})
    assert moved is not None
    assert database.write_now(jobs.keep_place, job, OWNER, {"step": 1}) is None
    assert database.write_now(jobs.keep_place, moved, OWNER, {"step": 2}) is not None
