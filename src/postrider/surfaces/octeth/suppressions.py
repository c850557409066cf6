"""The suppression list behind the email operation's number 14: browsed, added to, taken from.

It has each address once that is blocked or has opted out, in whatever scope; the operator's own list is not
the user's and is not shown.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from postrider.engine import suppression
from postrider.engine.errors import Invalid, NotFound
from postrider.engine.suppression import Class, New, Reason, Source
from postrider.engine.suppression.find import PATTERN_MAX_CHARS, WILDCARDS_MAX
from postrider.engine.suppression.put import IMPORT_MAX
from postrider.kit import json
from postrider.surfaces.common.operations import Call
from postrider.surfaces.octeth.command import Command, Parameter, Payload, Values
from postrider.surfaces.octeth.errors import Code, Faulty, Form, documented
from postrider.surfaces.octeth.limits import RETRIEVED, RETRIEVED_MAX
from postrider.surfaces.octeth.parameters import NUMBER, Kind, text_within

READ, WRITE = "suppression:read", "suppression:write"
LISTED = (Class.BLOCK, Class.OPTOUT)
IMPORT_NOTE = "Suppression List Import"
NEITHER_GIVEN = 1


def _pattern(value: Any) -> str:
    """An address with `*` for anything; several of them together are one."""
    pattern = text_within(PATTERN_MAX_CHARS)(value)
    while "**" in pattern:
        pattern = pattern.replace("**", "*")
    if pattern.count("*") > WILDCARDS_MAX:
        raise ValueError("too many wildcards")
    return pattern


def _addresses(value: Any) -> list[str]:
    """Texts in a JSON array, or in an array that stands in a text."""
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError("not an array of texts")
    return found


def _lines(value: Any) -> list[str]:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value.splitlines()


def _address(value: Any) -> str:
    """An address's key."""
    try:
        return suppression.key_of(value if isinstance(value, str) else "")
    except Invalid as error:
        raise ValueError(error.sentence) from None


PATTERN, ADDRESSES, LINES = Kind(_pattern, str), Kind(_addresses, str | list[str]), Kind(_lines, str)
ADDRESS = Kind(_address, str)


async def browse(call: Call, values: Values) -> Payload:
    """In alphabetical order; a pattern without a wildcard is the whole address."""
    principal, pattern = call.caller.principal, values.get("SearchPattern", "")
    is_whole = "*" not in pattern
    narrowed: Any = {
        "classes": LISTED,
        "address_key": pattern.casefold() if pattern and is_whole else None,
        "pattern": None if is_whole else pattern,
    }
    offset = values.get("StartFrom", 0)
    limit = min(values.get("RetrieveCount", RETRIEVED), RETRIEVED_MAX)

    def read(tx: Any) -> tuple[list[str], int]:
        found = suppression.browse_addresses(tx, principal, limit=limit, offset=offset, **narrowed)
        return found, suppression.count_addresses(tx, principal, **narrowed)

    found, total = await call.services.db.read(read)
    return {"TotalRecords": total, "SuppressedEmails": found}


async def import_addresses(call: Call, values: Values) -> Payload:
    """In portions, each a write of its own: a repeat of what was cut off adds the rest."""
    if not values.keys() & {"EmailAddresses", "EmailAddressesBulk"}:
        raise Faulty(Form.LIST_AND_MESSAGE, [documented(NEITHER_GIVEN, _IMPORT_CODES)])
    # Of some ten thousand lines: the loop serves others meanwhile.
    keys, failed = await asyncio.to_thread(
        _read, [*values.get("EmailAddresses", ()), *values.get("EmailAddressesBulk", ())]
    )
    imported = 0
    for portion in _portions(keys):
        imported += await call.services.db.write_first(
            suppression.import_many, call.caller.principal, portion
        )
    return {"TotalImported": imported, "TotalFailed": len(failed), "FailedEmailAddresses": failed}


async def delete_address(call: Call, values: Values) -> Payload:
    """Its blocks and opt-outs, in every scope."""
    key, principal = values["EmailAddress"], call.caller.principal
    if not await call.services.db.write_first(
        lambda tx: suppression.take_back_address(tx, principal, key, classes=LISTED)
    ):
        raise NotFound(noun="suppressed address")
    return {}


_IMPORT_CODES = {
    NEITHER_GIVEN: Code("Missing email addresses."),
    2: Code("Invalid email address format."),
}
COMMANDS = (
    Command(
        "suppressionBrowse", "Suppression.Browse", "The suppressed addresses", READ, browse,
        (
            Parameter("SearchPattern", PATTERN),
            Parameter("StartFrom", NUMBER),
            Parameter("RetrieveCount", NUMBER),
        ),
    ),
    Command(
        "suppressionImport", "Suppression.Import", "Add addresses to the suppression list", WRITE,
        import_addresses,
        (
            Parameter("EmailAddresses", ADDRESSES, invalid=2),
            Parameter("EmailAddressesBulk", LINES, invalid=2),
        ),
        Form.LIST_AND_MESSAGE,
        _IMPORT_CODES,
    ),
    Command(
        "suppressionDelete", "Suppression.Delete", "Remove an address from the suppression list", WRITE,
        delete_address, (Parameter("EmailAddress", ADDRESS, 1, 2),), Form.LIST,
        {
            1: Code("Missing required parameter: EmailAddress"),
            2: Code("Invalid email address, or not on the suppression list"),
        },
        {NotFound: 2},
    ),
)  # fmt: skip


def _read(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The keys of addresses, each once, and what is none; empty ones are passed over."""
    keys: dict[str, None] = {}
    failed: dict[str, None] = {}
    for text in filter(None, map(str.strip, texts)):
        try:
            keys[suppression.key_of(text)] = None
        except Invalid:
            failed[text] = None
    return list(keys), list(failed)


def _portions(keys: Sequence[str]) -> Iterator[list[New]]:
    for start in range(0, len(keys), IMPORT_MAX):
        yield [
            New(
                address_key=key,
                class_=Class.BLOCK,
                reason=Reason.MANUAL,
                source=Source.API,
                note=IMPORT_NOTE,
            )
            for key in keys[start : start + IMPORT_MAX]
        ]
