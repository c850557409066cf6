"""People who log in, domains that are checked by the clock, sites by MX set, drafts of campaigns."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _columns() -> list[tuple[str, sa.Column[Any]]]:
    """New ones at each call: a column belongs to one statement."""
    return [
        ("credentials", sa.Column("bound_ip", sa.Text(), nullable=True)),
        ("domains", sa.Column("return_path_label", sa.Text(), server_default="bounces", nullable=False)),
        ("domains", sa.Column("hosting_provider", sa.Text(), nullable=True)),
        ("domains", sa.Column("next_check_at", sa.BigInteger(), nullable=True)),
        ("domains", sa.Column("bad_checks", sa.SmallInteger(), server_default="0", nullable=False)),
        ("campaigns", sa.Column("definition", schema.Json(), nullable=True)),
        ("campaigns", sa.Column("created_by", schema.Bytes(), nullable=True)),
        ("campaigns", sa.Column("updated_at", sa.BigInteger(), nullable=True)),
    ]


def upgrade() -> None:
    for table, column in _columns():
        op.add_column(table, column)
    op.execute("UPDATE domains SET next_check_at = created_at WHERE status <> 'verified'")
    op.create_index("ix_domains_next_check_at", "domains", ["next_check_at"])
    op.execute("ALTER TABLE attachments RENAME COLUMN created_at TO used_at")
    op.create_index("ix_attachments_used_at", "attachments", ["used_at"])
    op.create_table(
        "domain_sites",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_domain_sites")),
    )
    op.create_index("ix_domain_sites_expires_at", "domain_sites", ["expires_at"])
    op.create_table(
        "sessions",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("user_id", schema.Bytes(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("secret_hash", schema.Bytes(), nullable=True),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_user", "sessions", ["user_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index(
        "ux_sessions_secret_hash",
        "sessions",
        ["secret_hash"],
        unique=True,
        sqlite_where=sa.text("secret_hash IS NOT NULL"),
        postgresql_where=sa.text("secret_hash IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("sessions")
    op.drop_table("domain_sites")
    op.drop_index("ix_attachments_used_at", table_name="attachments")
    op.execute("ALTER TABLE attachments RENAME COLUMN used_at TO created_at")
    op.drop_index("ix_domains_next_check_at", table_name="domains")
    for table, column in reversed(_columns()):
        op.drop_column(table, column.name)
