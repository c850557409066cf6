"""Templates."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "templates",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("is_public", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("usage_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_by", schema.Bytes(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("variables", schema.Json(), nullable=True),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("mjml", sa.Text(), nullable=True),
        sa.Column("ready_subject", sa.Text(), nullable=True),
        sa.Column("ready_html", sa.Text(), nullable=True),
        sa.Column("ready_text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_templates")),
    )
    op.create_index("ix_templates_name", "templates", ["organization_id", "name", "id"], unique=False)
    op.create_index("ux_templates_number", "templates", ["organization_id", "number"], unique=True)


def downgrade() -> None:
    op.drop_index("ux_templates_number", table_name="templates")
    op.drop_index("ix_templates_name", table_name="templates")
    op.drop_table("templates")
