"""What a role allows, in scopes: one table for every surface."""

from postrider.engine.principal import ALL_SCOPES

ROLES: dict[str, frozenset[str]] = {
    "owner": frozenset({ALL_SCOPES}),
    "admin": frozenset({ALL_SCOPES}),
    "editor": frozenset(
        {
            "messages:*", "campaigns:*", "contacts:*", "lists:*", "suppression:*", "domains:read",
            "credentials:read", "organization:read", "queues:read", "webhooks:read",
        }
    ),
    "viewer": frozenset(
        {
            "messages:read", "campaigns:read", "contacts:read", "lists:read", "suppression:read",
            "domains:read", "credentials:read", "organization:read", "queues:read", "webhooks:read",
        }
    ),
}  # fmt: skip
