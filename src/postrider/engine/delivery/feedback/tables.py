"""bounces.toml and autoreplies.toml, read once and compiled. InvalidTables for anything but known words."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

from postrider.engine.delivery.classify import BounceClass, Category
from postrider.engine.delivery.feedback.model import Action, AutoReplyKind

Made = TypeVar("Made")

_ATOM = r"\s<>\"'(),;:\[\]@：，。；（）「」"
ADDRESS = rf"<?(?P<recipient>[^{_ATOM}]{{1,64}}@[^{_ATOM}]{{1,254}}[^{_ATOM}.])>?"
GENERIC = "generic"  # the shape that stands last and fits most failures
_FLAGS = re.IGNORECASE | re.MULTILINE
_PIECE = re.compile(r"\\.|\[(?:\\.|[^\]\\])+\]| (?![*+?{])", re.DOTALL)


class InvalidTables(ValueError):
    """A table does not hold what it must; the text names the entry."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a mail system lays out a bounce; see bounces.toml."""

    id: str
    opens: re.Pattern[str]
    recipient: re.Pattern[str]
    said: re.Pattern[str] | None
    action: Action


@dataclass(frozen=True, slots=True)
class Phrase:
    id: str
    text: re.Pattern[str]
    is_before_codes: bool
    bounce_class: BounceClass
    category: Category


@dataclass(frozen=True, slots=True)
class Bounces:
    shapes: tuple[Shape, ...]
    phrases: tuple[Phrase, ...]
    returned: re.Pattern[str]  # where a returned mail begins
    refused: re.Pattern[str]  # what a receipt says with which a mailbox refuses a mail
    delayed: re.Pattern[str]
    subjects: re.Pattern[str]  # of failures
    senders: re.Pattern[str]  # local parts that only mail systems write from


@dataclass(frozen=True, slots=True)
class AutoReplies:
    """Each kind with the headers and subjects it is known by, the surest first."""

    signs: tuple[tuple[AutoReplyKind, frozenset[str], re.Pattern[str]], ...]
    precedence: frozenset[str]  # of mail that no person sent


def named(match: re.Match[str], name: str) -> str | None:
    """What a pattern found by that name, or by that name and a number."""
    found = (value for group, value in match.groupdict().items() if group.startswith(name))
    return next((value for value in found if value is not None), None)


def phrase_for(text: str, *, bare: bool = True) -> Phrase | None:
    """The first phrase that stands in the text; few count where it is not bare, but has a code beside it."""
    phrases = (phrase for phrase in bounces().phrases if bare or phrase.is_before_codes)
    return next((phrase for phrase in phrases if phrase.text.search(text)), None)


@lru_cache(maxsize=1)
def bounces() -> Bounces:
    return read_bounces(_source("bounces.toml"))


@lru_cache(maxsize=1)
def auto_replies() -> AutoReplies:
    return read_auto_replies(_source("autoreplies.toml"))


def read_bounces(source: str) -> Bounces:
    """Raises InvalidTables."""
    document = _document(source, {"shape", "phrase", "returned", "refused", "delayed", "failed"})
    shapes = tuple(_entry(entry, _shape) for entry in document["shape"])
    phrases = tuple(_entry(entry, _phrase) for entry in document["phrase"])
    if shapes[-1].id != GENERIC:
        raise InvalidTables(f"the last shape must be {GENERIC}")
    ids = [*(shape.id for shape in shapes), *(phrase.id for phrase in phrases)]
    if len(set(ids)) != len(ids):
        raise InvalidTables("two entries have one id")
    return Bounces(
        shapes,
        phrases,
        returned=_any(document["returned"]["lines"]),
        refused=_any(document["refused"]["receipts"]),
        delayed=_any(document["delayed"]["text"]),
        subjects=_any(document["failed"]["subjects"]),
        senders=_any(document["failed"]["senders"]),
    )


def read_auto_replies(source: str) -> AutoReplies:
    """Raises InvalidTables."""
    kinds = (AutoReplyKind.CHALLENGE, AutoReplyKind.VACATION, AutoReplyKind.OTHER)
    document = _document(source, {str(kind) for kind in kinds})
    return AutoReplies(
        tuple(
            (kind, frozenset(document[kind]["headers"]), _any(document[kind]["subjects"])) for kind in kinds
        ),
        frozenset(document[AutoReplyKind.OTHER]["precedence"]),
    )


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _document(source: str, keys: set[str]) -> dict[str, Any]:
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InvalidTables(str(error)) from None
    if set(document) != keys:
        raise InvalidTables(f"expected {', '.join(sorted(keys))} and nothing else")
    return document


def _entry(entry: Mapping[str, str], make: Callable[[Mapping[str, str]], Made]) -> Made:
    try:
        return make(entry)
    except ValueError as error:
        raise InvalidTables(f"{entry.get('id', 'an entry without id')}: {error}") from None


def _shape(entry: Mapping[str, str]) -> Shape:
    _check(entry, {"id", "opens"}, {"recipient", "said", "action"})
    return Shape(
        id=entry["id"],
        opens=_pattern(entry["opens"]),
        recipient=_pattern(entry.get("recipient", "ADDRESS")),
        said=_pattern(entry["said"]) if "said" in entry else None,
        action=Action(entry.get("action", Action.FAILED)),
    )


def _phrase(entry: Mapping[str, str]) -> Phrase:
    _check(entry, {"id", "text", "class", "category"}, {"before"})
    if entry.get("before", "codes") != "codes":
        raise InvalidTables("before can only be codes")
    return Phrase(
        id=entry["id"],
        text=_pattern(entry["text"]),
        is_before_codes="before" in entry,
        bounce_class=BounceClass(entry["class"]),
        category=Category(entry["category"]),
    )


def _check(entry: Mapping[str, object], needed: set[str], possible: set[str]) -> None:
    known = needed <= set(entry) <= needed | possible
    if not known or not all(isinstance(value, str) for value in entry.values()):
        raise InvalidTables("a key is unknown or missing")


def _any(patterns: Sequence[str]) -> re.Pattern[str]:
    return _pattern("|".join(f"(?:{pattern})" for pattern in patterns))


def _pattern(source: str) -> re.Pattern[str]:
    """With ADDRESS filled in, and each space outside a class that is not repeated as any white space."""
    spaced = _PIECE.sub(lambda piece: r"\s{1,20}" if piece[0] == " " else piece[0], source)
    first, *others = spaced.split("ADDRESS")
    named = [
        ADDRESS.replace("recipient", f"recipient_{number}") + other for number, other in enumerate(others)
    ]
    try:
        return re.compile("".join([first, *named]), _FLAGS)
    except re.error as error:
        raise InvalidTables(f"{source}: {error}") from None
