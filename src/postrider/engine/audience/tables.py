"""Contacts and what groups them. One row per address of an organization; values of properties twice: as the
JSON its readers get, and one row a value, ordered, for whoever searches by them.
"""

from sqlalchemy import Index, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from postrider.db.schema import at, big, blob, id_, integer, json_, metadata, organization_id, small, text

contacts = Table(
    "contacts",
    metadata,
    organization_id(),
    id_(),
    text("email"),  # as it was given
    text("address_key"),
    text("first_name", nullable=True),
    text("last_name", nullable=True),
    text("company", nullable=True),
    text("phone", nullable=True),
    text("city", nullable=True),
    text("country", nullable=True),
    text("source"),  # api, import, signup_form, manual, or the organization's own word
    small("status"),  # Status: projected from suppression, but for pending
    small("stage", server_default="0"),  # Stage of its life as a customer
    json_("properties"),
    json_("consent"),  # Consent
    text("search_text"),  # lower case, what `search` looks in
    big("search_row", nullable=True),  # its row in contact_search, where there is such a table
    integer("score", server_default="0"),  # 0 to 100: docs say how it comes about
    integer("sent", server_default="0"),
    integer("opened", server_default="0"),  # messages that were, not how often
    integer("clicked", server_default="0"),
    integer("bounced", server_default="0"),
    at("last_sent_at"),
    at("last_opened_at"),
    at("last_clicked_at"),
    at("last_activity_at"),
    at("subscribed_at"),
    at("unsubscribed_at"),
    at("created_at", nullable=False),
    at("updated_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_contacts_address", "organization_id", "address_key", unique=True),
    Index("ix_contacts_status", "organization_id", "status", "id"),
    Index("ix_contacts_source", "organization_id", "source", "id"),
    Index("ix_contacts_updated_at", "organization_id", "updated_at", "id"),
    Index("ix_contacts_score", "organization_id", "score", "id"),
    Index("ix_contacts_stage", "organization_id", "stage", "id"),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    metadata,
    organization_id(),
    id_(),
    text("name"),  # upper and lower case are different
    integer("contacts", server_default="0"),  # how many carry it
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_tags_name", "organization_id", "name", unique=True),
)

contact_tags = Table(
    "contact_tags",
    metadata,
    organization_id(),
    id_("contact_id"),
    id_("tag_id"),
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "contact_id", "tag_id"),
    Index("ix_contact_tags_tag", "organization_id", "tag_id", "contact_id"),
    sqlite_with_rowid=False,
)

lists = Table(
    "lists",
    metadata,
    organization_id(),
    id_(),
    integer("number"),  # what a surface shows that has no room for ids
    text("name"),
    text("description", nullable=True),
    small("is_public", server_default="0"),  # whether its contacts may choose it themselves
    integer("contacts", server_default="0"),
    at("created_at", nullable=False),
    at("updated_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_lists_name", "organization_id", "name", unique=True),
    Index("ux_lists_number", "organization_id", "number", unique=True),
)

list_contacts = Table(
    "list_contacts",
    metadata,
    organization_id(),
    id_("list_id"),
    id_("contact_id"),
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "list_id", "contact_id"),
    Index("ix_list_contacts_contact", "organization_id", "contact_id"),
    sqlite_with_rowid=False,
)

property_groups = Table(
    "property_groups",
    metadata,
    organization_id(),
    id_(),
    text("name"),
    text("label"),
    text("description", nullable=True),
    integer("display_order", server_default="0"),
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_property_groups_name", "organization_id", "name", unique=True),
)

property_definitions = Table(
    "property_definitions",
    metadata,
    organization_id(),
    id_(),
    text("name"),  # the property's key
    text("label"),
    text("type"),  # PropertyType
    id_("group_id", nullable=True),
    json_("options"),
    small("is_required", server_default="0"),
    small("is_visible", server_default="1"),
    json_("default_value"),
    json_("rules"),
    text("help_text", nullable=True),
    text("placeholder", nullable=True),
    integer("display_order", server_default="0"),
    at("created_at", nullable=False),
    at("updated_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_property_definitions_name", "organization_id", "name", unique=True),
)

