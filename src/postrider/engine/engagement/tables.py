"""Pixels fetched, links followed, opt-outs asked for: as they came in, before they are scored."""

from sqlalchemy import Index, Table

from postrider.db.schema import at, id_, metadata, organization_id, small, text

hits = Table(
    "hits",
    metadata,
    id_(primary_key=True),
    organization_id(),
    id_("message_id"),
    small("kind"),  # HitKind: open, click, hidden
    small("link", nullable=True),
    at("at", nullable=False),
    text("ip"),
    text("user_agent"),
    text("method"),
    Index("ix_hits_at", "at"),
    sqlite_with_rowid=False,
)
