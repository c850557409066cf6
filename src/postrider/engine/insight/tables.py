"""Counts per quarter of an hour (UTC), from which any time zone's days and any report can be summed."""

from sqlalchemy import PrimaryKeyConstraint, Table

from postrider.db.schema import at, big, id_, metadata, organization_id, small, text

rollups = Table(
    "rollups",
    metadata,
    organization_id(),
    at("bucket", nullable=False),  # start of the quarter of an hour, in ms
    text("measure"),  # accepted, sent, delivered, bounced_hard, opened, opened_unique, …
    id_("domain_id"),  # 16 zero bytes: none
    small("stream"),
    small("shard"),  # of the tail: followers of two shards never wait for one row
    big("count"),
    PrimaryKeyConstraint("organization_id", "bucket", "measure", "domain_id", "stream", "shard"),
    sqlite_with_rowid=False,
)
