"""GET /events: what befell all mail, newest first, narrowed by mail, kind, addresses and time."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from starlette.responses import Response

from postrider.engine import messages
from postrider.engine.accounts import PLANS
from postrider.engine.journal import Event, EventKind, Whose, search
from postrider.engine.messages import facets
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.fields import fault
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.events import READ, require_events, shown
from postrider.surfaces.mailerlogic.query import Page, Search, Since, Until, Uuid, read_query
from postrider.surfaces.mailerlogic.vocabulary import EVENT_SYNONYMS, EVENTS


def _kinds(value: Any) -> frozenset[EventKind]:
    word = EVENT_SYNONYMS.get(value, value)
    kinds = frozenset(kind for kind, its in EVENTS.items() if its is not None and its == word)
    if not kinds:
        words = sorted({word for word in EVENTS.values() if word is not None})
        raise fault(f"Input should be one of {', '.join(words)}")
    return kinds


_WHOSE = {"all": None, "human_only": Whose.HUMAN, "scanner_only": Whose.SCANNER}


class EventQuery(Page):
    """`from` is a part of the sender, as `recipient` is of the recipient."""

    email_id: Uuid | None = None
    type: Annotated[frozenset[EventKind], BeforeValidator(_kinds)] = frozenset(
        kind for kind, word in EVENTS.items() if word is not None
    )
    recipient: Search | None = None
    from_: Search | None = Field(None, alias="from")
    from_timestamp: Since | None = None
    to_timestamp: Until | None = None
    filter: Literal["all", "human_only", "scanner_only"] = "all"

    def narrowed(self, kept_since: int) -> search.Filter:
        """As the journal is asked; nothing from before `kept_since`."""
        mail = facets.Filter()
        if self.recipient:
            mail["recipient"] = self.recipient
        if self.from_:
            mail["sender"] = self.from_
        return {
            "kinds": self.type,
            "since": max(self.from_timestamp or 0, kept_since),
            "until": self.to_timestamp,
            "mail": mail,
            "whose": _WHOSE[self.filter],
        }


async def query_events(call: Call) -> Response:
    """Those recorded last first, as far back as the plan keeps events."""
    organization = call.caller.organization
    require_events(organization.settings)
    query = read_query(call.request, EventQuery)
    kept_ms = PLANS[organization.plan].event_retention_days * clock.DAY
    narrowed = query.narrowed(clock.now_ms() - kept_ms)
    organization_id = call.caller.principal.organization_id

    def read(tx: Any) -> tuple[list[Event], dict[bytes, Any], dict[EventKind, int]]:
        if query.email_id is not None:
            narrowed["message_ids"] = facets.ids_of_mail(tx, organization_id, query.email_id)
        events = search.page(tx, organization_id, limit=query.limit, offset=query.offset, **narrowed)
        ids = list({event.message_id for event in events if event.message_id is not None})
        rows = messages.search(tx, organization_id, limit=len(ids), ids=ids) if ids else []
        return events, {row.id: row for row in rows}, search.count_by_kind(tx, organization_id, **narrowed)

    events, rows, counts = await call.services.db.read(read)
    customer_id = to_uuid(organization.public_id)
    told = [
        {"email_id": to_uuid(row.group_id), "customer_id": customer_id}
        | shown(event, EVENTS[event.kind] or "", row)
        for event in events
        if (row := rows.get(event.message_id or b"")) is not None
    ]
    total = sum(counts.values())
    return answer(
        {
            "events": told,
            "pagination": query.told(total),
            "stats": {"total": total, "by_type": _by_word(counts)},
        }
    )


OPERATIONS = (
    Operation("queryEvents", "GET", ("/api/v1/events", "/api/events"), "Query events", READ, query_events),
)


def _by_word(counts: dict[EventKind, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind, count in counts.items():
        word = EVENTS[kind] or ""
        found[word] = found.get(word, 0) + count
    return found
