"""Bodies of webhooks outlive the queue, and each attempt has an id: what replays need."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema
from postrider.kit.ids import id_floor, new_id

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PAGE = 1_000


def upgrade() -> None:
    op.create_table(
        "webhook_bodies",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint_id", schema.Bytes(), nullable=False),
        sa.Column("event_id", schema.Bytes(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("headers", schema.Json(), nullable=False),
        sa.Column("body", schema.Bytes(), nullable=False),
        sa.Column("frozen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "endpoint_id", "event_id", "word", name=op.f("pk_webhook_bodies")
        ),
    )
    op.create_index("ix_webhook_bodies_frozen_at", "webhook_bodies", ["frozen_at"])
    op.execute(
        """INSERT INTO webhook_bodies (organization_id, endpoint_id, event_id, word, headers, body, frozen_at)
           SELECT organization_id, endpoint_id, event_id, word, headers, body, due_at FROM webhook_queue
           WHERE body IS NOT NULL"""
    )
    op.execute("ALTER TABLE webhook_queue DROP COLUMN headers")
    op.execute("ALTER TABLE webhook_queue DROP COLUMN body")
    where = sa.text("state = 3")
    op.create_index(
        "ix_webhook_endpoints_disabled",
        "webhook_endpoints",
        ["organization_id"],
        sqlite_where=where,
        postgresql_where=where,
    )
    op.execute(
        "CREATE TEMPORARY TABLE kept_attempts AS "
        "SELECT *, row_number() OVER () AS place FROM webhook_attempts"
    )
    op.execute("CREATE UNIQUE INDEX ux_kept_attempts ON kept_attempts (place)")
    op.drop_table("webhook_attempts")
    table = _create_attempts(
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
    )
    op.create_index(
        "ix_webhook_attempts_outcome", "webhook_attempts", ["organization_id", "endpoint_id", "outcome", "id"]
    )
    _give_ids(table)
    op.execute("DROP TABLE kept_attempts")


def downgrade() -> None:
    op.execute("CREATE TEMPORARY TABLE kept_attempts AS SELECT * FROM webhook_attempts")
    op.drop_table("webhook_attempts")
    table = _create_attempts()
    listed = ", ".join(column.name for column in table.columns)
    op.execute(f"INSERT INTO webhook_attempts ({listed}) SELECT {listed} FROM kept_attempts")  # noqa: S608
    op.execute("DROP TABLE kept_attempts")
    op.drop_index("ix_webhook_endpoints_disabled", table_name="webhook_endpoints")
    op.add_column("webhook_queue", sa.Column("headers", schema.Json(), nullable=True))
    op.add_column("webhook_queue", sa.Column("body", schema.Bytes(), nullable=True))
    same = " AND ".join(
        f"b.{name} = webhook_queue.{name}" for name in ("organization_id", "endpoint_id", "event_id", "word")
    )
    for name in ("headers", "body"):
        op.execute(
            f"UPDATE webhook_queue SET {name} = (SELECT b.{name} FROM webhook_bodies b WHERE {same})"  # noqa: S608
        )
    op.drop_table("webhook_bodies")


def _create_attempts(*more: sa.Column) -> sa.Table:  # type: ignore[type-arg]  # of any type
    table = op.create_table(
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
        *more,
        sa.PrimaryKeyConstraint(
            "organization_id", "endpoint_id", "event_id", "word", "number", name=op.f("pk_webhook_attempts")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_webhook_attempts_started_at", "webhook_attempts", ["started_at"])
    assert table is not None
    return table


def _give_ids(table: sa.Table) -> None:
    """Ids as if they had been made when the attempt began: 1 taken, 2 to be tried again, 3 given up."""
    page = sa.text("SELECT * FROM kept_attempts WHERE place > :after AND place <= :after + :page")
    after = 0
    while rows := op.get_bind().execute(page, {"after": after, "page": PAGE}).mappings().fetchall():
        op.bulk_insert(
            table,
            [
                {
                    **{name: row[name] for name in row if name != "place"},
                    "id": id_floor(row["started_at"])[:6] + new_id()[6:],
                    "outcome": 1 if 200 <= (row["status"] or 0) < 300 else 3 if row["next_at"] is None else 2,
                }
                for row in rows
            ],
        )
        after += PAGE
