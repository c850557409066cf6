"""Counts per quarter of an hour (UTC), from which any time zone's days and any report can be summed."""

from sqlalchemy import PrimaryKeyConstraint, Table

from postrider.db.schema import at, big, id_, metadata, organization_id, small, text

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
