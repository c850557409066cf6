"""Events of a sender domain, newest first: GetEvents for its user, GET /api/v1/events for its key."""

import re
from collections.abc import Sequence
from typing import Any

from postrider.engine import messages
from postrider.engine.errors import NotFound
from postrider.engine.journal import Event, EventKind, search
from postrider.engine.messages import facets
from postrider.kit import clock
from postrider.kit.ids import RowId, from_uuid, to_uuid
from postrider.surfaces.common.operations import Call, Operation
from postrider.surfaces.octeth.command import Command, Parameter, Payload, Values
from postrider.surfaces.octeth.domains import domain_id, found_domain
from postrider.surfaces.octeth.errors import Code, Form
from postrider.surfaces.octeth.limits import EVENTS_RETRIEVED, RETRIEVED_MAX
from postrider.surfaces.octeth.parameters import NUMBER, TEXT, Kind
from postrider.surfaces.octeth.periods import PERIOD
from postrider.surfaces.octeth.sender_command import BAD_KEY_CODE, SENDER_ERRORS, served_to_sender
from postrider.surfaces.octeth.vocabulary import EVENT_ALIASES, EVENTS

READ = "messages:read"
SAID = frozenset(kind for kind, word in EVENTS.items() if word is not None)
_FIELD = re.compile(r"(?:message\.headers\.)?(subject|from|to|recipient):(.*)", re.IGNORECASE)
_PLACES = {"subject": "subject", "from": "sender", "to": "recipient", "recipient": "recipient"}


def _kinds(value: Any) -> frozenset[EventKind]:
    """The kinds a word names; none for a word that nobody knows, so that nothing is found."""
    word = str(value).strip().lower()
    return frozenset(kind for kind in SAID if EVENTS[kind] == EVENT_ALIASES.get(word, word))


EVENT = Kind(_kinds, str)


async def get_events(call: Call, values: Values) -> Payload:
    domain = await found_domain(call, values)
    narrowed = _narrowed(domain.id, values)
    total, events = await _found(call, narrowed, values["StartFrom"], values["RetrieveCount"])
    told = [
        {
            "event_type": EVENTS[event.kind],
            "event": EVENTS[event.kind],
            "timestamp": shown_at(event.at),
            "message_id": to_uuid(row.group_id),
            "domain_id": domain.number,
            "recipient": row.recipient,
            "message": {"headers": {"subject": row.subject, "from": row.from_header, "to": row.recipient}},
        }
        for event, row in events
    ]
    return {"TotalRecords": total, "Events": told}


async def list_events(call: Call, values: Values) -> Payload:
    """Of the key's domain; MessageID is what the mail was answered with."""
    domain_id = call.caller.principal.domain_id
    if domain_id is None:
        raise NotFound(noun="domain")
    narrowed, mail = _narrowed(domain_id, values), values.get("MessageID")
    start, count = values.get("StartFrom", 0), values.get("RetrieveCount", EVENTS_RETRIEVED)
    total, events = await _found(call, narrowed, start, count, mail)
    return {"TotalRecords": total, "Events": [_shown(event, row) for event, row in events]}


COMMANDS = (
    Command(
        "getEvents", "EmailGateway.GetEvents", "Events of a sender domain", READ, get_events,
        (
            domain_id(2),
            Parameter("StartFrom", NUMBER, 4, 4),
            Parameter("RetrieveCount", NUMBER, 5, 5),
            *PERIOD,
            Parameter("Event", EVENT),
            Parameter("Query", TEXT),
        ),
        Form.NUMBER_AND_MESSAGE,
        {
            1: Code("Required parameter missing: DomainID"),
            2: Code("Failed to retrieve sender domain"),
            4: Code("Required parameter missing: StartFrom"),
            5: Code("Required parameter missing: RetrieveCount"),
        },
        {NotFound: 2},
    ),
)  # fmt: skip
LIST = Command(
    "listEventsPublic", "events", "Events of the key's domain", READ, list_events,
    (
        Parameter("StartFrom", NUMBER, invalid=4),
        Parameter("RetrieveCount", NUMBER, invalid=5),
        *PERIOD,
        Parameter("Event", EVENT),
        Parameter("MessageID", TEXT),
    ),
    Form.ERRORS,
    {
        1: Code("Missing SenderAPIKey", 401),
        2: Code("Invalid user account", 404),
        4: Code("Missing StartFrom", 422),
        5: Code("Missing RetrieveCount", 422),
        13: BAD_KEY_CODE,
        429: Code("Too many requests. Please wait for {retry_after_s} seconds before trying again.", 429),
    },
    errors=SENDER_ERRORS,
)  # fmt: skip
OPERATIONS = (
    Operation(
        "listEventsPublic", "GET", ("/api/v1/events",), LIST.summary, None,
        served_to_sender(LIST, no_key=1, no_account=2),
    ),
)  # fmt: skip


