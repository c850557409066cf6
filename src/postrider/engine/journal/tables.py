"""The event log, and the narrow tail that followers consume."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from postrider.db.schema import at, id_, integer, json_, metadata, organization_id, small, text

events = Table(
    "events",
    metadata,
    organization_id(),
    id_(),
    small("kind"),  # EventKind
    at("at", nullable=False),  # when it happened; the id tells when it was recorded
    id_("message_id", nullable=True),
    id_("contact_id", nullable=True),
    id_("campaign_id", nullable=True),
    json_("data"),
    text("source_id", nullable=True),  # what makes a repeat a no-op
    PrimaryKeyConstraint("organization_id", "id"),
    Index(
        "ix_events_message",
        "organization_id",
        "message_id",
        sqlite_where=sql("message_id IS NOT NULL"),
        postgresql_where=sql("message_id IS NOT NULL"),
    ),
    Index(  # what happened to a contact beside its mail
        "ix_events_contact",
        "organization_id",
        "contact_id",
        "id",
        sqlite_where=sql("contact_id IS NOT NULL"),
        postgresql_where=sql("contact_id IS NOT NULL"),
    ),
    # The log of bounces and complaints is read newest first; of all other kinds these hold nothing.
    *(
        Index(name, "organization_id", "kind", "id", sqlite_where=sql(kind), postgresql_where=sql(kind))
        for name, kind in (("ix_events_bounces", "kind = 5"), ("ix_events_complaints", "kind = 12"))
    ),
    Index(
        "ux_events_source",
        "organization_id",
        "source_id",
        unique=True,
        sqlite_where=sql("source_id IS NOT NULL"),
        postgresql_where=sql("source_id IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

event_tail = Table(
    "event_tail",
    metadata,
    small("shard"),
    id_("event_id"),
    organization_id(),
    PrimaryKeyConstraint("shard", "event_id"),
    sqlite_with_rowid=False,
)

# Who follows a shard: one worker at a time keeps the order.
tail_shards = Table(
    "tail_shards",
    metadata,
    small("shard", primary_key=True, autoincrement=False),
    text("owner", nullable=True),
)

# The one event of a batch that a follower could not take, set aside with its reason.
parked_events = Table(
    "parked_events",
    metadata,
    organization_id(),
    id_("event_id"),
    text("follower"),
    text("reason"),
    at("parked_at", nullable=False),
    integer("tries", server_default="1"),
    PrimaryKeyConstraint("organization_id", "event_id"),
)
