"""What a role allows, in scopes: one table for every surface."""

from postrider.engine.principal import ALL_SCOPES

ROLES: dict[str, frozenset[str]] = {
    "owner": frozenset({ALL_SCOPES}),
    "admin": frozenset({ALL_SCOPES}),
    "editor": frozenset(
        {
            "messages:*", "campaigns:*", "contacts:*", "lists:*", "templates:*", "suppression:*",
            "domains:read", "credentials:read", "organization:read", "queues:read", "webhooks:read",
            "analytics:read", "conversions:write",
        }
    ),
    "viewer": frozenset(
        {
            "messages:read", "campaigns:read", "contacts:read", "lists:read", "templates:read",
            "suppression:read", "domains:read", "credentials:read", "organization:read", "queues:read",
            "webhooks:read", "analytics:read",
        }
    ),
}  # fmt: skip
