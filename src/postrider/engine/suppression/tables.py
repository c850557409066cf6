"""Who must not be mailed, and why. One row per address, scope and class."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from postrider.db.schema import at, big, id_, metadata, organization_id, small, text

suppressions = Table(
    "suppressions",
    metadata,
    organization_id(),
    id_(),
    text("address_key"),
    small("scope"),  # Scope: organization, domain, list, stream
    text(
        "scope_id", server_default=""
    ),  # the id of what the scope names, as text; empty for the organization
    small("class"),  # Class: block, optout, allow
    text("reason"),  # hard_bounce, soft_bounces, complaint, unsubscribed, manual
    text("source"),  # system, api, manual, link, one-click
    text("note", nullable=True),
    id_("message_id", nullable=True),  # the message that gave the reason
    at("created_at", nullable=False),
    at("expires_at"),  # of a pause: from then on the row counts for nothing, and a timer drops it
    PrimaryKeyConstraint("organization_id", "id"),
    Index(
        "ux_suppressions_address", "organization_id", "address_key", "scope", "scope_id", "class", unique=True
    ),
    Index(
        "ix_suppressions_expiring",
        "expires_at",
        postgresql_where=sql("expires_at IS NOT NULL"),
        sqlite_where=sql("expires_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# Addresses whose entries changed, until whoever shows a status by them has heard of it.
suppression_changes = Table(
    "suppression_changes",
    metadata,
    organization_id(),
    text("address_key"),
    at("changed_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "address_key"),
    sqlite_with_rowid=False,
)

# The operator's own: refused for every organization (role accounts that asked, court orders, spam traps).
operator_suppressions = Table(
    "operator_suppressions",
    metadata,
    text("address_key", primary_key=True),
    text("reason"),
    at("created_at", nullable=False),
    big("created_by", nullable=True),
)
