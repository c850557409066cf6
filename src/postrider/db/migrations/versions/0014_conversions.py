"""Goals, conversions, revenue; what mail is read with and where; how an audience grows."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = (
    "goals",
    "conversions",
    "revenue_rollups",
    "trait_rollups",
    "mail_rollups",
    "contact_rollups",
    "contact_censuses",
)


def upgrade() -> None:
    _conversions()
    _account()


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)


def _conversions() -> None:
    op.create_table(
        "goals",
        _big("organization_id"),
        _id("id"),
        _text("name"),
        _big("value_mils", nullable=True),
        _text("currency"),
        _id("campaign_id", nullable=True),
        _big("conversions", server_default="0"),
        _big("created_at"),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_goals")),
    )
    op.create_index("ux_goals_name", "goals", ["organization_id", "name"], unique=True)
    op.create_table(
        "conversions",
        _big("organization_id"),
        _id("id"),
        _id("goal_id"),
        _id("contact_id", nullable=True),
        _id("campaign_id", nullable=True),
        _small("attribution"),
        _big("amount_mils"),
        _text("currency"),
        _text("order_id", nullable=True),
        _text("metadata", nullable=True),
        _big("occurred_at"),
        _big("created_at"),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_conversions")),
    )
    for name, columns, unique in (
        ("ux_conversions_order", ["order_id", "goal_id"], True),
        ("ix_conversions_contact", ["contact_id"], False),
    ):
        there = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(
            name,
            "conversions",
            ["organization_id", *columns],
            unique=unique,
            sqlite_where=there,
            postgresql_where=there,
        )
    _rollups(
        "revenue_rollups",
        (_big("bucket"), _id("campaign_id"), _small("kind"), _text("currency")),
        ("times", "amount_mils"),
    )


def _account() -> None:
    _rollups("trait_rollups", (_small("trait"), _big("bucket"), _text("value")), ("opens", "clicks"))
    _rollups("mail_rollups", (_big("bucket"),), ("sent", "delivered", "opened", "clicked", "read"))
    _rollups("contact_rollups", (_big("bucket"), _small("change")), ("count",))
    op.create_table(
        "contact_censuses",
        sa.Column("organization_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _text("counts", nullable=True),
        _big("taken_at"),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_contact_censuses")),
    )


def _rollups(name: str, place: tuple[sa.Column[Any], ...], counts: tuple[str, ...]) -> None:
    """A table whose key is an organization, a step and a place, and whose rest is counted."""
    keys = ("organization_id", "step_ms", *(column.name for column in place))
    op.create_table(
        name,
        _big("organization_id"),
        _big("step_ms"),
        *place,
        *(_big(count) for count in counts),
        sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )


def _big(name: str, **options: Any) -> sa.Column[Any]:
    return _column(name, sa.BigInteger(), **options)


def _small(name: str, **options: Any) -> sa.Column[Any]:
    return _column(name, sa.SmallInteger(), **options)


def _text(name: str, **options: Any) -> sa.Column[Any]:
    return _column(name, sa.Text(), **options)


def _id(name: str, **options: Any) -> sa.Column[Any]:
    return _column(name, schema.Bytes(), **options)


def _column(name: str, kind: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, **{"nullable": False, **options})
