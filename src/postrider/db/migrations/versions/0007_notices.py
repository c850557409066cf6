"""The platform's own mail, alerts, streams that are watched and paused; an index for the log of bounces."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "source_id", name=op.f("pk_notices")),
    )
    op.create_index("ix_notices_created_at", "notices", ["created_at"])
    op.create_table(
        "alerts",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("facts", schema.Json(), nullable=True),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_alerts")),
    )
    _partial(
        "ux_alerts_open",
        "alerts",
        ["organization_id", "kind", "scope", "subject"],
        "cleared_at IS NULL",
        unique=True,
    )
    op.create_table(
        "paused_streams",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "stream", name=op.f("pk_paused_streams")),
    )
    op.create_table(
        "stream_guards",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("resumed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "stream", name=op.f("pk_stream_guards")),
    )
    _partial("ix_stream_guards_due_at", "stream_guards", ["due_at"], "due_at IS NOT NULL")
    for name, kind in (("ix_events_bounces", 5), ("ix_events_complaints", 12)):
        _partial(name, "events", ["organization_id", "kind", "id"], f"kind = {kind}")


def downgrade() -> None:
    op.drop_index("ix_events_complaints", "events")
    op.drop_index("ix_events_bounces", "events")
    for table in ("stream_guards", "paused_streams", "alerts", "notices"):
        op.drop_table(table)


def _partial(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
