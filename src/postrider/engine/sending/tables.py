"""What was answered to a request with an idempotency key, every send to many, and who is watched."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from postrider.db.schema import at, blob, id_, integer, json_, metadata, organization_id, small, text

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    organization_id(),
    text("key"),  # the surface's operation and the caller's key
    blob("fingerprint"),  # of the request: another body under the same key is a conflict
    json_("answer"),  # what the engine answered
    at("expires_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "key"),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
)

# One noun for every send to many.
campaigns = Table(
    "campaigns",
    metadata,
    organization_id(),
    id_(),
    text("kind"),  # campaign, bulk, segment, session, step
    text("name"),
    text("status"),  # draft, scheduled, sending, paused, sent, cancelled, failed
    integer("total"),
    integer("accepted"),
    integer("skipped"),
    json_("definition"),  # what its author wrote: names in sending.campaigns.Definition
    id_("created_by", nullable=True),  # the user, where one was signed in
    at("created_at", nullable=False),
    at("updated_at"),
    PrimaryKeyConstraint("organization_id", "id"),
)

# A stream of an organization about which somebody complained: when its rate is to be judged.
stream_guards = Table(
    "stream_guards",
    metadata,
    organization_id(),
    small("stream"),
    at("due_at"),  # null: nobody complained since it was judged
    at("resumed_at"),  # what happened before counts no more
    PrimaryKeyConstraint("organization_id", "stream"),
    Index(
        "ix_stream_guards_due_at",
        "due_at",
        sqlite_where=sql("due_at IS NOT NULL"),
        postgresql_where=sql("due_at IS NOT NULL"),
    ),
)
