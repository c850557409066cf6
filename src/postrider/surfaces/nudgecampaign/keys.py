"""How this dialect's API keys look (contract: auth.api_key)."""

from postrider.engine.accounts import KeyKind
from postrider.kit.ids import random_text

PREFIX = "sk_live_"


def make_key() -> str:
    """40 random characters behind the prefix, 200 bits."""
    return PREFIX + random_text(40)


KEYS = (KeyKind("nudgecampaign", "nudgecampaign", make_key),)
