"""GET /emails/{id}/events: what befell one mail, of all its recipients or of one."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from postrider.engine import engagement, journal, messages
from postrider.engine.accounts import PLANS
from postrider.engine.accounts.model import Settings
from postrider.engine.journal import Event, EventKind, Whose
from postrider.kit import clock
from postrider.kit.ids import RowId, from_uuid, to_uuid
from postrider.surfaces.common.errors import Refused
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.ids import made_at
from postrider.surfaces.mailerlogic.vocabulary import EVENTS

READ = "messages:read"
_UNKNOWN = "Email not found or access denied"
_SWITCHED_OFF: dict[str, Callable[[Settings], bool]] = {
    "event_tracking_disabled": lambda settings: not settings.event_tracking_enabled,
    "event_api_disabled": lambda settings: not settings.event_api_enabled,
}


async def email_events(call: Call) -> Response:
    """Oldest first, as far back as the plan keeps events."""
    require_events(call.caller.organization.settings)
    email_id = from_uuid(call.request.path_params["email_id"])
    rows = await _messages(call, email_id) if email_id else []
    if not rows:
        raise Refused(404, _UNKNOWN, "There is no such email.")
    by_id = {row.id: row for row in rows}
    plan = PLANS[call.caller.organization.plan]
    since = clock.now_ms() - plan.event_retention_days * clock.DAY
    found = await call.services.db.read(
        journal.of_messages, call.caller.principal.organization_id, list(by_id)
    )
    customer_id = to_uuid(call.caller.organization.public_id)
    events = [
        {"email_id": call.request.path_params["email_id"], "customer_id": customer_id}
        | shown(event, word, by_id[event.message_id])
        for event in found
        if event.at >= since and event.message_id is not None and (word := EVENTS[event.kind]) is not None
    ]
    return answer(
        {
            "email_id": call.request.path_params["email_id"],
            "events": events,
            "timeline": [_moment(event) for event in events],
            "summary": _summary(events),
        }
    )


OPERATIONS = (
    Operation(
        "emailEvents",
        "GET",
        ("/api/v1/emails/{email_id}/events",),
        "Timeline of one email",
        READ,
        email_events,
    ),
)


def require_events(settings: Settings) -> None:
    """Raises Refused where an account does without events."""
    for code, is_off in _SWITCHED_OFF.items():
        if is_off(settings):
            raise Refused(403, code, "Events are switched off for this account.")


async def _messages(call: Call, email_id: RowId) -> list[Any]:
    """The messages of the request that answered with this id, or the one message it names."""
    read, organization_id = call.services.db.read, call.caller.principal.organization_id
    group = await read(messages.messages_of_group, organization_id, email_id)
    if group:
        return list(group)
    one = await read(messages.one, organization_id, email_id)
    return [] if one is None else [one]


def shown(event: Event, word: str, message: Any) -> dict[str, Any]:
    """An event as every list tells it; `message` is a row."""
    data = event.data or {}
    return {
        "id": to_uuid(event.id),
        "event_type": word,
        "status": word,
        "recipient": message.recipient,
        "from": message.from_header.rpartition("<")[2].rstrip(">"),
        "timestamp": clock.to_iso(event.at),
        "event_data": _EVENT_DATA.get(event.kind, _nothing)(data, message),
        "created_at": clock.to_iso(made_at(event.id)),
        "is_human_engagement": data.get("human"),
        "scanner_detection": scanner_detection(data),
        "device_info": device_info(data) if event.kind in journal.HITS else None,
    }


def scanner_detection(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """None for what is no opening or click, or was recorded before they were looked at."""
    scanner = data.get("scanner")
    if scanner is None:
        return None
    who = journal.whose(data)
    return {
        "is_scanner": who is Whose.SCANNER,
        "confidence": scanner["score"],
        "classification": who.value,
        "reasons": scanner["reasons"],
    }


def device_info(data: Mapping[str, Any]) -> dict[str, str | None]:
    """As webhooks word it too: Desktop, Mobile, Tablet; the browser, or the mail program."""
    device = engagement.device_of(data)
    return {
        "browser": device["browser"] or device["client"],
        "os": device["os"],
        "device_type": device["type"] and device["type"].title(),
    }


def _moment(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": event["event_type"], "timestamp": event["timestamp"], "details": event["event_data"]}


def _summary(events: list[dict[str, Any]]) -> dict[str, int]:
    opens = [event for event in events if event["event_type"] == EVENTS[EventKind.OPENED]]
    clicks = [event for event in events if event["event_type"] == EVENTS[EventKind.CLICKED]]
    return {
        "total_events": len(events),
        "opens": len(opens),
        "clicks": len(clicks),
        "human_opens": sum(event["is_human_engagement"] is True for event in opens),
    }


Data = dict[str, Any]


def _nothing(data: Data, message: Any) -> Data:
    return {}


def _hit(data: Data, message: Any) -> Data:
    return {"ip_address": data.get("ip"), "user_agent": data.get("user_agent")}


def _click(data: Data, message: Any) -> Data:
    links, link = message.links or [], data.get("link", -1)
    return {**_hit(data, message), "url": links[link] if 0 <= link < len(links) else None}


def _bounce(data: Data, message: Any) -> Data:
    return {
        "bounce_type": data.get("class"),
        "reason": data.get("reply"),
        "diagnostic_code": _said(data, "code", "enhanced"),
    }


def _said(data: Data, *names: str) -> str | None:
    return " ".join(str(data[name]) for name in names if data.get(name)) or None


def _delivery(data: Data, message: Any) -> Data:
    return {
        "via": data.get("via"),
        "host": data.get("host"),
        "response": _said(data, "code", "enhanced", "reply"),
    }


def _failure(data: Data, message: Any) -> Data:
    return {"reason": data.get("reason"), "error": data.get("reply")}


_EVENT_DATA: dict[EventKind, Callable[[Data, Any], Data]] = {
    EventKind.DELIVERED: _delivery,
    EventKind.BOUNCED: _bounce,
    EventKind.FAILED: _failure,
    EventKind.SUPPRESSED: lambda data, message: {"reason": data.get("reason") or "suppressed"},
    EventKind.CANCELLED: lambda data, message: {"reason": "cancelled"},
    EventKind.OPENED: _hit,
    EventKind.CLICKED: _click,
    EventKind.COMPLAINED: lambda data, message: {"complaint_type": data.get("type", "abuse")},
    EventKind.UNSUBSCRIBED: lambda data, message: {
        "method": data.get("source", "link"),
        "ip_address": data.get("ip"),
    },
}
