"""Contacts: listed, made, changed, imported, deleted. A known contact's tags change by calls of their own."""

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import Response

from postrider.engine.audience import contacts, segments, transfer
from postrider.engine.audience.model import Contact, ContactFilter, OnKnown, Total
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.body import BODY_MAX_BYTES
from postrider.surfaces.common.errors import Fault
from postrider.surfaces.common.operations import Call, Operation, answer, sized
from postrider.surfaces.common.rows import read_rows
from postrider.surfaces.mailerlogic import contact_wire
from postrider.surfaces.mailerlogic.contact_wire import (
    ContactChanges,
    ContactImport,
    NewContact,
    StatusWord,
    saying,
)
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.query import Page, read_query
from postrider.surfaces.mailerlogic.vocabulary import CONTACT_SORTS, FILTER_STATUSES

READ, WRITE = "contacts:read", "contacts:write"
SOURCE = "api"
_ON_KNOWN = {"skip": OnKnown.SKIP, "update": OnKnown.UPDATE}


class ContactQuery(Page):
    status: StatusWord | None = None
    search: str | None = None
    tag: str | None = None
    source: str | None = None
    sort: Annotated[str, Field(pattern=f"^({'|'.join(CONTACT_SORTS)})$")] = "created_at"
    order: Literal["asc", "desc"] = "desc"

    def filter(self) -> ContactFilter:
        return ContactFilter(
            status=FILTER_STATUSES[self.status] if self.status else (),
            source=self.source,
            search=self.search,
            tags=(self.tag,) if self.tag else (),
            created_after=self.from_date,
            created_before=self.to_date,
        )


async def list_contacts(call: Call) -> Response:
    query = read_query(call.request, ContactQuery)
    principal, asked = call.caller.principal, query.filter()
    sort, descending = CONTACT_SORTS[query.sort], query.order == "desc"

    def read(tx: Any) -> tuple[list[Contact], Total]:
        page = contacts.page(
            tx, principal, asked,
            sort=sort, descending=descending, limit=query.limit, offset=query.offset,
        )  # fmt: skip
        return page, contacts.count(tx, principal, asked)

    found, total = await call.services.db.read(read)
    shown = [contact_wire.contact(each) for each in found]
    return answer({"contacts": shown, "pagination": query.told(total.count)})


async def create_contact(call: Call, new: NewContact) -> Response:
    principal, given = call.caller.principal, new.new()

    def write(tx: Any) -> Contact:
        return contacts.get(tx, principal, contacts.create(tx, principal, given, source=SOURCE))

    made = await saying(call.services.db.write_first(write))
    return answer({"message": "Contact created", "contact": contact_wire.contact(made)}, 201)


async def get_contact(call: Call) -> Response:
    principal, contact_id = call.caller.principal, _contact_id(call)

    def read(tx: Any) -> tuple[Contact, list[segments.Segment]]:
        return contacts.get(tx, principal, contact_id), segments.segments_of(tx, principal, contact_id)

    found, its_segments = await call.services.db.read(read)
    named = [{"id": to_uuid(segment.id), "name": segment.name} for segment in its_segments]
    return answer({"contact": {**contact_wire.contact(found), "segments": named}})


async def update_contact(call: Call, changes: ContactChanges) -> Response:
    principal, contact_id = call.caller.principal, _contact_id(call)

    def write(tx: Any) -> Contact:
        known = contacts.get(tx, principal, contact_id)
        email = known.email if changes.email is None else changes.email.address
        contacts.change(tx, principal, contact_id, changes.said(email))
        return contacts.get(tx, principal, contact_id)

    changed = await saying(call.services.db.write_first(write))
    return answer({"message": "Contact updated", "contact": contact_wire.contact(changed)})


async def delete_contact(call: Call) -> Response:
    db, principal, contact_id = call.services.db, call.caller.principal, _contact_id(call)
    while await db.write(contacts.empty, principal, contact_id):
        pass
    await db.write_first(contacts.delete, principal, contact_id)
    return answer({"message": "Contact deleted"})


async def import_contacts(call: Call, given: ContactImport) -> Response:
    """In writes of a few contacts each: what a crash left behind, a repeated request skips or updates."""
    rows = given.contacts
    inputs, errors = await sized(len(call.raw), read_rows, NewContact, rows)
    outcome = await transfer.import_many(
        call.services.db,
        call.caller.principal,
        [each for _, each in inputs],
        on_known=_ON_KNOWN[given.on_conflict],
        source=SOURCE,
    )
    faults: dict[int, list[Fault]] = dict(errors)
    for number, fault in outcome.faults:
        said = Fault(contact_wire.field_of(fault.field), fault.message)
        faults.setdefault(inputs[number][0], []).append(said)
    tally = outcome.tally
    return answer(
        {
            "message": "Import finished",
            "total": len(rows),
            "created": tally.created,
            "updated": tally.updated,
            "skipped": tally.skipped,
            "errors": [_error(index, rows[index], faults[index]) for index in sorted(faults)],
        }
    )


_ALL, _ONE = ("/api/v1/contacts",), ("/api/v1/contacts/{id}",)
# The literal paths come before that of an id.
OPERATIONS = (
    Operation("listContacts", "GET", _ALL, "Contacts", READ, list_contacts),
    Operation(
        "createContact", "POST", _ALL, "Create a contact", WRITE, create_contact, body=NewContact, status=201
    ),
    Operation(
        "importContacts", "POST", ("/api/v1/contacts/import",), "Import contacts", WRITE,
        import_contacts, body=ContactImport, body_max_bytes=BODY_MAX_BYTES,
    ),
    Operation("getContact", "GET", _ONE, "One contact", READ, get_contact),
    Operation("updateContact", "PUT", _ONE, "Change a contact", WRITE, update_contact, body=ContactChanges),
    Operation("deleteContact", "DELETE", _ONE, "Delete a contact", WRITE, delete_contact),
)  # fmt: skip


def _contact_id(call: Call) -> RowId:
    return path_id(call.request.path_params["id"], "contact")


def _error(index: int, row: Any, faults: list[Fault]) -> dict[str, Any]:
    email = row.get("email") if isinstance(row, dict) else None
    said = [
        fault.message if fault.field == "email" else f"{fault.field}: {fault.message}" for fault in faults
    ]
    return {"index": index, "email": email if isinstance(email, str) else None, "error": "; ".join(said)}
