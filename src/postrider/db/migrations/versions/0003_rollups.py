"""Rollups by tag. `postrider rollups rebuild` fills in what happened before, as far as the journal goes."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tag_rollups",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("domain_id", schema.Bytes(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "bucket", "domain_id", "tag", "measure", "shard", name=op.f("pk_tag_rollups")
        ),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("tag_rollups")
