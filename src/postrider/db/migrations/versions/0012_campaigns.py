"""Campaigns: when they go, to whom, how far they have come."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TIMES = ("scheduled_at", "started_at", "expanded_at", "resumed_at", "ended_at", "next_at")


def upgrade() -> None:
    for name in _TIMES:
        op.add_column("campaigns", sa.Column(name, sa.BigInteger(), nullable=True))
    for name in ("watched_id", "run_id"):
        op.add_column("campaigns", sa.Column(name, schema.Bytes(), nullable=True))
    for name in ("label", "reason"):
        op.add_column("campaigns", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("campaigns", sa.Column("winner", sa.SmallInteger(), nullable=True))
    op.create_index(
        "ix_campaigns_next_at",
        "campaigns",
        ["next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
        sqlite_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_table(
        "campaign_recipients",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("list_id", schema.Bytes(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("vars", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "list_id", "number", name="pk_campaign_recipients"),
    )
    op.create_table(
        "runs",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("campaign_id", schema.Bytes(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "id", name="pk_runs"),
    )
    op.create_index("ix_runs_campaign", "runs", ["organization_id", "campaign_id"])
    # What was accepted before campaigns could end: a worker looks whether all of it has been tried.
    op.execute(
        "UPDATE campaigns SET next_at = created_at, started_at = created_at, expanded_at = created_at"
        " WHERE status = 'sending'"
    )


def downgrade() -> None:
    op.drop_table("runs")
    op.drop_table("campaign_recipients")
    op.drop_index("ix_campaigns_next_at", table_name="campaigns")
    for name in (*_TIMES, "watched_id", "run_id", "label", "reason", "winner"):
        op.drop_column("campaigns", name)
