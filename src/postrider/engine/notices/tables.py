"""What the platform has written to people, and what it has warned its operator of."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from postrider.db.schema import at, id_, json_, metadata, organization_id, text

# One row a cause, so that it is mailed once.
notices = Table(
    "notices",
    metadata,
    organization_id(),
    text("source_id"),
    text("kind"),  # Kind
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "source_id"),
    Index("ix_notices_created_at", "created_at"),
)

# Of the operator's organization. One that has ended stays for a while, to be looked up.
alerts = Table(
    "alerts",
    metadata,
    organization_id(),
    id_(),
    text("kind"),  # AlertKind
    text("scope"),  # the node that sees it; empty: every node sees the same
    text("subject"),  # which site, file, address: with kind and scope it is one alert
    json_("facts"),
    at("raised_at", nullable=False),
    at("seen_at", nullable=False),  # the last time: what nobody looks for any more ends too
    at("cleared_at"),
    PrimaryKeyConstraint("organization_id", "id"),
    Index(
        "ux_alerts_open",
        "organization_id",
        "kind",
        "scope",
        "subject",
        unique=True,
        sqlite_where=sql("cleared_at IS NULL"),
        postgresql_where=sql("cleared_at IS NULL"),
    ),
)
