"""What is to be mailed, to whom, along which lane, and what was tried."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, PrimaryKeyConstraint, Table, Text
from sqlalchemy import text as sql

from postrider.db.schema import at, big, blob, id_, integer, json_, metadata, organization_id, small, text

# All that is equal for every recipient of one acceptance.
contents = Table(
    "contents",
    metadata,
    organization_id(),
    id_(),
    small("kind"),  # ContentKind: parts (we compose), raw (MIME as handed in)
    text("from_header"),  # the From header's mailbox as text
    text("from_address"),
    text("subject"),
    json_("headers"),  # custom headers as [[name, value]…]; reply_to, to, cc for composing
    json_("tags"),
    json_("metadata"),  # the sender's own data: echoed, never sent
    small("track_opens"),
    small("track_clicks"),
    small("unsubscribe_header"),
    json_("links"),  # href values by index: what a click may lead to
    json_("attachments"),  # [{hash, filename, content_type, cid, size_bytes}]
    integer("size_bytes"),
    integer("messages"),  # how many messages were made of it
    at("created_at", nullable=False),
    at("expires_at", nullable=False),  # when nothing is sent of it any more; its body goes some time after
    PrimaryKeyConstraint("organization_id", "id"),
    sqlite_with_rowid=False,
)

# Bodies stand outside the clustered key: rows of contents stay narrow (measured 3,800 -> 6,200 accepts/s).
content_bodies = Table(
    "content_bodies",
    metadata,
    organization_id(),
    id_("content_id"),
    blob("body"),  # raw MIME, or JSON of the parts, by the content's kind
    PrimaryKeyConstraint("organization_id", "content_id"),
)

# Attachments are kept once per organization and SHA-256.
attachments = Table(
    "attachments",
    metadata,
    organization_id(),
    blob("hash"),
    blob("body"),
    at("used_at", nullable=False),  # when the last mail with it was, or will be, sent
    PrimaryKeyConstraint("organization_id", "hash"),
    Index("ix_attachments_used_at", "used_at"),
)

# One row per envelope recipient.
messages = Table(
    "messages",
    metadata,
    organization_id(),
    id_(),
    id_("group_id"),  # the id a surface hands out; several recipients of one request share it
    id_("content_id"),
    id_("campaign_id", nullable=True),
    id_("run_id", nullable=True),
    small("variant", nullable=True),
    id_("contact_id", nullable=True),
    id_("automation_id", nullable=True),
    id_("enrolment_id", nullable=True),
    id_("step_id", nullable=True),
    text("recipient"),  # as it stands in RCPT TO
    text("address_key"),
    small("role"),  # Role: to, cc, bcc
    json_("vars"),
    small("stream"),  # Stream: transactional, broadcast, shared
    small("declared_stream"),
    id_("domain_id", nullable=True),
    big("lane_id"),
    at("created_at", nullable=False),
    at("due_at"),  # null: nothing is to be done (claimed, or ended)
    text("owner", nullable=True),  # the worker that holds it
    small("attempts", server_default="0"),
    small("status"),  # Status
    id_("ip_id", nullable=True),
    small("is_test", server_default="0"),
    at("first_sent_at"),
    at("first_delivered_at"),
    at("first_bounced_at"),
    at("first_opened_at"),
    at("first_human_opened_at"),
    at("first_clicked_at"),
    at("first_human_clicked_at"),
    at("first_complained_at"),
    at("first_unsubscribed_at"),
    integer("opens", server_default="0"),
    integer("clicks", server_default="0"),
    PrimaryKeyConstraint("organization_id", "id"),
    Index(
        "ix_messages_due",
        "lane_id",
        "due_at",
        "id",
        sqlite_where=sql("due_at IS NOT NULL"),
        postgresql_where=sql("due_at IS NOT NULL"),
    ),
    Index(
        "ix_messages_owner",
        "owner",
        sqlite_where=sql("owner IS NOT NULL"),
        postgresql_where=sql("owner IS NOT NULL"),
    ),
    Index("ix_messages_group", "organization_id", "group_id"),
    Index("ix_messages_address", "organization_id", "address_key", "id"),
    Index(
        "ix_messages_campaign",
        "organization_id",
        "campaign_id",
        "id",
        sqlite_where=sql("campaign_id IS NOT NULL"),
        postgresql_where=sql("campaign_id IS NOT NULL"),
    ),
    Index(  # a campaign's recipients of one status: in the millions most have another
        "ix_messages_campaign_status",
        "organization_id",
        "campaign_id",
        "status",
        "id",
        sqlite_where=sql("campaign_id IS NOT NULL"),
        postgresql_where=sql("campaign_id IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    organization_id(),
    id_("message_id"),
    small("number"),  # from 1
    at("started_at", nullable=False),
    integer("duration_ms"),
    text("outcome"),  # Verdict: delivered, deferred, bounced, failed
    text("via"),  # direct, relay, capture, simulator
    text("host", nullable=True),
    text("ip", nullable=True),
    text("tls", nullable=True),  # TLSv1.3, or null for none
    integer("code", nullable=True),
    text("enhanced", nullable=True),
    text("reply", nullable=True),
    text("rule", nullable=True),  # the line of classify.toml that matched
    text("bounce_class", nullable=True),  # hard, soft, block
    text("transcript", nullable=True),
    PrimaryKeyConstraint("organization_id", "message_id", "number"),
    sqlite_with_rowid=False,
)

# A site is a set of MX hosts (or the relay, or capture): the place limits apply to. Large ones have slots.
sites = Table(
    "sites",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    text("name"),
    small("slot", server_default="0"),
    integer("max_connections"),
    Column("rate_per_s", Float, nullable=True),  # messages a second; null: no limit
    at("next_due", nullable=False),  # nothing of the site's lanes is due before
    at("throttled_until", nullable=False, server_default="0"),
    integer("failures", server_default="0"),  # connection failures in a row: the back-off's exponent
    text("owner", nullable=True),  # the worker that alone serves it: so its limits are exact
    Index("ux_sites_name", "name", "slot", unique=True),
    Index("ix_sites_next_due", "next_due"),
)

# Which site a recipient's domain was last found at; without a row the mail asks the DNS first.
domain_sites = Table(
    "domain_sites",
    metadata,
    Column("domain", Text, primary_key=True),  # A-labels, lower case
    text("site"),
    at("expires_at", nullable=False),
    Index("ix_domain_sites_expires_at", "expires_at"),
)

# A lane is (organization, stream, site): what is paused, resumed and served in turn.
lanes = Table(
    "lanes",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    organization_id(),
    small("stream"),
    big("site_id"),
    at("next_due", nullable=False),  # also the lane's place in the queue: served lanes go behind the others
    small("paused", server_default="0"),  # bits of queue.rules.Pause: by hand, with its stream
    Index("ux_lanes_place", "organization_id", "stream", "site_id", unique=True),
    Index("ix_lanes_due", "site_id", "stream", "next_due"),
)

# An organization's stream that was stopped whole: its lanes are paused, those made later too.
paused_streams = Table(
    "paused_streams",
    metadata,
    organization_id(),
    small("stream"),
    text("reason"),
    at("paused_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "stream"),
)
