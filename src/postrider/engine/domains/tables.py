"""Sending domains and the keys that sign for them."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from postrider.db.schema import at, blob, id_, integer, metadata, organization_id, small, text

domains = Table(
    "domains",
    metadata,
    organization_id(),
    id_(),
    integer("number"),
    text("name"),  # A-labels, lower case
    text("status"),  # pending, verified, failed
    text("verification_token"),
    small("ownership_ok", server_default="0"),
    small("spf_ok", server_default="0"),
    small("dkim_ok", server_default="0"),
    small("dmarc_ok", server_default="0"),
    small("return_path_ok", server_default="0"),
    small("tracking_enabled", nullable=True),  # null: as the organization has it
    small("open_tracking_enabled", nullable=True),
    small("click_tracking_enabled", nullable=True),
    small("unsubscribe_header_enabled", nullable=True),
    id_("tracking_domain_id", nullable=True),
    text("return_path_label", server_default="bounces"),  # the host below the domain that bounces go to
    text("hosting_provider", nullable=True),  # as the customer names it
    at("checked_at"),
    at("next_check_at"),  # null: nobody looks by himself
    small("bad_checks", server_default="0"),  # in a row
    at("verified_at"),
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_domains_name", "organization_id", "name", unique=True),
    Index("ix_domains_name", "name"),
    Index("ix_domains_next_check_at", "next_check_at"),
)

dkim_keys = Table(
    "dkim_keys",
    metadata,
    organization_id(),
    id_(),
    id_("domain_id"),
    text("selector"),
    text("algorithm"),  # rsa-sha256, ed25519-sha256
    text("state"),  # next (published, not yet signing), active, retired (published, no longer signing)
    blob("private_key"),  # PKCS#8 DER, sealed
    text("public_key"),  # base64 as it stands in p=
    at("created_at", nullable=False),
    at("activated_at"),
    at("retired_at"),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_dkim_keys_selector", "organization_id", "domain_id", "selector", unique=True),
)
