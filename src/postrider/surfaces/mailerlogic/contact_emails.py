"""GET /contacts/{id}/emails: the mail to one contact, newest first; the newest with what befell them."""

from typing import Any

from starlette.responses import Response

from postrider.engine.accounts import PLANS
from postrider.engine.accounts.model import Organization
from postrider.engine.audience import activity
from postrider.engine.audience.activity import Email
from postrider.engine.messages import Status
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.query import Page, read_query
from postrider.surfaces.mailerlogic.vocabulary import EVENTS, STATUSES

READ = "contacts:read"


async def contact_emails(call: Call) -> Response:
    """Mail to the contact's address, also of the time before it was made."""
    contact_id = path_id(call.request.path_params["id"], "contact")
    query = read_query(call.request, Page)
    found, total = await call.services.db.read(
        activity.emails, call.caller.principal, contact_id, limit=query.limit, offset=query.offset
    )
    organization = call.caller.organization
    return answer({"emails": [_email(each, organization) for each in found], "pagination": query.told(total)})


OPERATIONS = (
    Operation(
        "contactEmails", "GET", ("/api/v1/contacts/{id}/emails",), "Emails sent to the contact", READ,
        contact_emails,
    ),
)  # fmt: skip


def _email(found: Email, organization: Organization) -> dict[str, Any]:
    row, bounce = found.message, (found.bounce.data or {} if found.bounce else {})
    return {
        "email_id": to_uuid(row.group_id),
        "subject": row.subject,
        "status": STATUSES[Status(row.status)],
        "sent_at": _iso(row.first_sent_at),
        "delivered_at": _iso(row.first_delivered_at),
        "open_count": row.opens,
        "click_count": row.clicks,
        "bounce_type": bounce.get("class"),
        "bounce_reason": bounce.get("reply"),
        "complained_at": _iso(row.first_complained_at),
        "events": _events(found, organization),
    }


def _events(found: Email, organization: Organization) -> list[dict[str, Any]]:
    """As far back as the plan keeps them; none where the account does without events."""
    settings = organization.settings
    if not (settings.event_tracking_enabled and settings.event_api_enabled):
        return []
    since = clock.now_ms() - PLANS[organization.plan].event_retention_days * clock.DAY
    return [
        {"event_type": word, "timestamp": _iso(event.at)}
        for event in found.events
        if event.at >= since and (word := EVENTS[event.kind]) is not None
    ]


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else clock.to_iso(at_ms)
