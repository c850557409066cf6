"""Reads what follows MAIL and RCPT: `FROM:<path> parameters` (RFC 5321 4.1.2, RFC 6531 3.3). Syntax only."""

import re
from dataclasses import dataclass
from enum import Enum

LOCAL_PART_MAX_OCTETS = 64
PATH_MAX_OCTETS = 254  # 256 less the brackets (RFC 5321 4.5.3.1.3)

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_LABEL = r"[A-Za-z0-9\x80-\U0010ffff](?:[A-Za-z0-9\x80-\U0010ffff-]{0,61}[A-Za-z0-9\x80-\U0010ffff])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*+"
_ARGUMENT = re.compile(
    rf'(?P<keyword>[A-Za-z]{{2,4}}): ?<(?P<path>(?:[^<>"]++|{_QUOTED})*+)>(?: +(?P<parameters>.*))?'
)
_MAILBOX = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*+|{_QUOTED})@{_DOMAIN}")
_ROUTE = re.compile(rf"@{_DOMAIN}(?:,@{_DOMAIN})*+:")
_PARAMETER = re.compile(r"(?P<key>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[^= ]+))?")


class Fault(Enum):
    """Why the text is no path: the reply's enhanced code and words."""

    SYNTAX = ("5.5.4", "Syntax error, an address in angle brackets is needed")
    ADDRESS = ("5.1.3", "Bad address syntax")
    LITERAL = ("5.1.3", "Address literals are not accepted")
    TOO_LONG = ("5.1.3", "Address too long")
    PARAMETERS = ("5.5.4", "Syntax error in parameters")


@dataclass(frozen=True, slots=True)
class Path:
    """An address as written, less brackets and source route ("" for `<>`); parameter names in capitals."""

    address: str
    parameters: dict[str, str | None]


def parse_path(keyword: str, argument: str) -> Path | Fault:
    """`keyword` is FROM or TO. The argument must be free of control characters."""
    found = _ARGUMENT.fullmatch(argument)
    if found is None or found["keyword"].upper() != keyword:
        return Fault.SYNTAX
    address = found["path"]
    mailbox = _MAILBOX.fullmatch(address)
    if mailbox is None and address.startswith("@"):  # a source route means nothing any more (RFC 5321 C)
        address = _ROUTE.sub("", address, count=1)
        mailbox = _MAILBOX.fullmatch(address)
    if mailbox is None:
        if address or keyword != "FROM":
            return Fault.LITERAL if address.endswith("]") else Fault.ADDRESS
    elif _octets(mailbox["local"]) > LOCAL_PART_MAX_OCTETS or _octets(address) > PATH_MAX_OCTETS:
        return Fault.TOO_LONG
    if found["parameters"] is None:
        return Path(address, {})
    parameters = _parse_parameters(found["parameters"])
    return Fault.PARAMETERS if parameters is None else Path(address, parameters)


def _parse_parameters(text: str) -> dict[str, str | None] | None:
    parameters: dict[str, str | None] = {}
    for word in text.split():
        found = _PARAMETER.fullmatch(word)
        if found is None or found["key"].upper() in parameters:
            return None
        parameters[found["key"].upper()] = found["value"]
    return parameters


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8"))
