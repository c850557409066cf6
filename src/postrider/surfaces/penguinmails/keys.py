"""How this dialect's API keys look (contract: auth.api_key)."""

from postrider.engine.accounts import KeyKind
from postrider.kit.ids import random_text

KEYS = (
    KeyKind("penguinmails", "penguinmails", lambda: "pk_live_" + random_text(40)),
    KeyKind("penguinmails_test", "penguinmails", lambda: "sk_test_" + random_text(40), for_sandbox=True),
)
