"""How this dialect's API keys look (contract: auth.api_key)."""

from postrider.engine.accounts import KeyKind
from postrider.kit.ids import random_text

KEYS = (KeyKind("nudgecampaign", "nudgecampaign", lambda: "sk_live_" + random_text(40)),)
