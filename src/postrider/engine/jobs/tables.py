"""Long work as rows: its pages, and how far it has come."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from postrider.db.schema import at, blob, id_, integer, json_, metadata, organization_id, text

jobs = Table(
    "jobs",
    metadata,
    organization_id(),
    id_(),
    text("kind"),  # expand, …
    text("status"),  # running, done, failed
    json_("facts"),  # what every page of the work needs
    integer("pages"),
    integer("position"),  # the next page
    text("owner", nullable=True),
    at("due_at"),  # null: ended, or held by its owner
    text("error", nullable=True),
    integer("failures", server_default="0"),
    at("created_at", nullable=False),
    at("ended_at"),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ix_jobs_due", "due_at"),
    Index("ix_jobs_owner", "owner"),
)

job_pages = Table(
    "job_pages",
    metadata,
    organization_id(),
    id_("job_id"),
    integer("page"),
    blob("body"),  # JSON
    PrimaryKeyConstraint("organization_id", "job_id", "page"),
)
