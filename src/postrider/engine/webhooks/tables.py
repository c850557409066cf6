"""Where events are posted to, what waits to be posted, and what was tried."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from postrider.db.schema import at, blob, id_, integer, json_, metadata, organization_id, small, text

# An endpoint is to its posts what a site is to mail: leased whole, so that its limits are exact.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    organization_id(),
    id_(),
    integer("number"),
    text("format"),  # the name of its Format
    text("url"),
    text("name", nullable=True),
    text("description", nullable=True),
    json_("events", nullable=False),  # words of the format
    json_("domain_ids"),  # hexadecimal ids of sending domains; null: all
    blob("secret"),  # sealed
    small("state"),  # EndpointState
    integer("failures", server_default="0"),  # attempts that failed in a row
    at("failing_since"),
    at("next_due_at"),  # nothing of its queue is due before; null: nothing waits
    text("owner", nullable=True),  # the worker that posts to it now
    at("created_at", nullable=False),
    at("updated_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_webhook_endpoints_number", "organization_id", "number", unique=True),
    Index(
        "ix_webhook_endpoints_due",
        "next_due_at",
        sqlite_where=sql("owner IS NULL"),
        postgresql_where=sql("owner IS NULL"),
    ),
    Index(
        "ix_webhook_endpoints_owner",
        "owner",
        sqlite_where=sql("owner IS NOT NULL"),
        postgresql_where=sql("owner IS NOT NULL"),
    ),
    Index(
        "ix_webhook_endpoints_disabled",
        "organization_id",
        sqlite_where=sql("state = 3"),
        postgresql_where=sql("state = 3"),
    ),
    sqlite_with_rowid=False,
)

webhook_queue = Table(
    "webhook_queue",
    metadata,
    organization_id(),
    id_("endpoint_id"),
    id_("event_id"),
    text("word"),  # what the format calls the event: some have two words for one
    at("due_at", nullable=False),
    integer("attempts", server_default="0"),
    PrimaryKeyConstraint("organization_id", "endpoint_id", "event_id", "word"),
    Index("ix_webhook_queue_due", "organization_id", "endpoint_id", "due_at"),
)

# What is posted, as rendered for the first attempt: every further one and every replay sends the same bytes.
webhook_bodies = Table(
    "webhook_bodies",
    metadata,
    organization_id(),
    id_("endpoint_id"),
    id_("event_id"),
    text("word"),
    json_("headers", nullable=False),
    blob("body"),
    at("frozen_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "endpoint_id", "event_id", "word"),
    Index("ix_webhook_bodies_frozen_at", "frozen_at"),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    organization_id(),
    id_("endpoint_id"),
    id_("event_id"),
    text("word"),
    integer("number"),  # from 1
    at("started_at", nullable=False),
    integer("duration_ms"),
    integer("status", nullable=True),  # of HTTP; null: no answer
    text("fault", nullable=True),
    text("answer", nullable=True),  # how its body begins
    at("next_at"),  # when it is tried again; null: it is not
    id_(),  # of the attempt, as its signature may tell it
    small("outcome"),  # Outcome
    text("answer_headers", nullable=True),  # JSON, of the answer
    PrimaryKeyConstraint("organization_id", "endpoint_id", "event_id", "word", "number"),
    Index("ix_webhook_attempts_started_at", "started_at"),
    Index("ix_webhook_attempts_outcome", "organization_id", "endpoint_id", "outcome", "id"),
    sqlite_with_rowid=False,
)
