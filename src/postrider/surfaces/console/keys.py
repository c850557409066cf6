"""How keys of Postrider's own API look."""

from postrider.engine.accounts import KeyKind
from postrider.kit.ids import random_text

KEYS = (KeyKind("console", "console", lambda: "pr_live_" + random_text(40)),)
