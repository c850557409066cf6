"""Mail that was captured instead of sent: what the inbox shows."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from postrider.db.schema import at, blob, id_, integer, metadata, organization_id, text

captured = Table(
    "captured",
    metadata,
    organization_id(),
    id_(),
    id_("message_id"),
    text("recipient"),
    text("address_key"),
    text("from_header"),
    text("subject"),
    integer("size_bytes"),
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ix_captured_address", "organization_id", "address_key", "id"),
    sqlite_with_rowid=False,
)

captured_bodies = Table(
    "captured_bodies",
    metadata,
    organization_id(),
    id_("captured_id"),
    blob("body"),
    PrimaryKeyConstraint("organization_id", "captured_id"),
)
