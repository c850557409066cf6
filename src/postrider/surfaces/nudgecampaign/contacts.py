"""Contacts: made, found, changed, dropped; subscribed and unsubscribed, which is all that sets a status."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from starlette.responses import Response

from postrider.engine.accounts import Organization
from postrider.engine.audience import contacts, lists, privacy
from postrider.engine.audience.model import Contact, ContactFilter, ContactList, ContactSort, Status, Total
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId
from postrider.surfaces.common.operations import Call, Operation
from postrider.surfaces.common.optin import ask
from postrider.surfaces.nudgecampaign import frame
from postrider.surfaces.nudgecampaign.contact_wire import NO_LIST, ContactChanges, NewContact, Wish, saying
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.lists import LIST
from postrider.surfaces.nudgecampaign.lists import Owned as OwnedList
from postrider.surfaces.nudgecampaign.query import read_query, read_view
from postrider.surfaces.nudgecampaign.resources import (
    Filter,
    Misread,
    Resource,
    Sort,
    View,
    one_of,
    part_of,
    shown_at,
)
from postrider.surfaces.nudgecampaign.vocabulary import CONTACT_STATUSES, OTHER_SOURCE, SOURCES

READ, WRITE = "contacts:read", "contacts:write"
SOURCE = "api"
INCLUDED = "lists"
SORTS = {
    "created_at": ContactSort.CREATED,
    "updated_at": ContactSort.UPDATED,
    "email": ContactSort.EMAIL,
}


class Owned(NamedTuple):
    """A contact and whose it is."""

    contact: Contact
    organization: Organization


def _read_statuses(text: str) -> Sequence[Status]:
    word = one_of(tuple(dict.fromkeys(CONTACT_STATUSES.values())))(text)
    return [status for status, said in CONTACT_STATUSES.items() if said == word]


def _read_tag(text: str) -> Sequence[str]:
    return (part_of(text),)


def _read_list(text: str) -> RowId:
    try:
        return path_id(Noun.LIST, text)
    except NotFound:
        raise Misread(NO_LIST, "not_found") from None


CONTACT: Resource[Owned] = Resource(
    type="contact",
    noun=Noun.CONTACT,
    row_id=lambda row: row.contact.id,
    attributes={
        "organization_id": lambda row: show(Noun.ORGANIZATION, row.organization.public_id),
        "email": lambda row: row.contact.email,
        "first_name": lambda row: row.contact.first_name,
        "last_name": lambda row: row.contact.last_name,
        "status": lambda row: CONTACT_STATUSES[row.contact.status],
        "source": lambda row: SOURCES.get(row.contact.source, OTHER_SOURCE),
        "tags": lambda row: list(row.contact.tags),
        "custom_fields": lambda row: dict(row.contact.properties),
        "lists": lambda row: [show(Noun.LIST, list_id) for list_id in row.contact.lists],
        "stats": lambda row: {
            "campaigns_received": row.contact.sent,
            "campaigns_opened": row.contact.opened,
            "campaigns_clicked": row.contact.clicked,
            "last_opened_at": shown_at(row.contact.last_opened_at),
            "last_clicked_at": shown_at(row.contact.last_clicked_at),
        },
        "subscribed_at": lambda row: shown_at(row.contact.subscribed_at),
        "unsubscribed_at": lambda row: shown_at(row.contact.unsubscribed_at),
        "created_at": lambda row: shown_at(row.contact.created_at),
        "updated_at": lambda row: shown_at(row.contact.updated_at),
    },
    sorts={
        "created_at": Sort(int, lambda row: row.contact.created_at),
        "updated_at": Sort(int, lambda row: row.contact.updated_at),
        "email": Sort(str, lambda row: row.contact.address_key),
    },
    order="-created_at",
    filters={
        "filter[status]": Filter("status", _read_statuses),
        "filter[tag]": Filter("tags", _read_tag),
        "filter[list_id]": Filter("list_id", _read_list),
        "search": Filter("search", part_of),
    },
    includes={INCLUDED: LIST},
)


async def list_contacts(call: Call) -> Response:
    query, principal = read_query(call.request, CONTACT), call.caller.principal
    asked = ContactFilter(**query.filters)

    def read(tx: Any) -> tuple[list[Contact], Total, list[ContactList]]:
        found = contacts.page(
            tx,
            principal,
            asked,
            sort=SORTS[query.order.name],
            descending=query.order.is_descending,
            limit=query.size + 1,
            after=query.after and contacts.Cursor(*query.after),
        )
        total = contacts.count(tx, principal, asked)
        return found, total, _its_lists(tx, principal, found[: query.size], query)

    found, total, its_lists = await call.services.db.read(read)
    owned = [Owned(each, call.caller.organization) for each in found]
    included = _included(call, its_lists)
    return frame.many(call.request, query, query.page(owned, total.count), included=included)


async def get_contact(call: Call) -> Response:
    view, principal, contact_id = read_view(call.request, CONTACT), call.caller.principal, _contact_id(call)

    def read(tx: Any) -> tuple[Contact, list[ContactList]]:
        found = contacts.get(tx, principal, contact_id)
        return found, _its_lists(tx, principal, [found], view)

    found, its_lists = await call.services.db.read(read)
    return _answer(call, found, view, its_lists)


async def create_contact(call: Call, new: NewContact) -> Response:
    """With double_opt_in its owner is asked by mail, unless the address may not be mailed at all."""
    services, principal, given = call.services, call.caller.principal, new.new()

    def write(tx: Any) -> Contact:
        made = contacts.get(tx, _reader(call), contacts.create(tx, principal, given, source=SOURCE))
        if made.status is Status.PENDING:
            sender, _ = privacy.sender_of(tx, principal.organization_id)
            ask(services, tx, made, sender=sender)
        return made

    made = await saying(services.db.write_first(write))
    if made.status is Status.PENDING:
        services.wake()
    return _answer(call, made, View(), status=201)


async def update_contact(call: Call, changes: ContactChanges) -> Response:
    principal, contact_id = call.caller.principal, _contact_id(call)

    def write(tx: Any) -> Contact:
        known = contacts.get(tx, _reader(call), contact_id)
        contacts.change(tx, principal, contact_id, changes.said(known.email))
        return contacts.get(tx, _reader(call), contact_id)

    return _answer(call, await saying(call.services.db.write_first(write)), View())


async def delete_contact(call: Call) -> Response:
    """What it did is forgotten in short writes first."""
    db, principal, contact_id = call.services.db, call.caller.principal, _contact_id(call)
    while await db.write(contacts.empty, principal, contact_id):
        pass
    await db.write_first(contacts.delete, principal, contact_id)
    return frame.nothing()


async def subscribe_contact(call: Call, wish: Wish) -> Response:
    return await _settle(call, contacts.subscribe, wish)


async def unsubscribe_contact(call: Call, wish: Wish) -> Response:
    return await _settle(call, contacts.unsubscribe, wish)


_ALL, _ONE = ("/v2/contacts",), ("/v2/contacts/{contact_id}",)
OPERATIONS = (
    Operation("listContacts", "GET", _ALL, "Contacts", READ, list_contacts),
    Operation(
        "createContact", "POST", _ALL, "A new contact", WRITE, create_contact,
        body=NewContact, status=201,
    ),
    Operation("getContact", "GET", _ONE, "One contact", READ, get_contact),
    Operation("updateContact", "PUT", _ONE, "Change a contact", WRITE, update_contact, body=ContactChanges),
    Operation("deleteContact", "DELETE", _ONE, "Delete a contact", WRITE, delete_contact, status=204),
    Operation(
        "subscribeContact", "POST", (f"{_ONE[0]}/subscribe",), "Set it to subscribed", WRITE,
        subscribe_contact, body=Wish,
    ),
    Operation(
        "unsubscribeContact", "POST", (f"{_ONE[0]}/unsubscribe",), "Set it to unsubscribed", WRITE,
        unsubscribe_contact, body=Wish,
    ),
)  # fmt: skip


def _contact_id(call: Call) -> RowId:
    return path_id(Noun.CONTACT, call.request.path_params["contact_id"])


def _reader(call: Call) -> Principal:
    """Who is shown what it wrote: a key that may write need not be one that may read."""
    return replace(call.caller.principal, scopes=frozenset({READ}))


async def _settle(call: Call, act: Any, wish: Wish) -> Response:
    principal, contact_id = call.caller.principal, _contact_id(call)
    settled = await call.services.db.write_first(
        lambda tx: act(tx, principal, contact_id, reason=wish.reason, feedback=wish.feedback)
    )
    return _answer(call, settled, View())


def _its_lists(tx: Any, principal: Principal, found: Sequence[Contact], view: View) -> list[ContactList]:
    """The lists that these contacts are on, where they are to be included."""
    if INCLUDED not in view.include:
        return []
    ids = {list_id for contact in found for list_id in contact.lists}
    return lists.many(tx, principal.organization_id, ids)


def _included(call: Call, found: Sequence[ContactList]) -> frame.Included:
    return [(LIST, OwnedList(each, call.caller.organization)) for each in found]


def _answer(
    call: Call, contact: Contact, view: View, its_lists: Sequence[ContactList] = (), *, status: int = 200
) -> Response:
    owned = Owned(contact, call.caller.organization)
    return frame.one(CONTACT, owned, view, included=_included(call, its_lists), status=status)
