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
    integer("total"),  # whom it was for when it began
    integer("accepted"),  # messages made so far
    integer("skipped"),  # who was left out: suppressed, over the frequency cap
    json_("definition"),  # what its author wrote: names in sending.campaigns.Definition, but for its label
    text("label", nullable=True),  # Definition.label: read without the content
    id_("created_by", nullable=True),  # the user, where one was signed in
    at("created_at", nullable=False),
    at("updated_at"),
    at("scheduled_at"),  # when it is to begin, or was
    at("started_at"),
    at("expanded_at"),  # when the last message of it was made; null while some are still to come
    at("resumed_at"),  # when somebody last let it go on: from then on bounces do not stop it
    at("ended_at"),  # sent, cancelled or failed
    at("next_at"),  # when a worker has to look after it; null: never again
    id_("watched_id", nullable=True),  # all its messages up to this one have been tried
    id_("run_id", nullable=True),  # the run under way, or the last one
    text("reason", nullable=True),  # why it was paused, or has failed
    small("winner", nullable=True),  # the variant of a split test that the rest gets
    PrimaryKeyConstraint("organization_id", "id"),
    Index(
        "ix_campaigns_next_at",
        "next_at",
        sqlite_where=sql("next_at IS NOT NULL"),
        postgresql_where=sql("next_at IS NOT NULL"),
    ),
)

# Whom a campaign goes to where it names them one by one.
campaign_recipients = Table(
    "campaign_recipients",
    metadata,
    organization_id(),
    id_("list_id"),  # the campaign's own list (its id), or a run's
    integer("number"),  # in the order given, each address once
    text("address"),
    text("address_key"),
    json_("vars"),
    PrimaryKeyConstraint("organization_id", "list_id", "number"),
)

# A campaign is sent in one run, or in several: the parts of a split test, further batches.
runs = Table(
    "runs",
    metadata,
    organization_id(),
    id_(),
    id_("campaign_id"),
    text("part"),  # Part: all, test, rest, batch
    integer("total"),
    integer("accepted"),
    integer("skipped"),
    at("created_at", nullable=False),
    at("ended_at"),  # when all its messages were made
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ix_runs_campaign", "organization_id", "campaign_id"),
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
