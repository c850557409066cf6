"""How this dialect's user API keys look (contract: auth.user_api_key): 8 groups of 4 hex digits."""

from postrider.engine.accounts import KeyKind
from postrider.kit.ids import random_hex

GROUPS = 8


def _user_key() -> str:
    return "-".join(random_hex(4) for _ in range(GROUPS))


KEYS = (KeyKind("octeth", "octeth", _user_key),)
