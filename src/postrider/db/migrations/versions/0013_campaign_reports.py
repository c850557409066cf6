"""What became of a campaign, counted; its messages by status."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = ("campaign_rollups", "campaign_counts", "campaign_links", "campaign_hits")


def upgrade() -> None:
    _make(
        "campaign_rollups",
        *(_integer("step_ms"), _text("measure"), _big("bucket"), _small("variant"), _big("count")),
        key=("step_ms", "measure", "bucket", "variant"),
    )
    _make(
        "campaign_counts",
        *(_integer("link"), _small("variant"), _text("measure"), _big("count")),
        *(_at("first_at"), _at("last_at")),
        key=("link", "variant", "measure"),
    )
    _make("campaign_links", _integer("number"), _text("url"), key=("number",))
    _make(
        "campaign_hits",
        *(_small("kind"), _integer("link"), _id("message_id"), _small("variant")),
        *(_integer("times"), _at("first_at"), _at("last_at")),
        *(_integer("human"), _at("first_human_at"), _at("last_human_at")),
        *(_integer("scanner"), _at("first_scanner_at"), _at("last_scanner_at")),
        key=("kind", "link", "message_id"),
    )
    of_campaign = sa.text("campaign_id IS NOT NULL")
    op.create_index(
        "ix_messages_campaign_status",
        "messages",
        ["organization_id", "campaign_id", "status", "id"],
        postgresql_where=of_campaign,
        sqlite_where=of_campaign,
    )


def downgrade() -> None:
    op.drop_index("ix_messages_campaign_status", table_name="messages")
    for name in reversed(TABLES):
        op.drop_table(name)


def _make(name: str, *columns: sa.Column[object], key: tuple[str, ...]) -> None:
    op.create_table(
        name,
        _big("organization_id"),
        _id("campaign_id"),
        *columns,
        sa.PrimaryKeyConstraint("organization_id", "campaign_id", *key, name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )


def _big(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _at(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), nullable=True)


def _integer(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _small(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.SmallInteger(), nullable=False)


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=False)


def _id(name: str) -> sa.Column[object]:
    return sa.Column(name, schema.Bytes(), nullable=False)
