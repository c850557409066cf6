"""The global tables that belong to no noun: the workers alive, and the installation itself."""

from sqlalchemy import Table

from postrider.db.schema import at, metadata, text

workers = Table(
    "workers",
    metadata,
    text("id", primary_key=True),
    text("node"),  # the DATA_DIR it runs on: what a dead process of the same node held is free at once
    text("roles"),
    at("started_at", nullable=False),
    at("leased_until", nullable=False),
)

installation = Table(
    "installation",
    metadata,
    text("key", primary_key=True),
    text("value"),
)