# Every key in use, defined or not: its number stands in property_values.
property_keys = Table(
    "property_keys",
    metadata,
    organization_id(),
    integer("number"),
    text("name"),
    integer("contacts", server_default="0"),  # how many have a value
    PrimaryKeyConstraint("organization_id", "number"),
    Index("ux_property_keys_name", "organization_id", "name", unique=True),
)

# One row a value (of a list, one for each element), in the order of values: numbers first, then texts.
property_values = Table(
    "property_values",
    metadata,
    organization_id(),
    integer("key_number"),
    blob("value"),  # properties.encode: compares as the values do
    id_("contact_id"),
    PrimaryKeyConstraint("organization_id", "key_number", "value", "contact_id"),
    sqlite_with_rowid=False,
)

segments = Table(
    "segments",
    metadata,
    organization_id(),
    id_(),
    text("name"),
    text("description", nullable=True),
    small("is_dynamic"),
    json_("criteria"),  # segments.Criteria as its author wrote it
    integer("contacts", server_default="0"),
    integer("round", server_default="0"),  # of its last refresh
    at("refreshed_at"),
    at("asked_at"),  # when somebody last looked at it, changed or refreshed it, to a day
    at("refresh_at"),  # when it is refreshed next; null: static, or nobody has asked for it for long
    at("created_at", nullable=False),
    at("updated_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index(
        "ix_segments_refresh_at",
        "refresh_at",
        sqlite_where=sql("refresh_at IS NOT NULL"),
        postgresql_where=sql("refresh_at IS NOT NULL"),
    ),
)

segment_contacts = Table(
    "segment_contacts",
    metadata,
    organization_id(),
    id_("segment_id"),
    id_("contact_id"),
    PrimaryKeyConstraint("organization_id", "segment_id", "contact_id"),
    Index("ix_segment_contacts_contact", "organization_id", "contact_id"),
    sqlite_with_rowid=False,
)

# What a contact did with what was sent to it: from the journal, for segments that ask when and how often.
engagements = Table(
    "engagements",
    metadata,
    organization_id(),
    small("kind"),  # EngagementKind: sent, opened, clicked
    id_("contact_id"),
    id_("event_id"),
    at("at", nullable=False),
    id_("message_id"),
    id_("campaign_id", nullable=True),
    small("is_human", nullable=True),  # null: nobody knows
    text("link", nullable=True),  # of a click
    PrimaryKeyConstraint("organization_id", "kind", "contact_id", "event_id"),
    Index("ix_engagements_at", "organization_id", "kind", "at", "contact_id"),
    Index(
        "ix_engagements_campaign",
        "organization_id",
        "campaign_id",
        "kind",
        "contact_id",
        sqlite_where=sql("campaign_id IS NOT NULL"),
        postgresql_where=sql("campaign_id IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

imports = Table(
    "imports",
    metadata,
    organization_id(),
    id_(),
    text("status"),  # ImportStatus
    json_("plan"),  # mapping, list, what to do with known addresses, dialect of the file
    text("path", nullable=True),  # of the file below DATA_DIR, until it is done
    big("bytes", server_default="0"),
    big("position", server_default="0"),  # the byte of the next row
    integer("total", server_default="0"),
    integer("processed", server_default="0"),
    integer("created", server_default="0"),
    integer("updated", server_default="0"),
    integer("skipped", server_default="0"),
    integer("failed", server_default="0"),
    text("error", nullable=True),
    at("created_at", nullable=False),
    at("ended_at"),
    PrimaryKeyConstraint("organization_id", "id"),
)

import_errors = Table(
    "import_errors",
    metadata,
    organization_id(),
    id_("import_id"),
    integer("row"),  # counted from 1, the header not among them
    text("field", nullable=True),
    text("message"),
    text("content"),  # the row as it stood in the file, cut
    PrimaryKeyConstraint("organization_id", "import_id", "row"),
)

exports = Table(
    "exports",
    metadata,
    organization_id(),
    id_(),
    text("status"),  # ExportStatus
    json_("plan"),  # format, fields, filters
    text("path", nullable=True),
    id_("after", nullable=True),  # the last contact written
    big("bytes", server_default="0"),  # what of the file is committed
    integer("total", server_default="0"),
    integer("processed", server_default="0"),
    text("error", nullable=True),
    at("created_at", nullable=False),
    at("ended_at"),
    at("expires_at"),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ix_exports_expires_at", "expires_at"),
)
