"""Rollups by hours and days, filled from what there is by quarters of an hour."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STEPS = (3_600_000, 86_400_000)
WEEK = 604_800_000
ALL = "'ffffffffffffffffffffffffffffffff'"


def upgrade() -> None:
    for name, tag in (
        ("coarse_rollups", []),
        ("coarse_tag_rollups", [sa.Column("tag", sa.Text(), nullable=False)]),
    ):
        op.create_table(
            name,
            sa.Column("organization_id", sa.BigInteger(), nullable=False),
            sa.Column("step_ms", sa.Integer(), nullable=False),
            sa.Column("domain_id", schema.Bytes(), nullable=False),
            sa.Column("bucket", sa.BigInteger(), nullable=False),
            *tag,
            sa.Column("measure", sa.Text(), nullable=False),
            sa.Column("count", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint(
                *("organization_id", "step_ms", "domain_id", "bucket"),
                *(column.name for column in tag),
                "measure",
                name=op.f(f"pk_{name}"),
            ),
            sqlite_with_rowid=False,
        )
    every = f"x{ALL}" if op.get_bind().dialect.name == "sqlite" else f"decode({ALL}, 'hex')"
    for step in STEPS:
        for domain in ("domain_id", every):
            _fill("coarse_rollups", "rollups", "measure", domain, step)
    for step in (*STEPS, WEEK):
        _fill("coarse_tag_rollups", "tag_rollups", "tag, measure", "domain_id", step)


def _fill(into: str, source: str, columns: str, domain: str, step: int) -> None:
    bucket = f"bucket - bucket % {step}"
    grouped = f"organization_id, {bucket}, {columns}" + (", domain_id" if domain == "domain_id" else "")
    op.execute(
        f"INSERT INTO {into} (organization_id, step_ms, domain_id, bucket, {columns}, count) "  # noqa: S608
        f"SELECT organization_id, {step}, {domain}, {bucket}, {columns}, SUM(count) FROM {source} "
        f"GROUP BY {grouped}"
    )


def downgrade() -> None:
    op.drop_table("coarse_tag_rollups")
    op.drop_table("coarse_rollups")
