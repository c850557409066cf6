"""Single mail: sent, looked up, listed. A message's id here names one recipient's copy."""

import re
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from postrider.engine import messages
from postrider.engine.content import render, templates
from postrider.engine.content.templates import Template
from postrider.engine.errors import NotFound, TemplateFault
from postrider.engine.messages import Status
from postrider.engine.sending import Receipt, Submission, prepare
from postrider.engine.sending.prepare import SUBJECT_MAX_CHARS
from postrider.surfaces.common.idempotency import fingerprint, read_key
from postrider.surfaces.common.operations import Call, Operation, sized
from postrider.surfaces.penguinmails.answers import done, listed, money, time, time_or_none
from postrider.surfaces.penguinmails.auth import LABEL
from postrider.surfaces.penguinmails.ids import CAMPAIGN, MESSAGE, from_id, path_id, to_id, tracking_id
from postrider.surfaces.penguinmails.limits import (
    BODY_MAX_BYTES,
    COST_PER_MESSAGE_USD,
    ESTIMATED_DELIVERY_MS,
)
from postrider.surfaces.penguinmails.paging import read_query
from postrider.surfaces.penguinmails.templates import template_of
from postrider.surfaces.penguinmails.vocabulary import EMAIL_STATUSES, QUEUED, Which, email_status
from postrider.surfaces.penguinmails.wire import EmailQuery, Mail

SEND, READ = "messages:send", "messages:read"
_ANY = Which()
_LOGIC = re.compile(r"\{%|\{\{[^}]*\|")
_BREAKS = re.compile(r"[\r\n\0]+")


async def send_email(call: Call, mail: Mail) -> Response:
    template = await template_of(call, mail.content.template_id)
    size = len(call.raw) + len(template.html if template else "")
    submission = await sized(size, _submission, call, mail, template)
    receipt = await call.services.sender.send(submission)
    message_id = receipt.accepted[0].message_id
    return done(
        {
            "message_id": to_id(MESSAGE, message_id),
            "status": QUEUED,
            "estimated_delivery": time(receipt.created_at + ESTIMATED_DELIVERY_MS),
            "cost": money(COST_PER_MESSAGE_USD[call.caller.organization.plan]),
            "analytics_tracking": _tracking(call, receipt),
        }
    )


async def get_email(call: Call) -> Response:
    message_id = path_id(MESSAGE, call.request.path_params["message_id"], "email")
    row = await call.services.db.read(messages.one, call.caller.principal.organization_id, message_id)
    if row is None:
        raise NotFound(noun="email")
    return done(_shown(row))


async def list_emails(call: Call) -> Response:
    query = read_query(call.request, EmailQuery)
    campaign_id = query.campaign_id and from_id(CAMPAIGN, query.campaign_id)
    if query.campaign_id and not campaign_id:
        return listed([], query, 0)  # as for a campaign that is another's
    read, organization_id = call.services.db.read, call.caller.principal.organization_id
    which = EMAIL_STATUSES[query.status] if query.status else _ANY
    filters = messages.Filter(
        statuses=which.statuses,
        has=which.has,
        lacks=which.lacks,
        address_key=query.to,
        campaign_id=campaign_id or None,
    )
    total, rows = await read(messages.count, organization_id, **filters), []
    if query.offset < total:
        rows = await read(
            messages.search,
            organization_id,
            limit=query.per_page,
            offset=query.offset,
            oldest_first=query.order == "asc",
            **filters,
        )
    return listed([_shown(row) for row in rows], query, total)


OPERATIONS = (
    Operation(
        "sendEmail", "POST", ("/api/v1/emails/send",), "Queue one email", SEND,
        send_email, body=Mail, body_max_bytes=BODY_MAX_BYTES,
    ),
    Operation("listEmails", "GET", ("/api/v1/emails",), "List messages", READ, list_emails),
    Operation("getEmail", "GET", ("/api/v1/emails/{message_id}",), "Status of one message", READ, get_email),
)  # fmt: skip


def _submission(call: Call, mail: Mail, template: Template | None) -> Submission:
    """HTML of the request goes before the template's, and with it its text; values must fit the template."""
    key = read_key(call.request, f"{LABEL}:{call.operation.id}")
    command = mail.command()
    if template is not None:
        content = templates.resolve(template, mail.values())
        html, text = (command.html, command.text) if command.html else (content.html, content.text)
        command = replace(command, html=html, text=command.text or text)
    prepared, recipients = prepare(command, merge=True)
    return Submission(
        call.caller.principal,
        prepared,
        recipients,
        values=mail.values(),
        idempotency_key=key,
        fingerprint=fingerprint(call.operation.method, call.operation.paths[0], call.raw) if key else b"",
    )


def _tracking(call: Call, receipt: Receipt) -> dict[str, Any]:
    """Where the mail's pixel and links lead, null for what it does not carry: domains have switches too."""
    services, organization_id = call.services, call.caller.principal.organization_id
    token = services.sealer.message_token(organization_id, receipt.accepted[0].message_id)
    return {
        "tracking_id": tracking_id(token),
        "pixel_url": f"{services.base_url}/track/o/{token}" if receipt.tracks_opens else None,
        "click_tracking_domain": services.base_url if receipt.tracks_clicks else None,
    }


def _shown(row: Any) -> dict[str, Any]:
    return {
        "message_id": to_id(MESSAGE, row.id),
        "status": email_status(Status(row.status), lambda mark: getattr(row, f"first_{mark}_at") is not None),
        "to": row.recipient,
        "subject": _subject(row),
        "campaign_id": row.campaign_id and to_id(CAMPAIGN, row.campaign_id),
        "sent_at": time_or_none(row.first_sent_at),
        "delivered_at": time_or_none(row.first_delivered_at),
        "opened_at": time_or_none(row.first_opened_at),
        "open_count": row.opens,
        "click_count": row.clicks,
        "created_at": time(row.created_at),
    }


def _subject(row: Any) -> str:
    """As the recipient read it, where plain variables kept with the message fill it; else as written.

    Logic is not run again: a list of 100 could keep the process busy for long.
    """
    subject: str = row.subject
    if row.vars is None or _LOGIC.search(subject) or not (row.headers or {}).get("merge"):
        return subject
    try:
        filled = render.compile(subject, render.Escape.NONE, field="subject").render(row.vars)
    except TemplateFault:
        return subject
    return _BREAKS.sub(" ", filled[:SUBJECT_MAX_CHARS])
