"""Organizations, the people in them, what proves who is asking, and what was used."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from postrider.db.schema import at, big, blob, id_, integer, json_, metadata, organization_id, small, text

organizations = Table(
    "organizations",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    id_("public_id"),
    text("name"),
    text("kind"),  # live, sandbox
    big("live_id", nullable=True),  # of a sandbox: the organization whose test keys it serves
    text("status"),  # active, suspended, pending
    text("plan"),
    json_("settings"),  # switches of the organization; names in accounts.model.Settings
    at("created_at", nullable=False),
    Index("ux_organizations_public_id", "public_id", unique=True),
    Index("ix_organizations_live_id", "live_id"),
)

users = Table(
    "users",
    metadata,
    id_(primary_key=True),
    text("email"),
    text("address_key"),
    text("name"),
    text("password_hash"),  # argon2id
    at("created_at", nullable=False),
    Index("ux_users_address_key", "address_key", unique=True),
)

memberships = Table(
    "memberships",
    metadata,
    organization_id(),
    id_("user_id"),
    text("role"),  # owner, admin, editor, viewer
    at("created_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id"),
    Index("ix_memberships_user", "user_id"),
)

# API keys and SMTP credentials: generated secrets, kept only as HMAC.
credentials = Table(
    "credentials",
    metadata,
    organization_id(),
    id_(),
    integer("number"),  # counted per organization
    text("kind"),  # key, smtp
    text("label"),  # which surface minted it
    text("name"),
    text("username", nullable=True),  # smtp
    blob("secret_hash"),
    text("hint"),  # first characters, to recognise it by
    json_("scopes"),
    id_("domain_id", nullable=True),  # the one sending domain From must use
    id_("hostname_id", nullable=True),
    text("bound_ip", nullable=True),  # the one address the credential may be used from
    small("is_master", server_default="0"),
    small("is_active", server_default="1"),
    integer("rate_limit_per_minute", nullable=True),
    integer("rate_limit_per_hour", nullable=True),
    at("expires_at"),
    at("last_used_at"),
    at("created_at", nullable=False),
    at("updated_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ux_credentials_secret_hash", "secret_hash", unique=True),
    Index(
        "ux_credentials_username",
        "username",
        unique=True,
        sqlite_where=sql("username IS NOT NULL"),
        postgresql_where=sql("username IS NOT NULL"),
    ),
)

# A user who has logged in. Its tokens name it, so that ending the row ends them all.
sessions = Table(
    "sessions",
    metadata,
    organization_id(),
    id_(),
    id_("user_id"),
    text("label"),  # through which surface
    id_("credential_id", nullable=True),  # the API key that opened it: its scopes, and it ends with the key
    blob("secret_hash", nullable=True),  # of an opaque session; null where signed tokens stand for it
    integer("generation", server_default="1"),  # of the refresh token that is good now
    at("created_at", nullable=False),
    at("expires_at", nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index(
        "ux_sessions_secret_hash",
        "secret_hash",
        unique=True,
        sqlite_where=sql("secret_hash IS NOT NULL"),
        postgresql_where=sql("secret_hash IS NOT NULL"),
    ),
    Index("ix_sessions_user", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

# Messages accepted per calendar month (UTC); the plan's limit stands in the WHERE of its one update.
usage = Table(
    "usage",
    metadata,
    organization_id(),
    integer("month"),  # 202611
    big("messages", server_default="0"),
    PrimaryKeyConstraint("organization_id", "month"),
)

# The last number given out per organization and noun.
numbers = Table(
    "numbers",
    metadata,
    organization_id(),
    text("noun"),
    integer("last"),
    PrimaryKeyConstraint("organization_id", "noun"),
)
