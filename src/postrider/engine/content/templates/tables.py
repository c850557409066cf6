"""Templates. What may be large stands last in a row, so that a list is put in order without reading it."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from postrider.db.schema import at, id_, integer, json_, metadata, organization_id, small, text

templates = Table(
    "templates",
    metadata,
    organization_id(),
    id_(),
    integer("number"),  # what a surface shows that has no room for ids
    text("name"),  # several may have one
    text("description", nullable=True),
    text("category", nullable=True),  # the organization's own word
    small("is_public", server_default="0"),  # the operator's: every organization may read it
    integer("usage_count", server_default="0"),  # campaigns that its own organization made from it
    integer("size_bytes"),  # of variables, html, text and mjml together
    id_("created_by", nullable=True),  # a user; none where a key made it
    at("created_at", nullable=False),
    at("updated_at", nullable=False),
    text("subject", nullable=True),
    json_("variables"),  # [Variable.to_json(), …]
    text("html"),
    text("text", nullable=True),  # null: derived from the HTML when it is mailed
    text("mjml", nullable=True),  # what the HTML was compiled from
    text("ready_subject", nullable=True),  # Content; null: as the subject
    text("ready_html", nullable=True),  # null: as the HTML
    text("ready_text"),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ix_templates_name", "organization_id", "name", "id"),
    Index("ux_templates_number", "organization_id", "number", unique=True),
)
