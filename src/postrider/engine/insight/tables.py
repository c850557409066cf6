"""Counts per quarter of an hour (UTC), from which any time zone's days and any report can be summed."""

from sqlalchemy import PrimaryKeyConstraint, Table

from postrider.db.schema import at, big, id_, integer, metadata, organization_id, small, text

rollups = Table(
    "rollups",
    metadata,
    organization_id(),
    at("bucket", nullable=False),  # start of the quarter of an hour, in ms
    text("measure"),  # Measure
    id_("domain_id"),  # 16 zero bytes: none
    small("stream"),
    small("shard"),  # of the tail: followers of two shards never wait for one row
    big("count"),
    PrimaryKeyConstraint("organization_id", "bucket", "measure", "domain_id", "stream", "shard"),
    sqlite_with_rowid=False,
)

# The same by tag. A mail with two tags counts under both, so these are never summed over tags.
tag_rollups = Table(
    "tag_rollups",
    metadata,
    organization_id(),
    at("bucket", nullable=False),
    id_("domain_id"),
    text("tag"),
    text("measure"),
    small("shard"),
    big("count"),
    PrimaryKeyConstraint("organization_id", "bucket", "domain_id", "tag", "measure", "shard"),
    sqlite_with_rowid=False,
)

# Sums of rollups by hours and days (of tags by weeks too), of each domain and (16 bytes of ones) of all: a
# report over months reads as few rows as one over a day. An organization is of one shard: no
# row is waited for.
coarse_rollups = Table(
    "coarse_rollups",
    metadata,
    organization_id(),
    integer("step_ms"),
    id_("domain_id"),
    at("bucket", nullable=False),
    text("measure"),
    big("count"),
    PrimaryKeyConstraint("organization_id", "step_ms", "domain_id", "bucket", "measure"),
    sqlite_with_rowid=False,
)

coarse_tag_rollups = Table(
    "coarse_tag_rollups",
    metadata,
    organization_id(),
    integer("step_ms"),
    id_("domain_id"),
    at("bucket", nullable=False),
    text("tag"),
    text("measure"),
    big("count"),
    PrimaryKeyConstraint("organization_id", "step_ms", "domain_id", "bucket", "tag", "measure"),
    sqlite_with_rowid=False,
)
