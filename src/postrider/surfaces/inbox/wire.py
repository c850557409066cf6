"""Captured mail as JSON, and the query parameters that choose among it."""

from collections.abc import Mapping
from typing import Any

from postrider.engine.delivery.control import Captured, Journey
from postrider.engine.errors import Invalid, NotFound
from postrider.kit import clock
from postrider.kit.address import InvalidAddress, address_key, parse_address
from postrider.kit.ids import ID_BYTES, RowId, from_uuid, to_uuid
from postrider.surfaces.inbox.html import has_remote
from postrider.surfaces.inbox.parse import Mail, Part

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
TIMEOUT_DEFAULT_S = 30.0
TIMEOUT_MAX_S = 60.0
SUBJECT_MAX_CHARS = 500
_TIME_BYTES = 6  # of a UUIDv7: milliseconds (RFC 9562 5.7)


def path_id(text: str) -> RowId:
    row_id = from_uuid(text)
    if row_id is None:
        raise NotFound(noun="mail")
    return row_id


def filters_of(query: Mapping[str, str]) -> dict[str, Any]:
    """`to` (a whole address), `subject` (a part of it), `after` (id or time), `before` (id); Invalid."""
    return {
        "address_key": _recipient(query.get("to")),
        "subject": (query.get("subject") or "")[:SUBJECT_MAX_CHARS] or None,
        "after": _after(query.get("after")),
        "before": _before(query.get("before")),
    }


def limit_of(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(LIMIT_DEFAULT))
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= LIMIT_MAX):
        raise Invalid(field="limit", message=f"limit must be 1 to {LIMIT_MAX}")
    return int(text)


def seconds_of(query: Mapping[str, str], field: str, default: float) -> float:
    """A time to wait, TIMEOUT_MAX_S at most."""
    try:
        seconds = float(query.get(field, default))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= TIMEOUT_MAX_S:  # also refuses NaN
        raise Invalid(field=field, message=f"{field} must be 0 to {TIMEOUT_MAX_S:g} seconds")
    return seconds


def first_id_at(at_ms: int) -> RowId:
    """The least id of a time: rows made from then on have greater ones."""
    return max(at_ms, 0).to_bytes(_TIME_BYTES, "big") + bytes(ID_BYTES - _TIME_BYTES)


def summary(mail: Captured) -> dict[str, Any]:
    return {
        "id": to_uuid(mail.id),
        "message_id": to_uuid(mail.message_id),
        "recipient": mail.recipient,
        "from": mail.from_header,
        "subject": mail.subject,
        "size_bytes": mail.size_bytes,
        "created_at": clock.to_iso(mail.created_at),
    }


def in_full(mail: Captured, parsed: Mail, url: str) -> dict[str, Any]:
    """`url` is the mail's own address; parts, raw and frame stand below it."""
    return {
        **summary(mail),
        "subject": parsed.header("subject") or mail.subject,
        "from": parsed.header("from") or mail.from_header,
        "to": parsed.header("to"),
        "cc": parsed.header("cc"),
        "reply_to": parsed.header("reply-to"),
        "date": parsed.header("date"),
        "headers": [{"name": name, "value": value} for name, value in parsed.headers],
        "text": parsed.text,
        "html": parsed.html,
        "has_remote_images": parsed.html is not None and has_remote(parsed.html),
        "attachments": [_part(part, url) for part in parsed.parts],
        "links": [{"href": link.href, "text": link.text} for link in parsed.links],
        "faults": parsed.faults,
        "raw_url": f"{url}/raw",
    }


def delivery(journey: Journey) -> dict[str, Any]:
    """What was tried and what happened, oldest first."""
    return {
        "attempts": [
            {
                "number": attempt.number,
                "started_at": clock.to_iso(attempt.started_at),
                "duration_ms": attempt.duration_ms,
                "outcome": attempt.outcome,
                "via": attempt.via,
                "host": attempt.host,
                "tls": attempt.tls,
                "code": attempt.code,
                "reply": attempt.reply,
                "transcript": (attempt.transcript or "").splitlines(),
            }
            for attempt in journey.attempts
        ],
        "events": [
            {"kind": event.kind.name.lower(), "at": clock.to_iso(event.at), "data": event.data or {}}
            for event in journey.events
        ],
    }


def _part(part: Part, url: str) -> dict[str, Any]:
    return {
        "number": part.number,
        "filename": part.filename,
        "content_type": part.content_type,
        "content_id": part.content_id,
        "is_inline": part.is_inline,
        "size_bytes": len(part.body),
        "url": f"{url}/parts/{part.number}",
    }


def _recipient(text: str | None) -> str | None:
    if not text:
        return None
    try:
        return address_key(parse_address(text.strip()))
    except InvalidAddress:
        raise Invalid(field="to", message="to is not a mail address") from None


def _before(text: str | None) -> RowId | None:
    if not text:
        return None
    row_id = from_uuid(text)
    if row_id is None:
        raise Invalid(field="before", message="before must be the id of a mail")
    return row_id


def _after(text: str | None) -> RowId | None:
    if not text:
        return None
    if (row_id := from_uuid(text)) is not None:
        return row_id
    try:
        return first_id_at(clock.from_iso(text.replace(" ", "+")))  # a plus in an address is often a blank
    except (ValueError, OverflowError):
        raise Invalid(field="after", message="after must be the id of a mail or an ISO 8601 time") from None