def _narrowed(domain: RowId, values: Values) -> search.Filter:
    mail = facets.Filter(domain_id=domain)
    if query := values.get("Query"):
        named = _FIELD.fullmatch(query)
        place, term = (_PLACES[named[1].lower()], named[2].strip()) if named else ("text", query)
        mail |= {place: term}  # type: ignore[misc]  # the places are names of the filter
    return {
        "kinds": values.get("Event", SAID),
        "since": values.get("StartDate"),
        "until": values.get("EndDate"),
        "mail": mail,
    }


async def _found(
    call: Call, narrowed: search.Filter, start: int, count: int, mail_id: str | None = None
) -> tuple[int, Sequence[tuple[Event, Any]]]:
    """How many there are, and a part of them with the rows of their messages."""
    organization_id = call.caller.principal.organization_id

    def read(tx: Any) -> tuple[int, Sequence[tuple[Event, Any]]]:
        if mail_id is not None:
            named = from_uuid(mail_id)
            narrowed["message_ids"] = facets.ids_of_mail(tx, organization_id, named) if named else []
        events = search.page(tx, organization_id, limit=min(count, RETRIEVED_MAX), offset=start, **narrowed)
        ids = list({event.message_id for event in events if event.message_id is not None})
        rows = messages.search(tx, organization_id, limit=len(ids), ids=ids) if ids else []
        by_id = {row.id: row for row in rows}
        pairs = [(event, by_id[event.message_id]) for event in events if event.message_id in by_id]
        return search.count(tx, organization_id, **narrowed), pairs

    return await call.services.db.read(read)


def _shown(event: Event, row: Any) -> dict[str, Any]:
    word = EVENTS[event.kind]
    return {
        "EventId": to_uuid(event.id),
        "EventType": word,
        "EventTimestamp": shown_at(event.at),
        "Recipient": row.recipient,
        "MessageId": to_uuid(row.group_id),
        "CampaignId": row.campaign_id and to_uuid(row.campaign_id),
        "Details": details(event, row),
        "Event": word,
        "LoggedAt": event.at // clock.SECOND,
        "Message": {"Headers": {"From": row.from_header, "To": row.recipient, "Subject": row.subject}},
    }


def details(event: Event, row: Any) -> dict[str, Any]:
    """What is told of an event beside whose and when; `row` is its message's."""
    data = event.data or {}
    hit = {"UserAgent": data.get("user_agent"), "IpAddress": data.get("ip")}
    match event.kind:
        case EventKind.OPENED:
            return hit
        case EventKind.CLICKED:
            links, link = row.links or [], data.get("link", -1)
            return {**hit, "Url": links[link] if 0 <= link < len(links) else None}
        case EventKind.BOUNCED:
            code = data.get("enhanced") or data.get("code")
            return {
                "BounceType": data.get("class"),
                "SmtpCode": None if code is None else str(code),
                "Reason": data.get("reply"),
            }
        case EventKind.DELIVERED:
            code, said = data.get("code"), (data.get("enhanced"), data.get("reply"))
            return {
                "SmtpCode": None if code is None else str(code),
                "Response": " ".join(each for each in said if each) or None,
            }
        case EventKind.UNSUBSCRIBED:
            return {"Method": data.get("source"), "IpAddress": data.get("ip")}
        case _:
            return {}


def shown_at(at: int) -> str:
    return clock.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%SZ")
