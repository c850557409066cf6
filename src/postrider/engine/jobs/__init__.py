"""Long work as rows: a page and the new position are one transaction, so a kill neither skips nor repeats."""

from postrider.engine.jobs.store import (
    FAILURES_MAX,
    PAGE_ROWS,
    Job,
    claim_job,
    end_job,
    facts_of,
    finish_page,
    give_back,
    insert_job,
    keep_place,
    page_body,
    park,
    pass_on,
    release_dead,
    wake,
)

__all__ = [
    "FAILURES_MAX",
    "PAGE_ROWS",
    "Job",
    "claim_job",
    "end_job",
    "facts_of",
    "finish_page",
    "give_back",
    "insert_job",
    "keep_place",
    "page_body",
    "park",
    "pass_on",
    "release_dead",
    "wake",
]
