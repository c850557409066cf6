"""How this dialect's API keys look (contract: auth.api_key): ml_live_ and 64 hex digits."""

from postrider.engine.accounts import KeyKind
from postrider.kit.ids import random_hex

KEYS = (KeyKind("mailerlogic", "mailerlogic", lambda: "ml_live_" + random_hex(64)),)
