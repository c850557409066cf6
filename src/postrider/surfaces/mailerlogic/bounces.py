"""GET /customer/bounces: every bounce and complaint with what the far end said, as the journal has them."""

from collections.abc import Sequence
from typing import Any, Literal

from starlette.responses import Response

from postrider.engine import messages
from postrider.engine.journal import Event, EventKind, bounces
from postrider.engine.journal.bounces import Class
from postrider.kit import clock
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.query import AddressKey, DomainId, Page, read_query

READ = "messages:read"


class BounceQuery(Page):
    type: Literal["hard", "soft", "complaint", "block"] | None = None
    recipient: AddressKey | None = None
    domain_id: DomainId | None = None


async def list_bounces(call: Call) -> Response:
    """Those recorded last first."""
    query = read_query(call.request, BounceQuery)
    organization_id = call.caller.principal.organization_id
    narrowed: Any = {
        **query.times,
        "class_": query.type and Class(query.type),
        "address_key": query.recipient,
        "domain_id": query.domain_id,
    }

    def read(tx: Any) -> tuple[Sequence[Event], dict[RowId, Any], int]:
        events = bounces.page(tx, organization_id, limit=query.limit, offset=query.offset, narrowed=narrowed)
        ids = list({event.message_id for event in events if event.message_id is not None})
        rows = messages.search(tx, organization_id, limit=len(ids), ids=ids) if ids else []
        return events, {row.id: row for row in rows}, bounces.count(tx, organization_id, narrowed)

    events, rows, total = await call.services.db.read(read)
    told = [_bounce(event, rows.get(event.message_id or b"")) for event in events]
    return answer({"bounces": told, "pagination": query.told(total)})


OPERATIONS = (
    Operation(
        "listBounces", "GET", ("/api/customer/bounces", "/api/v1/customer/bounces"), "The bounce log", READ,
        list_bounces,
    ),
)  # fmt: skip


def _bounce(event: Event, message: Any) -> dict[str, Any]:
    """An event; `message` is None where the mail is no longer kept."""
    data = event.data or {}
    is_complaint = event.kind is EventKind.COMPLAINED
    code = " ".join(str(data[name]) for name in ("code", "enhanced") if data.get(name)) or None
    reply = data.get("reply")
    domain_id = message.domain_id if message is not None else None
    return {
        "id": to_uuid(event.id),
        "email_id": to_uuid(message.group_id) if message is not None else None,
        "recipient": message.recipient if message is not None else None,
        "bounce_type": Class.COMPLAINT if is_complaint else data.get("class"),
        "status_code": code,
        "diagnostic_code": " ".join(part for part in (code, reply) if part) or None,
        "reason": data.get("type", "abuse") if is_complaint else reply,
        "domain_id": domain_id and to_uuid(domain_id),
        "subject": message.subject if message is not None else None,
        "bounced_at": clock.to_iso(event.at),
    }
