"""What was answered to a request with an idempotency key, and every send to many."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from postrider.db.schema import at, blob, id_, integer, json_, metadata, organization_id, text

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
