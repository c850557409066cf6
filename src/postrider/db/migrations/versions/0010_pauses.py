"""Entries of suppression that end by themselves; the headers that answered a webhook."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("suppressions", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_suppressions_expiring",
        "suppressions",
        ["expires_at"],
        postgresql_where=sa.text("expires_at IS NOT NULL"),
        sqlite_where=sa.text("expires_at IS NOT NULL"),
    )
    op.add_column("webhook_attempts", sa.Column("answer_headers", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("webhook_attempts", "answer_headers")
    op.drop_index("ix_suppressions_expiring", table_name="suppressions")
    op.drop_column("suppressions", "expires_at")
