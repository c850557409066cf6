"""Webhooks: endpoints, what waits to be posted, and the log of posts."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("events", schema.Json(), nullable=False),
        sa.Column("domain_ids", schema.Json(), nullable=True),
        sa.Column("secret", schema.Bytes(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("next_due_at", sa.BigInteger(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_webhook_endpoints")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ux_webhook_endpoints_number", "webhook_endpoints", ["organization_id", "number"], unique=True
    )
    for name, column, condition in (
        ("ix_webhook_endpoints_due", "next_due_at", "owner IS NULL"),
        ("ix_webhook_endpoints_owner", "owner", "owner IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, "webhook_endpoints", [column], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "webhook_queue",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint_id", schema.Bytes(), nullable=False),
        sa.Column("event_id", schema.Bytes(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("headers", schema.Json(), nullable=True),
        sa.Column("body", schema.Bytes(), nullable=True),
        sa.PrimaryKeyConstraint(
            "organization_id", "endpoint_id", "event_id", "word", name=op.f("pk_webhook_queue")
        ),
    )
    op.create_index("ix_webhook_queue_due", "webhook_queue", ["organization_id", "endpoint_id", "due_at"])
    op.create_table(
        "webhook_attempts",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint_id", schema.Bytes(), nullable=False),
        sa.Column("event_id", schema.Bytes(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint(
            "organization_id", "endpoint_id", "event_id", "word", "number", name=op.f("pk_webhook_attempts")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_webhook_attempts_started_at", "webhook_attempts", ["started_at"])


def downgrade() -> None:
    for table in ("webhook_attempts", "webhook_queue", "webhook_endpoints"):
        op.drop_table(table)
