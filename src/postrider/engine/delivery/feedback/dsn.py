"""Delivery status notifications: what they say of each recipient (RFC 3464, RFC 6533)."""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from postrider.engine.delivery.feedback.model import Action
from postrider.engine.delivery.feedback.parts import Part, decode, without_controls
from postrider.engine.delivery.feedback.tables import ADDRESS

KINDS = ("message/delivery-status", "message/global-delivery-status")
RECIPIENTS_MAX = 10  # ours has one; these are what it leads to
LINES_MAX = 4_000
VALUE_MAX_LINES = 40
NAME_MAX_CHARS = 255

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60})[ \t]*:(?!//)(.*)")
_LOOSE = re.compile(r"^(?:reporting-mta|final-recipient|original-recipient):", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"(?<!\d)[245]\.\d{1,3}\.\d{1,3}(?!\d)")
_CODE = re.compile(r"(?<!\d)([245])\d\d(?=[ -])")
_ADDRESS = re.compile(ADDRESS)
_QUOTED = re.compile(r'<?("[^"<>\s@]{1,64}"@[^\s<>"@]{1,255})>?')
_COMMENT = re.compile(r"\([^()]*\)\s*$")
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_XTEXT = re.compile(r"[^+]*(?:\+(?:2B|3D)[^+]*)+")
_ACTIONS = {  # by their beginnings: some add comments
    "fail": Action.FAILED,
    "erro": Action.FAILED,  # OpenSMTPD's word
    "dela": Action.DELAYED,
    "deli": Action.DELIVERED,
    "rela": Action.RELAYED,
    "expa": Action.EXPANDED,
}
_BY_CLASS = {"2": Action.DELIVERED, "4": Action.DELAYED, "5": Action.FAILED}


@dataclass(frozen=True, slots=True)
class Recipient:
    """What is said of one recipient; `status` is an enhanced code (RFC 3463), `retried_until` in ms."""

    original: str | None
    final: str | None
    action: Action
    status: str | None
    diagnostic: str
    retried_until: int | None


@dataclass(frozen=True, slots=True)
class Status:
    reporting_mta: str | None
    recipients: tuple[Recipient, ...]


def find_status(mail: Part) -> Status | None:
    """The status part of a report, or None where there is none that speaks of a recipient."""
    part = mail.find(*KINDS)
    return None if part is None else read_status(part.octets())


def find_loose_status(text: str) -> Status | None:
    """A status that stands in a text, as gateways leave it that take reports apart."""
    found = _LOOSE.search(text)
    return None if found is None else read_status(text[found.start() :].encode())


def read_status(octets: bytes) -> Status | None:
    """The groups of fields, whatever separates them."""
    text = decode(octets, "").replace("\r\n", "\n").replace("\r", "\n")
    lines = without_controls(text).split("\n")[:LINES_MAX]
    reporting_mta: str | None = None
    recipients: list[Recipient] = []
    for group in _groups(lines):
        if reporting_mta is None and "reporting-mta" in group:
            reporting_mta = _name(group["reporting-mta"])
        if len(recipients) < RECIPIENTS_MAX and (recipient := _recipient(group)) is not None:
            recipients.append(recipient)
    return Status(reporting_mta, tuple(recipients)) if recipients else None


def read_address(value: str) -> str | None:
    """The address of a typed field, `rfc822; ann@example.org`; None where it holds none of the internet's."""
    kind, separator, rest = value.partition(";")
    rest = _COMMENT.sub("", rest if separator else value).strip()
    if kind.strip().lower() == "utf-8":
        rest = _EMBEDDED.sub(_character, rest)
    elif _XTEXT.fullmatch(rest):  # xtext (RFC 3461 4) must encode these two, and some leave it so
        rest = rest.replace("+2B", "+").replace("+3D", "=")
    found = _QUOTED.fullmatch(rest)
    if found is not None:
        return found[1]
    found = _ADDRESS.search(rest)
    return found["recipient"] if found else None


def read_date(value: str) -> int | None:
    """A date of a header field in ms; None where it is none."""
    try:
        return int(parsedate_to_datetime(value).timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _groups(lines: list[str]) -> list[dict[str, str]]:
    """The first value of each field, by group. A line that is no field continues the one before it."""
    groups: list[dict[str, list[str]]] = [{}]
    value: list[str] = []
    for line in lines:
        found = _FIELD.match(line)
        if not line.strip():
            groups.append({})
            value = []
        elif found is None:
            if len(value) < VALUE_MAX_LINES:
                value.append(line)
        else:
            name = found[1].lower()
            if name == "final-recipient" and name in groups[-1]:  # their empty line is missing
                groups.append({})
            value = [found[2]]
            groups[-1].setdefault(name, value)
    return [{name: " ".join(" ".join(parts).split()) for name, parts in group.items()} for group in groups]


def _recipient(group: dict[str, str]) -> Recipient | None:
    final = group.get("final-recipient") or group.get("x-actual-recipient", "")
    if not (final or "original-recipient" in group or {"action", "status"} <= set(group)):
        return None
    diagnostic = group.get("diagnostic-code", "")
    status = _STATUS.search(group.get("status", ""))
    code = _CODE.search(diagnostic)
    action = _ACTIONS.get(group.get("action", "")[:4].lower())
    if action is None and (status or code):
        action = _BY_CLASS[status[0][0] if status else code[1] if code else "5"]
    if action is None:
        return None
    return Recipient(
        original=read_address(group.get("original-recipient", "")),
        final=read_address(final) or read_address(group.get("x-actual-recipient", "")),
        action=action,
        status=status[0] if status else None,
        diagnostic=diagnostic,
        retried_until=read_date(group["will-retry-until"]) if "will-retry-until" in group else None,
    )


def _name(value: str) -> str | None:
    """`dns; mx.example.org (comment)` as mx.example.org."""
    _, separator, rest = value.partition(";")
    name = _COMMENT.sub("", rest if separator else value).strip()
    return name[:NAME_MAX_CHARS] or None


def _character(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number < 0xE000 else "\ufffd"
