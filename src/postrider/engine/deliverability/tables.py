"""How many checks an organization has had this month."""

from sqlalchemy import PrimaryKeyConstraint, Table

from postrider.db.schema import big, integer, metadata, organization_id, text

# By calendar month (UTC); the plan's limit stands in the WHERE of its one update.
checks_used = Table(
    "checks_used",
    metadata,
    organization_id(),
    integer("month"),  # 202611
    text("kind"),  # quota.Kind
    big("used"),
    PrimaryKeyConstraint("organization_id", "month", "kind"),
)
