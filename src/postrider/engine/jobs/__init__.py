"""Long work as rows: a page and the new position are one transaction, so a kill neither skips nor repeats."""

from postrider.engine.jobs.store import (
    PAGE_ROWS,
    Job,
    claim_job,
    finish_page,
    give_back,
    insert_job,
    page_body,
    release_dead,
)

__all__ = [
    "PAGE_ROWS",
    "Job",
    "claim_job",
    "finish_page",
    "give_back",
    "insert_job",
    "page_body",
    "release_dead",
]
