"""Contacts: made, listed, changed, deleted, and many of them taken in at once."""

from typing import Any

from starlette.responses import Response

from postrider.engine.audience import contacts, transfer
from postrider.engine.audience.model import Contact, OnKnown
from postrider.kit.ids import RowId, new_id
from postrider.surfaces.common.errors import Fault, renaming
from postrider.surfaces.common.operations import Call, Operation, sized
from postrider.surfaces.common.rows import read_rows
from postrider.surfaces.penguinmails import contact_wire
from postrider.surfaces.penguinmails.answers import done, listed
from postrider.surfaces.penguinmails.contact_wire import (
    BulkImport,
    ContactChanges,
    ContactQuery,
    NewContact,
    field_of,
)
from postrider.surfaces.penguinmails.errors import sentence_of
from postrider.surfaces.penguinmails.ids import CONTACT, IMPORT, path_id, to_id
from postrider.surfaces.penguinmails.limits import BODY_MAX_BYTES
from postrider.surfaces.penguinmails.paging import read_query
from postrider.surfaces.penguinmails.vocabulary import CONTACT_SORTS

READ, WRITE = "contacts:read", "contacts:write"
SOURCE = "api"
COMPLETED = "completed"


async def list_contacts(call: Call) -> Response:
    query = read_query(call.request, ContactQuery)
    principal, asked = call.caller.principal, query.filter()

    def read(tx: Any) -> tuple[list[Contact], int]:
        total = min(contacts.count(tx, principal, asked).count, contacts.COUNT_MAX)
        if query.offset >= total:
            return [], total
        found = contacts.page(
            tx,
            principal,
            asked,
            sort=CONTACT_SORTS[query.sort],
            descending=query.order == "desc",
            limit=query.per_page,
            offset=query.offset,
        )
        return found, total

    found, total = await call.services.db.read(read)
    return listed([contact_wire.contact(each) for each in found], query, total)


async def create_contact(call: Call, new: NewContact) -> Response:
    principal, given = call.caller.principal, new.new()

    def write(tx: Any) -> Contact:
        contact_id = contacts.create(tx, principal, given, source=SOURCE)
        return contacts.many(tx, principal.organization_id, [contact_id])[contact_id]

    made = await renaming(call.services.db.write_first(write), field_of)
    return done(contact_wire.contact(made), 201)


async def get_contact(call: Call) -> Response:
    found = await call.services.db.read(contacts.get, call.caller.principal, _contact_id(call))
    return done(contact_wire.contact(found))


async def update_contact(call: Call, changes: ContactChanges) -> Response:
    principal, contact_id = call.caller.principal, _contact_id(call)

    def write(tx: Any) -> Contact:
        known = contacts.get(tx, principal, contact_id)
        contacts.change(tx, principal, contact_id, changes.changed(known))
        return contacts.get(tx, principal, contact_id)

    changed = await renaming(call.services.db.write_first(write), field_of)
    return done(contact_wire.contact(changed))


async def delete_contact(call: Call) -> Response:
    """What it did is forgotten in short writes first."""
    db, principal, contact_id = call.services.db, call.caller.principal, _contact_id(call)
    while await db.write(contacts.empty, principal, contact_id):
        pass
    await db.write_first(contacts.delete, principal, contact_id)
    return done({"id": to_id(CONTACT, contact_id), "deleted": True})


async def bulk_import(call: Call, given: BulkImport) -> Response:
    """In writes of a few contacts each: what a crash left out, a repeated request brings in."""
    rows = given.contacts
    inputs, found = await sized(len(call.raw), read_rows, NewContact, rows)
    outcome = await transfer.import_many(
        call.services.db,
        call.caller.principal,
        [each for _, each in inputs],
        on_known=OnKnown.UPDATE if given.update_existing else OnKnown.REFUSE,
        source=SOURCE,
    )
    for number, fault in outcome.faults:
        found.setdefault(inputs[number][0], []).append(Fault(field_of(fault.field), fault.message))
    return done(
        {
            "import_id": to_id(IMPORT, new_id()),
            "status": COMPLETED,
            "total": len(rows),
            "imported": outcome.tally.created,
            "updated": outcome.tally.updated,
            "failed": len(found),
            "errors": [_error(index, rows[index], found[index]) for index in sorted(found)],
        }
    )


_ALL, _ONE = "/api/v1/contacts", "/api/v1/contacts/{contact_id}"
# The literal path comes before that of an id.
OPERATIONS = (
    Operation(
        "createContact", "POST", (_ALL,), "Add a contact", WRITE, create_contact, body=NewContact, status=201
    ),
    Operation("listContacts", "GET", (_ALL,), "List contacts", READ, list_contacts),
    Operation(
        "bulkImportContacts", "POST", (f"{_ALL}/bulk-import",), "Import many contacts", WRITE, bulk_import,
        body=BulkImport, body_max_bytes=BODY_MAX_BYTES,
    ),
    Operation("getContact", "GET", (_ONE,), "Fetch a contact", READ, get_contact),
    Operation(
        "updateContact", "PUT", (_ONE,), "Change a contact", WRITE, update_contact, body=ContactChanges
    ),
    Operation(
        "patchContact", "PATCH", (_ONE,), "Change a contact too", WRITE, update_contact,
        body=ContactChanges,
    ),
    Operation("deleteContact", "DELETE", (_ONE,), "Delete a contact", WRITE, delete_contact),
)  # fmt: skip


def _contact_id(call: Call) -> RowId:
    return path_id(CONTACT, call.request.path_params["contact_id"], "contact")


def _error(index: int, row: Any, faults: list[Fault]) -> dict[str, Any]:
    email = row.get("email") if isinstance(row, dict) else None
    said = [
        sentence_of(fault) if fault.field == "email" else f"{fault.field}: {sentence_of(fault)}"
        for fault in faults
    ]
    return {"index": index, "email": email if isinstance(email, str) else None, "message": "; ".join(said)}
