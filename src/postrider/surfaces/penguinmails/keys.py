"""How this dialect's API keys look (contract: auth.api_key): pk_live_, and sk_test_ of the sandbox."""

from postrider.engine.accounts import KeyKind
from postrider.kit.ids import random_text

LIVE, TEST = "pk_live_", "sk_test_"
_CHARS = 40


def make_live() -> str:
    return LIVE + random_text(_CHARS)


def make_test() -> str:
    return TEST + random_text(_CHARS)


KEYS = (
    KeyKind("penguinmails", "penguinmails", make_live),
    KeyKind("penguinmails_test", "penguinmails", make_test, for_sandbox=True),
)
