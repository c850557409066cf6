"""Bounces that are no reports by RFC 3464: layouts known to bounces.toml, and what flufl.bounce recognizes.

It judges no mail that a person may have written: whoever calls has seen that a mail system did.
"""

import logging
import re
from dataclasses import dataclass, replace
from email.message import Message
from itertools import islice

from flufl.bounce import all_failures

from postrider.engine.delivery.feedback.diagnose import DIAGNOSTIC_MAX_CHARS, take_apart
from postrider.engine.delivery.feedback.model import Action
from postrider.engine.delivery.feedback.parts import ORIGINAL_KINDS, TEXT_MAX_CHARS, Part, read_words
from postrider.engine.delivery.feedback.tables import ADDRESS, GENERIC, Shape, bounces, named, phrase_for

LEAVES_MAX = 6  # that are read of a report's texts
PARAGRAPHS_MAX = 100
DETECTED_MAX_CHARS = 8 * 1024  # some of flufl.bounce's patterns take time by the square of a line
DETECTED_LINE_MAX_CHARS = 320
ADDRESSES_MAX = 20

NOBODY = "nobody@sender.invalid"

_ADDRESS = re.compile(ADDRESS)
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}@[A-Za-z0-9-][A-Za-z0-9.-]{1,252}")
_WORD = re.compile(r"\S+")
_GAP = re.compile(r"\n[ \t]*\n")

logging.getLogger("flufl.bounce").setLevel(logging.WARNING)  # it tells of every detector it runs


@dataclass(frozen=True, slots=True)
class Finding:
    """A failure or delay that a text tells of; `said` is the part that says why, `around` where it stands.

    It is sure where the layout is a mail system's own, or a reply or status is quoted.
    """

    recipient: str | None
    said: str
    around: str
    action: Action
    is_sure: bool


def own_words(mail: Part) -> str:
    """The text of the mail system itself, without what it returns; HTML where it wrote nothing else."""
    leaves = mail.leaves()
    end = next((place for place, leaf in enumerate(leaves) if leaf.kind in ORIGINAL_KINDS), len(leaves))
    for prefixes in (("text/plain", "multipart/"), ("text/",)):
        written = [leaf for leaf in leaves[:end] if leaf.kind.startswith(prefixes)]
        text = "\n\n".join([leaf.text() for leaf in written[:LEAVES_MAX]])[:TEXT_MAX_CHARS]
        if text.strip():
            returned = bounces().returned.search(text)
            return text[: returned.start()] if returned else text
    return ""


def find(mail: Part, words: str) -> Finding | None:
    """What a mail system's `words` tell, or None where they tell of no failure.

    A layout that is known says the most, then flufl.bounce, which names addresses and no reasons.
    """
    shaped = ((shape, _by_shape(shape, words)) for shape in bounces().shapes)
    shape, found = next(((shape, found) for shape, found in shaped if found is not None), (None, None))
    temporary, permanent = _detected(mail, words)
    addresses = permanent or temporary
    if found is None:
        said = telling(words)
        if not addresses and not _tells(said):
            return None
        found = Finding(None, said, said, Action.FAILED, _quotes(said))
    is_known = shape is not None and shape.id != GENERIC
    if not permanent and ((temporary and not is_known) or _speaks_of_delay(mail, words)):
        found = replace(found, action=Action.DELAYED)
    if found.recipient is None:
        found = replace(found, recipient=addresses[0] if addresses else _only_address(words))
    return found


def telling(text: str) -> str:
    """The paragraph that says why: with a reply, else a status, else a known phrase; else the first."""
    paragraphs = [part.strip() for part in _GAP.split(text.strip(), PARAGRAPHS_MAX)[:PARAGRAPHS_MAX]]
    paragraphs = [part[:DIAGNOSTIC_MAX_CHARS] for part in paragraphs if part]
    said = [(part, take_apart(part)) for part in paragraphs]
    for part, taken in said:
        if taken.code is not None:
            return part
    for part, taken in said:
        if taken.enhanced is not None:
            return part
    return next((part for part in paragraphs if phrase_for(part)), "\n".join(paragraphs[:1]))


def _only_address(words: str) -> str | None:
    """The one address that a text names, or None where it names several."""
    addresses = {found["recipient"] for found in islice(_ADDRESS.finditer(words), ADDRESSES_MAX)}
    return addresses.pop() if len(addresses) == 1 else None


def _tells(said: str) -> bool:
    return _quotes(said) or phrase_for(said) is not None


def _quotes(said: str) -> bool:
    taken = take_apart(said)
    return taken.code is not None or taken.enhanced is not None


def _by_shape(shape: Shape, words: str) -> Finding | None:
    opened = shape.opens.search(words)
    if opened is None:
        return None
    rest = words[opened.end() :]
    around = telling(rest)
    recipient = named(opened, "recipient")
    if recipient is None and (found := shape.recipient.search(rest)):
        recipient = named(found, "recipient")
        rest = rest[found.end() :]
    said = named(opened, "said") or rest
    if shape.said is not None and (told := shape.said.search(rest)):
        said = named(told, "said") or rest
    said = telling(said)
    said = said if _tells(said) or not _tells(around) else around
    return Finding(recipient, said, around, shape.action, shape.id != GENERIC or _quotes(said))


def _speaks_of_delay(mail: Part, words: str) -> bool:
    delayed = bounces().delayed
    return delayed.search(read_words(mail.get("subject"))) is not None or delayed.search(words) is not None


def _detected(mail: Part, words: str) -> tuple[list[str], list[str]]:
    """Addresses that flufl.bounce takes for delayed and for failed."""
    temporary, permanent = all_failures(_message(mail, words))
    return _addresses(temporary), _addresses(permanent)


def _addresses(found: frozenset[bytes]) -> list[str]:
    texts = sorted(address.decode("ascii", "ignore") for address in found)[:ADDRESSES_MAX]
    matches = [_ADDRESS.fullmatch(text) for text in texts]
    return [match["recipient"] for match in matches if match]


def _message(mail: Part, words: str) -> Message:
    """The mail as flufl.bounce reads it, made anew within limits and without the returned mail."""
    lines = [line for line in words.split("\n") if len(line) <= DETECTED_LINE_MAX_CHARS]
    body = _leaf("text/plain", _ascii_words("\n".join(lines)[:DETECTED_MAX_CHARS]))
    if not mail.kind.startswith("multipart/"):
        message = body
    else:
        body["Content-Description"] = "Notification"
        message = Message()
        message["Content-Type"] = "multipart/mixed"
        message.set_payload([body, _leaf("text/rfc822-headers", "")])
    sender = _PLAIN_ADDRESS.search(mail.get("from"))
    message["From"] = sender[0] if sender else NOBODY  # a detector fails where there is none
    if mailer := _ascii_words(mail.get("x-mailer")[:DETECTED_LINE_MAX_CHARS]):
        message["X-Mailer"] = mailer
    failed = [found["recipient"] for found in _ADDRESS.finditer(mail.get("x-failed-recipients"))]
    for address in filter(str.isascii, failed[:ADDRESSES_MAX]):
        message["X-Failed-Recipients"] = address
    return message


def _ascii_words(text: str) -> str:
    """The text without the words that are not ASCII: half of an address would be another address."""
    return text if text.isascii() else _WORD.sub(lambda word: word[0] if word[0].isascii() else "", text)


def _leaf(kind: str, text: str) -> Message:
    leaf = Message()
    leaf["Content-Type"] = kind
    leaf.set_payload(text)
    return leaf
