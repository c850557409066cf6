"""A contact's rights: all that is kept of it as one JSON document, and all of it forgotten; lists' forms."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from postrider.engine.audience import lists, privacy
from postrider.engine.audience.model import Consent, Contact
from postrider.engine.audience.privacy import Elsewhere, Profile, Token, Told, Use, tokens
from postrider.engine.delivery import control
from postrider.engine.errors import NotAllowedNow
from postrider.engine.suppression import Entry
from postrider.engine.webhooks import log
from postrider.kit import json
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.console import wire

READ, WRITE = "contacts:read", "contacts:write"
_TEXTS = ("email", "first_name", "last_name", "company", "phone", "city", "country", "source")
_ELSEWHERE = Elsewhere(control.forget_captured, log.forget_bodies)
_COUNTS = ("score", "sent", "opened", "clicked", "bounced")
_TIMES = (
    "last_sent_at", "last_opened_at", "last_clicked_at", "last_activity_at", "subscribed_at",
    "unsubscribed_at", "created_at", "updated_at",
)  # fmt: skip


async def export_contact(call: Call) -> Response:
    """A file; what is kept is read while it is sent, so it may be as large as it is."""
    contact_id = _contact_id(call)
    profile = await call.services.db.read(privacy.profile_of, call.caller.principal, contact_id)
    name = f"contact-{to_uuid(contact_id)}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(_document(call, profile), media_type="application/json", headers=headers)


async def erase_contact(call: Call) -> Response:
    """Answers when nothing of it is left but what an opt-out or a complaint needs."""
    services = call.services
    done = await privacy.erase(
        services.db, call.caller.principal, _contact_id(call), folder=services.folder, elsewhere=_ELSEWHERE
    )
    return answer(
        {"erased": {"messages": done.messages, "events": done.events, "suppressions_kept": done.kept}}
    )


async def get_list_form(call: Call) -> Response:
    """The address of the list's hosted form; it works for as long as the list is public."""
    list_id = wire.path_id(call.request.path_params["id"], "list")
    found = await call.services.db.read(lists.get, call.caller.principal, list_id)
    if not found.is_public:
        raise NotAllowedNow(message="Only a public list has a form: its contacts may join it themselves")
    token = tokens.make(call.services.sealer, Use.FORM, Token(found.organization_id, None, found.id, 0))
    url = f"{call.services.base_url}/track/f/{token}"
    return answer({"form": {"list_id": to_uuid(found.id), "url": url}})


_ONE = "/v1/contacts/{id}"
# fmt: off
OPERATIONS: tuple[Operation, ...] = (
    Operation("exportContact", "GET", (_ONE + "/export",), "all that is kept of it", READ, export_contact),
    Operation("getListForm", "GET", ("/v1/lists/{id}/form",), "its sign-up form", READ, get_list_form),
    Operation("eraseContact", "POST", (_ONE + "/erase",), "forget it", WRITE, erase_contact),
)
# fmt: on


def _contact_id(call: Call) -> RowId:
    return wire.path_id(call.request.path_params["id"], "contact")


async def _document(call: Call, profile: Profile) -> AsyncIterator[bytes]:
    """{contact, suppressions, messages, events}, a message at a time."""
    contact, db = profile.contact, call.services.db
    yield b'{"contact":' + json.dump_bytes(_contact(contact, list(profile.lists)))
    yield b',"suppressions":' + json.dump_bytes([_entry(entry) for entry in profile.entries])
    yield b',"messages":['
    comma = b""
    async for told in privacy.messages_of(db, contact):
        yield comma + json.dump_bytes(_message(told))
        comma = b","
    yield b'],"events":['
    comma = b""
    async for event in privacy.events_of(db, contact):
        yield comma + json.dump_bytes(wire.event_of(event))
        comma = b","
    yield b"]}"


def _contact(contact: Contact, lists: list[str]) -> dict[str, Any]:
    return {
        "id": to_uuid(contact.id),
        **{name: getattr(contact, name) for name in _TEXTS},
        "status": contact.status.name.lower(),
        "stage": contact.stage.name.lower(),
        "tags": list(contact.tags),
        "lists": lists,
        "properties": contact.properties,
        "consent": _consent(contact.consent),
        **{name: getattr(contact, name) for name in _COUNTS},
        **{name: wire.time(getattr(contact, name)) for name in _TIMES},
    }


def _consent(consent: Consent | None) -> dict[str, Any] | None:
    if consent is None:
        return None
    return {
        "email_marketing": consent.email_marketing,
        "sms_marketing": consent.sms_marketing,
        "tracking": consent.tracking,
        "third_party_sharing": consent.third_party_sharing,
        "given_at": wire.time(consent.given_at),
        "ip_address": consent.ip_address,
        "user_agent": consent.user_agent,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "class": entry.class_.name.lower(),
        "scope": entry.scope.name.lower(),
        "reason": entry.reason,
        "source": entry.source,
        "expires_at": wire.time(entry.expires_at),
    }


def _message(told: Told) -> dict[str, Any]:
    return {
        **wire.message(told.message),
        "variables": told.message.vars,
        "metadata": told.message.metadata,
        "events": [wire.event_of(event) for event in told.events],
    }
