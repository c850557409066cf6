"""How this dialect's keys look (contract: auth.user_api_key, auth.rest_sender_key): groups of hex digits."""

from postrider.engine.accounts import KeyKind
from postrider.kit.ids import random_hex

USER_LABEL = "octeth"  # a user's key: APIKey on /api.php
SENDER_LABEL = "octeth_sender"  # a sender domain's key: the bearer of /api/v1

SENDER_SCOPES = ("messages:send", "messages:read", "domains:read", "webhooks:read", "webhooks:write")

USER_GROUPS, USER_DIGITS = 8, 4
SENDER_GROUPS, SENDER_DIGITS = 4, 8


def user_key() -> str:
    """8 groups of 4 digits in lower case: 128 bits."""
    return "-".join(random_hex(USER_DIGITS) for _ in range(USER_GROUPS))


def sender_key() -> str:
    """4 groups of 8 digits in upper case: 128 bits."""
    return "-".join(random_hex(SENDER_DIGITS).upper() for _ in range(SENDER_GROUPS))


KEYS = (
    KeyKind(USER_LABEL, USER_LABEL, user_key),
    KeyKind(SENDER_LABEL, SENDER_LABEL, sender_key, scopes=SENDER_SCOPES, for_domain=True),
)
