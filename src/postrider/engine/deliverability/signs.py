"""What the rules of the content score look for: each gives what it found, or whether it is there. Pure."""

import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import resources

from postrider.engine.deliverability import known
from postrider.engine.deliverability.content import Facts, Link
from postrider.kit.address import InvalidAddress, parse_mailbox

LETTERS_MIN, WORDS_MIN = 8, 20  # below, a share says nothing

_REPLY = re.compile(r"\s*(?:re|fwd?|aw|sv)\s*:", re.IGNORECASE)
_ZERO_WIDTH = re.compile("[A-Za-z][\u200b-\u200d\u2060\ufeff][A-Za-z]")
SPELT_OUT = re.compile(r"\b(?:[A-Za-z][.*_-]){3,}[A-Za-z]\b")
MONEY = re.compile(r"[$€£]{2,}|[$€£]\s?\d[\d,.]*\s?(?:million|billion|000,000)", re.IGNORECASE)
_SHOWN_HOST = re.compile(r"(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,24})(?::\d+)?(?:[/?#]\S*)?", re.IGNORECASE)
_OPT_OUT = (
    "unsubscribe",
    "opt out",
    "opt-out",
    "optout",
    "preferences",
    "abmelden",
    "désabonner",
    "désinscri",
)
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")


def when(holds: Callable[[Facts], bool]) -> Callable[[Facts], Iterable[str]]:
    """A rule that holds once or not at all."""
    return lambda facts: [""] if holds(facts) else []


@cache
def _phrases(kind: str) -> dict[str, re.Pattern[str]]:
    text = resources.files(__package__).joinpath("spam_words.toml").read_text(encoding="utf-8")
    phrases: list[str] = tomllib.loads(text)[kind]
    return {
        phrase: re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE)
        for phrase in sorted(phrases, key=len, reverse=True)
    }


def said(kind: str, text: Callable[[Facts], str]) -> Callable[[Facts], Iterable[str]]:
    """Each phrase of a kind that the text has, as it is first written."""

    def find(facts: Facts) -> Iterable[str]:
        searched = " ".join(text(facts).replace("’", "'").split())
        if kind == "weak":  # `free money` is not `free` too
            _, searched = _taken_out("strong", searched)
        return _taken_out(kind, searched)[0]

    return find


def _taken_out(kind: str, text: str) -> tuple[list[str], str]:
    """The phrases found, and what is left of the text; a longer phrase goes before what it begins with."""
    found, lowered = [], text.lower()
    for phrase, pattern in _phrases(kind).items():
        if phrase in lowered and (match := pattern.search(text)):
            found.append(match.group())
            text = pattern.sub(" ", text)
    return found, text


def subject_of(facts: Facts) -> str:
    return facts.subject


def body_of(facts: Facts) -> str:
    return facts.body


def shouts(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    return len(letters) >= LETTERS_MIN and sum(char.isupper() for char in letters) > 0.6 * len(letters)


def shouts_in_body(facts: Facts) -> bool:
    loud = sum(len(word) >= 4 and word.isupper() for word in facts.words)
    return len(facts.words) >= WORDS_MIN and loud > 0.2 * len(facts.words)


def pretends_reply(facts: Facts) -> bool:
    return bool(_REPLY.match(facts.subject)) and not {"in-reply-to", "references"} & facts.headers.keys()


def many_links(facts: Facts) -> bool:
    return len(facts.links) > 10 and len(facts.words) < 10 * len(facts.links)


def has_opt_out(facts: Facts) -> bool:
    told = f"{facts.html} {facts.content.text}".lower()
    return "list-unsubscribe" in facts.headers or any(word in told for word in _OPT_OUT)


def has_zero_width(facts: Facts) -> bool:
    told = (facts.subject, facts.html, facts.content.text)
    return any(not text.isascii() and _ZERO_WIDTH.search(text) for text in told)


def differing(facts: Facts) -> Iterator[str]:
    """Links whose text names one host and that lead to another."""
    for link in facts.links:
        shown = _SHOWN_HOST.fullmatch(link.shown)
        if shown and link.host and not _same_site(shown.group(1).lower(), link.host):
            yield f"{shown.group(1)} leads to {link.host}"


def _same_site(one: str, other: str) -> bool:
    return _site(one) == _site(other) or one.endswith("." + other) or other.endswith("." + one)


def _site(host: str) -> str:
    """The domain somebody registered, as well as it is told without a list of them: shop.co.uk, shop.com."""
    labels = host.split(".")
    two_fold = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if two_fold else -2 :])


def hosts_where(holds: Callable[[Link], bool]) -> Callable[[Facts], Iterable[str]]:
    """Each host of links of which it holds, once."""
    return lambda facts: dict.fromkeys(link.host for link in facts.links if link.host and holds(link))


def is_address(link: Link) -> bool:
    if not link.host[-1].isdigit() and ":" not in link.host:  # as every name
        return False
    try:
        ipaddress.ip_address(link.host)
    except ValueError:
        return link.host.isdigit()
    return True


def free_sender(facts: Facts) -> Iterable[str]:
    sender = facts.content.from_
    return [sender.domain] if sender and known.is_free(sender.domain) else []


def posing_sender(facts: Facts) -> Iterable[str]:
    """A display name that is an address of another domain."""
    sender = facts.content.from_
    if sender is None or "@" not in sender.name:
        return []
    named = sender.name.strip().rpartition("@")[2].strip("<> ").lower()
    if not _SHOWN_HOST.fullmatch(named) or _same_site(named, sender.domain):
        return []
    return [named]


def reply_elsewhere(facts: Facts) -> Iterable[str]:
    try:
        domain = parse_mailbox(facts.headers.get("reply-to", "")).domain
    except InvalidAddress:
        return []
    return [domain] if known.is_free(domain) else []
