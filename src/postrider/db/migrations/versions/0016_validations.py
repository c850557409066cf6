"""Checks of content and of addresses are counted by month, against the plan."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checks_used",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "month", "kind", name=op.f("pk_checks_used")),
    )


def downgrade() -> None:
    op.drop_table("checks_used")
