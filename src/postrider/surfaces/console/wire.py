"""Engine records as this API's JSON, its query parameters as engine values. Ids are UUIDs, times RFC 3339."""

from collections.abc import Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

from postrider.engine.delivery.control import Journey
from postrider.engine.errors import Invalid, NotFound
from postrider.engine.journal import Event
from postrider.engine.messages import Attempt, Role, Status, Stream, queue
from postrider.kit import clock
from postrider.kit.address import InvalidAddress, address_key, parse_address
from postrider.kit.ids import RowId, from_uuid, to_uuid

Words = TypeVar("Words", bound=IntEnum | StrEnum)

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
PARAMETERS = frozenset({"status", "recipient", "campaign_id", "before", "limit"})
_FIRSTS = (
    "sent", "delivered", "bounced", "opened", "human_opened", "clicked", "human_clicked", "complained",
    "unsubscribed",
)  # fmt: skip


NUMBER_MAX_DIGITS = 9


def path_id(text: str, noun: str = "message") -> RowId:
    """The row an address names; what is no id names nothing: NotFound."""
    row_id = from_uuid(text)
    if row_id is None:
        raise NotFound(noun=noun)
    return row_id


def known_only(query: Mapping[str, str], parameters: frozenset[str]) -> None:
    """Raises Invalid for a parameter there is not."""
    if unknown := sorted(query.keys() - parameters):
        raise Invalid(field=unknown[0], message=f"There is no parameter {unknown[0]}")


def search_of(query: Mapping[str, str]) -> dict[str, Any]:
    """The filters as `messages.search` takes them; raises Invalid, also for parameters there are not."""
    known_only(query, PARAMETERS)
    statuses = [_status(word) for word in query.get("status", "").split(",") if word]
    return {
        "limit": limit_of(query),
        "before": row_id_of(query, "before"),
        "statuses": statuses,
        "address_key": _recipient(query.get("recipient")),
        "campaign_id": row_id_of(query, "campaign_id"),
    }


def message(row: Any) -> dict[str, Any]:
    """A row of `messages.search` or `messages.one`."""
    return {
        "id": to_uuid(row.id),
        "group_id": to_uuid(row.group_id),
        "campaign_id": _uuid(row.campaign_id),
        "recipient": row.recipient,
        "role": Role(row.role).name.lower(),
        "from": row.from_header,
        "subject": row.subject,
        "status": Status(row.status).name.lower(),
        "stream": Stream(row.stream).name.lower(),
        "attempt_count": row.attempts,
        "is_test": bool(row.is_test),
        "tags": row.tags or [],
        "size_bytes": row.size_bytes,
        "created_at": clock.to_iso(row.created_at),
        "due_at": time(row.due_at),
        "first": {name: time(getattr(row, f"first_{name}_at")) for name in _FIRSTS},
        "opens": row.opens,
        "clicks": row.clicks,
    }


def journey(told: Journey) -> dict[str, Any]:
    """A message with its metadata, its attempts in order and its events, oldest first."""
    return {
        **message(told.message),
        "metadata": told.message.metadata,
        "attempts": [_attempt(attempt) for attempt in told.attempts],
        "events": [event_of(event) for event in told.events],
    }


def sites(lanes: Sequence[Mapping[str, Any]], waiting_max: int) -> list[dict[str, Any]]:
    """Rows of `queue.overview` under their sites, in the order met."""
    found: dict[int, dict[str, Any]] = {}
    for lane in lanes:
        site = found.setdefault(lane["site_id"], _site(lane))
        site["lanes"].append(_lane(lane, waiting_max))
    return list(found.values())


def _site(lane: Mapping[str, Any]) -> dict[str, Any]:
    throttled_until = lane["throttled_until"]
    return {
        "site": lane["name"],
        "slot": lane["slot"],
        "throttled_until": time(throttled_until) if throttled_until > clock.now_ms() else None,
        "connection_failures": lane["failures"],
        "lanes": [],
    }


def _lane(lane: Mapping[str, Any], waiting_max: int) -> dict[str, Any]:
    return {
        "id": lane["id"],
        "stream": Stream(lane["stream"]).name.lower(),
        "paused": bool(lane["paused"]),
        "paused_with_stream": bool(lane["paused"] & queue.Pause.WITH_STREAM),
        "waiting": lane["waiting"],
        "waiting_is_exact": lane["waiting"] < waiting_max,
        "next_due": time(lane["next_due"]) if lane["next_due"] < queue.FAR else None,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": clock.to_iso(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "outcome": attempt.outcome,
        "via": attempt.via,
        "host": attempt.host,
        "ip": attempt.ip,
        "tls": attempt.tls,
        "code": attempt.code,
        "enhanced": attempt.enhanced,
        "reply": attempt.reply,
        "classification": {"class": attempt.bounce_class, "rule": attempt.rule},
        "transcript": (attempt.transcript or "").splitlines(),
    }


def event_of(event: Event) -> dict[str, Any]:
    return {
        "id": to_uuid(event.id),
        "kind": event.kind.name.lower(),
        "at": clock.to_iso(event.at),
        "data": event.data or {},
    }


def _status(word: str) -> Status:
    try:
        return Status[word.strip().upper()]
    except KeyError:
        known = ", ".join(status.name.lower() for status in Status)
        raise Invalid(field="status", message=f"status must be of {known}") from None


def _recipient(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return address_key(parse_address(text))
    except InvalidAddress:
        raise Invalid(field="recipient", message="recipient is not a mail address") from None


def limit_of(query: Mapping[str, str]) -> int:
    """How many of a list; raises Invalid."""
    text = query.get("limit")
    if text is None:
        return LIMIT_DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= LIMIT_MAX):
        raise Invalid(field="limit", message=f"limit must be 1 to {LIMIT_MAX}")
    return int(text)


def number_of(query: Mapping[str, str], field: str) -> int:
    """A whole number in a query, 0 where there is none; raises Invalid."""
    text = query.get(field, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_MAX_DIGITS):
        raise Invalid(field=field, message=f"{field} must be a whole number")
    return int(text)


def row_id_of(query: Mapping[str, str], field: str) -> RowId | None:
    """An id in a query; raises Invalid for what is no UUID."""
    text = query.get(field)
    if text is None:
        return None
    row_id = from_uuid(text)
    if row_id is None:
        raise Invalid(field=field, message=f"{field} must be a UUID")
    return row_id


def words_of(query: Mapping[str, str], field: str, known: Mapping[str, Words]) -> Sequence[Words]:
    """What the comma-separated words of a parameter stand for; raises Invalid for one that is not known."""
    words = [word.strip() for word in query.get(field, "").split(",") if word]
    if not known.keys() >= set(words):
        raise Invalid(field=field, message=f"{field} must be of {', '.join(known)}")
    return [known[word] for word in words]


def time_of(query: Mapping[str, str], field: str) -> int | None:
    """A time in a query, in ms; raises Invalid."""
    text = query.get(field)
    if text is None:
        return None
    try:
        return clock.from_iso(text)
    except (ValueError, OverflowError):
        raise Invalid(field=field, message=f"{field} must be an RFC 3339 time") from None


def _uuid(row_id: RowId | None) -> str | None:
    return None if row_id is None else to_uuid(row_id)


def time(at_ms: int | None) -> str | None:
    """RFC 3339, null where there is none."""
    return None if at_ms is None else clock.to_iso(at_ms)
