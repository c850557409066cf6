"""The audience: contacts, tags, lists, properties, segments, imports and exports, and what contacts did."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contact_tags",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", schema.Bytes(), nullable=False),
        sa.Column("tag_id", schema.Bytes(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "contact_id", "tag_id", name=op.f("pk_contact_tags")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_contact_tags_tag", "contact_tags", ["organization_id", "tag_id", "contact_id"], unique=False
    )
    op.create_table(
        "contacts",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("stage", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("properties", schema.Json(), nullable=True),
        sa.Column("consent", schema.Json(), nullable=True),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("search_row", sa.BigInteger(), nullable=True),
        sa.Column("score", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("opened", sa.Integer(), server_default="0", nullable=False),
        sa.Column("clicked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bounced", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_sent_at", sa.BigInteger(), nullable=True),
        sa.Column("last_opened_at", sa.BigInteger(), nullable=True),
        sa.Column("last_clicked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_activity_at", sa.BigInteger(), nullable=True),
        sa.Column("subscribed_at", sa.BigInteger(), nullable=True),
        sa.Column("unsubscribed_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_contacts")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_contacts_score", "contacts", ["organization_id", "score", "id"], unique=False)
    op.create_index("ix_contacts_stage", "contacts", ["organization_id", "stage", "id"], unique=False)
    op.create_index(
        "ix_events_contact",
        "events",
        ["organization_id", "contact_id", "id"],
        sqlite_where=sa.text("contact_id IS NOT NULL"),
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.create_index("ix_contacts_source", "contacts", ["organization_id", "source", "id"], unique=False)
    op.create_index("ix_contacts_status", "contacts", ["organization_id", "status", "id"], unique=False)
    op.create_index(
        "ix_contacts_updated_at", "contacts", ["organization_id", "updated_at", "id"], unique=False
    )
    op.create_index("ux_contacts_address", "contacts", ["organization_id", "address_key"], unique=True)
    op.create_table(
        "engagements",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("contact_id", schema.Bytes(), nullable=False),
        sa.Column("event_id", schema.Bytes(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("message_id", schema.Bytes(), nullable=False),
        sa.Column("campaign_id", schema.Bytes(), nullable=True),
        sa.Column("is_human", sa.SmallInteger(), nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "organization_id", "kind", "contact_id", "event_id", name=op.f("pk_engagements")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_engagements_at", "engagements", ["organization_id", "kind", "at", "contact_id"], unique=False
    )
    op.create_index(
        "ix_engagements_campaign",
        "engagements",
        ["organization_id", "campaign_id", "kind", "contact_id"],
        unique=False,
        sqlite_where=sa.text("campaign_id IS NOT NULL"),
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
    )
    op.create_table(
        "exports",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("plan", schema.Json(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("after", schema.Bytes(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("processed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_exports")),
    )
    op.create_index("ix_exports_expires_at", "exports", ["expires_at"], unique=False)
    op.create_table(
        "import_errors",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("import_id", schema.Bytes(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "import_id", "row", name=op.f("pk_import_errors")),
    )
    op.create_table(
        "imports",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("plan", schema.Json(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("processed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created", sa.Integer(), server_default="0", nullable=False),
        sa.Column("updated", sa.Integer(), server_default="0", nullable=False),
        sa.Column("skipped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_imports")),
    )
    op.create_table(
        "list_contacts",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("list_id", schema.Bytes(), nullable=False),
        sa.Column("contact_id", schema.Bytes(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "list_id", "contact_id", name=op.f("pk_list_contacts")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_list_contacts_contact", "list_contacts", ["organization_id", "contact_id"], unique=False
    )
    op.create_table(
        "lists",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_public", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("contacts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_lists")),
    )
    op.create_index("ux_lists_name", "lists", ["organization_id", "name"], unique=True)
    op.create_index("ux_lists_number", "lists", ["organization_id", "number"], unique=True)
    op.create_table(
        "property_definitions",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("group_id", schema.Bytes(), nullable=True),
        sa.Column("options", schema.Json(), nullable=True),
        sa.Column("is_required", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("is_visible", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("default_value", schema.Json(), nullable=True),
        sa.Column("rules", schema.Json(), nullable=True),
        sa.Column("help_text", sa.Text(), nullable=True),
        sa.Column("placeholder", sa.Text(), nullable=True),
        sa.Column("display_order", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_property_definitions")),
    )
    op.create_index(
        "ux_property_definitions_name", "property_definitions", ["organization_id", "name"], unique=True
    )
    op.create_table(
        "property_groups",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("display_order", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_property_groups")),
    )
    op.create_index("ux_property_groups_name", "property_groups", ["organization_id", "name"], unique=True)
    op.create_table(
        "property_keys",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("contacts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "number", name=op.f("pk_property_keys")),
    )
    op.create_index("ux_property_keys_name", "property_keys", ["organization_id", "name"], unique=True)
    op.create_table(
        "property_values",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("key_number", sa.Integer(), nullable=False),
        sa.Column("value", schema.Bytes(), nullable=False),
        sa.Column("contact_id", schema.Bytes(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "key_number", "value", "contact_id", name=op.f("pk_property_values")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segment_contacts",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("segment_id", schema.Bytes(), nullable=False),
        sa.Column("contact_id", schema.Bytes(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "segment_id", "contact_id", name=op.f("pk_segment_contacts")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_segment_contacts_contact", "segment_contacts", ["organization_id", "contact_id"], unique=False
    )
    op.create_table(
        "segments",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_dynamic", sa.SmallInteger(), nullable=False),
        sa.Column("criteria", schema.Json(), nullable=True),
        sa.Column("contacts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("round", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refreshed_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_segments")),
    )
    op.create_table(
        "suppression_changes",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "address_key", name=op.f("pk_suppression_changes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tags",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Bytes(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("contacts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_tags")),
    )
    op.create_index("ux_tags_name", "tags", ["organization_id", "name"], unique=True)
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE contact_search USING fts5("
            "body, organization_id UNINDEXED, contact_id UNINDEXED, tokenize='trigram')"
        )
    elif _may_have_trigrams():
        op.execute("CREATE INDEX ix_contacts_search ON contacts USING gin (search_text gin_trgm_ops)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE contact_search")
    op.drop_index("ux_tags_name", table_name="tags")
    op.drop_table("tags")
    op.drop_table("suppression_changes")
    op.drop_table("segments")
    op.drop_index("ix_segment_contacts_contact", table_name="segment_contacts")
    op.drop_table("segment_contacts")
    op.drop_table("property_values")
    op.drop_index("ux_property_keys_name", table_name="property_keys")
    op.drop_table("property_keys")
    op.drop_index("ux_property_groups_name", table_name="property_groups")
    op.drop_table("property_groups")
    op.drop_index("ux_property_definitions_name", table_name="property_definitions")
    op.drop_table("property_definitions")
    op.drop_index("ux_lists_number", table_name="lists")
    op.drop_index("ux_lists_name", table_name="lists")
    op.drop_table("lists")
    op.drop_index("ix_list_contacts_contact", table_name="list_contacts")
    op.drop_table("list_contacts")
    op.drop_table("imports")
    op.drop_table("import_errors")
    op.drop_index("ix_exports_expires_at", table_name="exports")
    op.drop_table("exports")
    op.drop_index(
        "ix_engagements_campaign",
        table_name="engagements",
        sqlite_where=sa.text("campaign_id IS NOT NULL"),
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
    )
    op.drop_index("ix_engagements_at", table_name="engagements")
    op.drop_table("engagements")
    op.drop_index("ux_contacts_address", table_name="contacts")
    op.drop_index("ix_contacts_updated_at", table_name="contacts")
    op.drop_index("ix_contacts_status", table_name="contacts")
    op.drop_index("ix_contacts_source", table_name="contacts")
    op.drop_index("ix_contacts_score", table_name="contacts")
    op.drop_index("ix_contacts_stage", table_name="contacts")
    op.drop_index("ix_events_contact", table_name="events")
    op.drop_table("contacts")
    op.drop_index("ix_contact_tags_tag", table_name="contact_tags")
    op.drop_table("contact_tags")


def _may_have_trigrams() -> bool:
    """Where the server has no pg_trgm, or we may not ask, a search reads an organization's contacts."""
    found = op.get_bind().execute(sa.text("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'"))
    if found.first() is None:
        return False
    try:
        with op.get_bind().begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.ProgrammingError:  # not allowed to
        return False
    return True
