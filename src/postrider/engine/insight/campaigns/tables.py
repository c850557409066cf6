"""What became of campaigns: counts by time and in all, and of which messages.

An organization is followed by one worker at a time: no row is waited for.
"""

from sqlalchemy import PrimaryKeyConstraint, Table

from postrider.db.schema import at, big, id_, integer, metadata, organization_id, small, text

# Counts of a campaign's messages by time; those of hours and days are sums of those of quarters of an hour.
campaign_rollups = Table(
    "campaign_rollups",
    metadata,
    organization_id(),
    id_("campaign_id"),
    integer("step_ms"),
    text("measure"),  # Measure
    at("bucket", nullable=False),
    small("variant"),  # 0: none
    big("count"),
    PrimaryKeyConstraint("organization_id", "campaign_id", "step_ms", "measure", "bucket", "variant"),
    sqlite_with_rowid=False,
)

# The same in all, and of each link: what every report begins with, be the campaign a day old or ten years.
campaign_counts = Table(
    "campaign_counts",
    metadata,
    organization_id(),
    id_("campaign_id"),
    integer("link"),  # campaign_links.number; 0: of the campaign
    small("variant"),
    text("measure"),
    big("count"),
    at("first_at"),  # when the first was, and the last; null for what may be taken back
    at("last_at"),
    PrimaryKeyConstraint("organization_id", "campaign_id", "link", "variant", "measure"),
    sqlite_with_rowid=False,
)

# The links of a campaign that were followed, numbered from 1: the contents of its variants may share some.
campaign_links = Table(
    "campaign_links",
    metadata,
    organization_id(),
    id_("campaign_id"),
    integer("number"),
    text("url"),  # as it stands in the content
    PrimaryKeyConstraint("organization_id", "campaign_id", "number"),
    sqlite_with_rowid=False,
)

# A message of a campaign to which something happened, how often, when and by whom: it tells what the first
# of all is, of humans, of scanners; lists of recipients read it. No rollup: it is kept as messages are.
campaign_hits = Table(
    "campaign_hits",
    metadata,
    organization_id(),
    id_("campaign_id"),
    small("kind"),  # HitKind: opened, clicked, followed a link, bounced, …
    integer("link"),  # campaign_links.number, 0 but for a link followed
    id_("message_id"),
    small("variant"),
    integer("times"),
    at("first_at"),
    at("last_at"),
    integer("human"),
    at("first_human_at"),
    at("last_human_at"),
    integer("scanner"),
    at("first_scanner_at"),
    at("last_scanner_at"),
    PrimaryKeyConstraint("organization_id", "campaign_id", "kind", "link", "message_id"),
    sqlite_with_rowid=False,
)
