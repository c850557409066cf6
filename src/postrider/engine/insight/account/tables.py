"""Counts of an account as a whole: with what and where its mail is read, when, and how its audience grows."""

from sqlalchemy import PrimaryKeyConstraint, Table

from postrider.db.schema import at, big, json_, metadata, organization_id, small, text

# Openings and clicks by what they were made with, and where: by quarters of an hour, days, weeks (UTC).
trait_rollups = Table(
    "trait_rollups",
    metadata,
    organization_id(),
    big("step_ms"),
    small("trait"),  # Trait: device, client, country, city
    at("bucket", nullable=False),
    text("value"),  # empty: unknown
    big("opens"),
    big("clicks"),
    PrimaryKeyConstraint("organization_id", "step_ms", "trait", "bucket", "value"),
    sqlite_with_rowid=False,
)

# An account's mail by quarters of an hour, hours and days (UTC): a row each, for a year of days reads many.
mail_rollups = Table(
    "mail_rollups",
    metadata,
    organization_id(),
    big("step_ms"),
    at("bucket", nullable=False),
    big("sent"),  # accepted, less what was called back
    big("delivered"),
    big("opened"),  # for the first time
    big("clicked"),  # for the first time
    big("read"),  # of those delivered in this time, opened since, whenever that was
    PrimaryKeyConstraint("organization_id", "step_ms", "bucket"),
    sqlite_with_rowid=False,
)

# Contacts that came and went, by quarters of an hour, hours and days (UTC).
contact_rollups = Table(
    "contact_rollups",
    metadata,
    organization_id(),
    big("step_ms"),
    at("bucket", nullable=False),
    small("change"),  # Change: created, deleted, unsubscribed, bounced
    big("count"),
    PrimaryKeyConstraint("organization_id", "step_ms", "bucket", "change"),
    sqlite_with_rowid=False,
)

# All contacts counted at one time, where they are too many to be counted for each question.
contact_censuses = Table(
    "contact_censuses",
    metadata,
    organization_id(primary_key=True, autoincrement=False),
    json_("counts"),  # census.Census
    at("taken_at", nullable=False),
)
