"""What mail brought about: goals, the conversions and revenue that were told of, and their sums.

Amounts are whole thousandths of the currency's unit (kit.money); a sum is of one currency alone.
"""

from sqlalchemy import Index, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from postrider.db.schema import at, big, id_, json_, metadata, organization_id, small, text

goals = Table(
    "goals",
    metadata,
    organization_id(),
    id_(),
    text("name"),
    big("value_mils", nullable=True),  # of one conversion, where it tells none
    text("currency"),
    id_("campaign_id", nullable=True),  # the one campaign it is about
    big("conversions", server_default="0"),
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_goals_name", "organization_id", "name", unique=True),
)

conversions = Table(
    "conversions",
    metadata,
    organization_id(),
    id_(),
    id_("goal_id"),  # 16 zero bytes: none, an order
    id_("contact_id", nullable=True),
    id_("campaign_id", nullable=True),  # that it is credited to
    small("attribution"),  # Attribution
    big("amount_mils"),
    text("currency"),
    text("order_id", nullable=True),  # the customer's own: with it a repeat is a no-op
    json_("metadata"),  # the customer's own
    at("occurred_at", nullable=False),
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index(
        "ux_conversions_order",
        "organization_id",
        "order_id",
        "goal_id",
        unique=True,
        sqlite_where=sql("order_id IS NOT NULL"),
        postgresql_where=sql("order_id IS NOT NULL"),
    ),
    Index(
        "ix_conversions_contact",
        "organization_id",
        "contact_id",
        sqlite_where=sql("contact_id IS NOT NULL"),
        postgresql_where=sql("contact_id IS NOT NULL"),
    ),
)

# Sums of conversions by quarters of an hour, hours and days (UTC), and over all time (step 0, bucket 0),
# written with each of them: reports never read conversions.
revenue_rollups = Table(
    "revenue_rollups",
    metadata,
    organization_id(),
    big("step_ms"),
    at("bucket", nullable=False),
    id_("campaign_id"),  # 16 zero bytes: none
    small("kind"),  # Kind: goal, order
    text("currency"),
    big("times"),
    big("amount_mils"),
    PrimaryKeyConstraint("organization_id", "step_ms", "bucket", "campaign_id", "kind", "currency"),
    sqlite_with_rowid=False,
)
