"""What the far end's answer means, by the ordered rules of classify.toml. It decides nothing: see policy."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources

from postrider.engine.delivery.replies import Stage

TEXT_MAX_CHARS = 1_000
SILENCE = "none"
_RULES_FILE = "classify.toml"
# Until RCPT nobody has named the recipient: what is unknown or invalid there is ours.
_BEFORE_RECIPIENTS = frozenset((Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.MAIL))


class Verdict(StrEnum):
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"  # refused for good; the bounce class says what that means for the address
    FAILED = "failed"  # refused for good, for a reason that says nothing of the address


class BounceClass(StrEnum):
    HARD = "hard"  # the address does not exist
    SOFT = "soft"  # its mailbox is full, or away
    BLOCK = "block"  # the address is fine: the mail or its sender is refused


class Category(StrEnum):
    UNKNOWN_USER = "unknown_user"
    MAILBOX_FULL = "mailbox_full"
    DOMAIN_INVALID = "domain_invalid"
    SPAM = "spam"
    BLOCKLIST = "blocklist"
    POLICY = "policy"
    REPUTATION = "reputation"
    GREYLIST = "greylist"
    RATE = "rate"
    AUTH = "auth"
    CONTENT = "content"
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"
    CONNECTION = "connection"
    TLS = "tls"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Classified:
    """`rule` is the id of the rule that matched; `back_off_s` how long to leave the whole site alone."""

    verdict: Verdict
    bounce_class: BounceClass | None
    rule: str
    category: Category
    back_off_s: int | None = None


class InvalidRules(ValueError):
    """classify.toml does not hold what it must; the text names the rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of the file, compiled; empty conditions hold for everything."""

    id: str
    codes: tuple[str, ...]
    enhanced: tuple[str, ...]  # each ends in a dot, so that 5.7.1 does not cover 5.7.10
    text: re.Pattern[str] | None
    stages: frozenset[Stage]
    bounce_class: BounceClass | None
    category: Category
    is_deferred: bool
    back_off_s: int | None

    def matches(self, code: str, enhanced: str, text: str, stage: Stage) -> bool:
        return (
            (not self.codes or code.startswith(self.codes))
            and (not self.enhanced or enhanced.startswith(self.enhanced))
            and (not self.stages or stage in self.stages)
            and (self.bounce_class is not BounceClass.HARD or stage not in _BEFORE_RECIPIENTS)
            and (self.text is None or self.text.search(text) is not None)
        )


DELIVERED = Classified(Verdict.DELIVERED, None, "accepted", Category.OTHER)


def classify(code: int | None, enhanced: str | None, text: str, stage: Stage) -> Classified:
    """The meaning of an answer; `code` None is silence. Only a 2xx at the end of data is delivered."""
    if code is not None and code < 300 and stage is Stage.END:
        return DELIVERED
    said = SILENCE if code is None else str(code)
    text = text[:TEXT_MAX_CHARS]
    rule = next(
        rule for rule in _rules() if rule.matches(said, f"{enhanced}." if enhanced else "", text, stage)
    )
    if code is None or code < 500 or rule.is_deferred:
        # A temporary "unknown user" is a server that has lost its directory, not a dead address.
        bounce_class = None if rule.bounce_class is BounceClass.HARD else rule.bounce_class
        return Classified(Verdict.DEFERRED, bounce_class, rule.id, rule.category, rule.back_off_s)
    verdict = Verdict.FAILED if rule.bounce_class is None else Verdict.BOUNCED
    return Classified(verdict, rule.bounce_class, rule.id, rule.category, rule.back_off_s)


def read_rules(source: str) -> tuple[Rule, ...]:
    """Raises InvalidRules for anything but complete rules with known words, the last matching always."""
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRules(str(error)) from None
    entries = document.get("rule")
    if set(document) != {"rule"} or not isinstance(entries, list):
        raise InvalidRules("expected [[rule]] entries and nothing else")
    rules = tuple(_read_rule(entry) for entry in entries)
    if len({rule.id for rule in rules}) != len(rules):
        raise InvalidRules("two rules have one id")
    last = rules[-1] if rules else None
    if last is None or last.codes or last.enhanced or last.text or last.stages:
        raise InvalidRules("the last rule must match everything")
    return rules


@lru_cache(maxsize=1)
def _rules() -> tuple[Rule, ...]:
    return read_rules(resources.files(__package__).joinpath(_RULES_FILE).read_text("utf-8"))


_KEYS = {
    "id": str,
    "code": list,
    "enhanced": list,
    "text": str,
    "stage": list,
    "class": str,
    "category": str,
    "verdict": str,
    "back_off_s": int,
}
_CODE = re.compile(r"none|[45]\d{0,2}")
_ENHANCED = re.compile(r"[45](\.\d{1,4}){0,2}")


def _read_rule(entry: Mapping[str, object]) -> Rule:
    name = entry.get("id", "a rule without id")
    for key, value in entry.items():
        if not isinstance(value, _KEYS.get(key, type(None))):
            raise InvalidRules(f"{name}: {key} is unknown or of the wrong type")
    if missing := {"id", "class", "category"} - set(entry):
        raise InvalidRules(f"{name}: {', '.join(sorted(missing))} is missing")
    if entry.get("verdict", Verdict.DEFERRED) != Verdict.DEFERRED:
        raise InvalidRules(f"{name}: verdict can only be deferred")
    try:
        return Rule(
            id=str(entry["id"]),
            codes=_words(entry, "code", _CODE),
            enhanced=tuple(f"{prefix}." for prefix in _words(entry, "enhanced", _ENHANCED)),
            text=re.compile(str(entry["text"]), re.IGNORECASE) if "text" in entry else None,
            stages=frozenset(map(Stage, _words(entry, "stage", re.compile(r"\w+")))),
            bounce_class=None if entry["class"] == "none" else BounceClass(str(entry["class"])),
            category=Category(str(entry["category"])),
            is_deferred="verdict" in entry,
            back_off_s=int(str(entry["back_off_s"])) if "back_off_s" in entry else None,
        )
    except (ValueError, re.error) as error:
        raise InvalidRules(f"{name}: {error}") from None


def _words(entry: Mapping[str, object], key: str, form: re.Pattern[str]) -> tuple[str, ...]:
    words = entry.get(key, [])
    assert isinstance(words, Sequence)
    if key in entry and not words:
        raise ValueError(f"{key} is empty")
    for word in words:
        if not isinstance(word, str) or not form.fullmatch(word):
            raise ValueError(f"{key}: {word!r}")
    return tuple(words)
