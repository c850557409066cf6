"""Which message of ours a mail is about: by the address it came to, else by what it returns of our mail.

Our mail carries its token in the return path `b+token@`, in List-Unsubscribe (`unsubscribe+token@` and
`/track/u/token`) and in tracked links. Its Message-ID has none: it names the request, not the recipient.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from postrider.engine.delivery.feedback.parts import ORIGINAL_KINDS, Part, read_fields
from postrider.kit.seal import TOKEN_MAX_CHARS, TOKEN_MIN_CHARS, Sealer

MENTIONS_MAX = 50
MESSAGE_ID_MAX_CHARS = 998

_SHAPE = f"[a-z2-7]{{{TOKEN_MIN_CHARS},{TOKEN_MAX_CHARS}}}"
_TOKEN = re.compile(_SHAPE)
_MENTION = re.compile(
    rf"(?:(?<![a-z0-9])(?:b|unsubscribe)(?:\+|%2b)|/track/[ocu]/)({_SHAPE})(?![a-z2-7])".encode(),
    re.IGNORECASE,
)
_MESSAGE_ID = re.compile(r"<[^<>\s]{3,}>")
_SOFT_BREAK = re.compile(rb"=\n")


class Door(StrEnum):
    """The kinds of local part that mail comes back to; `b+…` and `unsubscribe+…` carry a token."""

    RETURN_PATH = "b"
    OPT_OUT = "unsubscribe"
    OTHER = ""


def door_of(local_part: str) -> tuple[Door, str]:
    """Which door it is, and what stands behind its plus."""
    name, _, rest = local_part.strip().lower().partition("+")
    match name:
        case "b" if rest:
            return Door.RETURN_PATH, rest
        case "unsubscribe":
            return Door.OPT_OUT, rest
        case _:
            return Door.OTHER, ""


def genuine(token: str, sealer: Sealer | None) -> str | None:
    """The token where this installation made it; without a sealer, where it has a token's shape."""
    if not _TOKEN.fullmatch(token):
        return None
    return token if sealer is None or sealer.read_message_token(token) is not None else None


def find_token(mail: Part, addressed: str, sealer: Sealer | None) -> str | None:
    """The token in the address, else the first genuine one in the returned mail, else in the report."""
    candidates = (genuine(token, sealer) for token in _candidates(mail, addressed))
    return next(filter(None, candidates), None)


def returned_mail(mail: Part) -> bytes:
    """The original as far as it came back as a part of its own, from its header on; else nothing."""
    original = mail.find(*ORIGINAL_KINDS)
    return b"" if original is None else original.octets()


def message_id_of(original: bytes) -> str | None:
    """The Message-ID of a returned mail, with its brackets."""
    fields, _ = read_fields(original.lstrip())
    for name, value in fields:
        if name == "message-id" and (found := _MESSAGE_ID.search(value)):
            return found[0][:MESSAGE_ID_MAX_CHARS]
    return None


def _candidates(mail: Part, addressed: str) -> Iterator[str]:
    yield addressed
    yield from _mentions([returned_mail(mail)])
    heads = "\n".join([value for _, value in mail.fields]).encode()
    yield from _mentions([heads, *(leaf.octets() for leaf in mail.leaves())])


def _mentions(texts: Iterable[bytes]) -> Iterator[str]:
    left = MENTIONS_MAX
    for text in texts:
        for match in _MENTION.finditer(_SOFT_BREAK.sub(b"", text)):
            yield match[1].decode().lower()
            left -= 1
            if left <= 0:
                return
