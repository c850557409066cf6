"""Deleting a contact with all that hangs on it. What it did may be many rows: they go in slices before."""

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.audience import lists, properties, tags
from postrider.engine.audience.contacts import store
from postrider.engine.audience.contacts.find import get
from postrider.engine.audience.model import Contact
from postrider.engine.errors import NotFound
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

WRITE = "contacts:write"
FORGOTTEN_AT_ONCE = 500


def empty(tx: Tx, principal: Principal, contact_id: RowId) -> bool:
    """Forget FORGOTTEN_AT_ONCE things a contact did, which is to be deleted; whether there may be more.

    Raises NotFound.
    """
    principal.require(WRITE)
    organization_id = principal.organization_id
    if not store.by_ids(tx, organization_id, [contact_id]):
        raise NotFound(noun="contact")
    gone = store.forget(tx, organization_id, contact_id, limit=FORGOTTEN_AT_ONCE)
    return gone == FORGOTTEN_AT_ONCE


def delete(tx: Tx, principal: Principal, contact_id: RowId) -> Contact:
    """The contact as it was; what is entered on its address stays. Call `empty` until it is done first.

    Raises NotFound.
    """
    principal.require(WRITE)
    organization_id = principal.organization_id
    if not store.by_ids(tx, organization_id, [contact_id], held=True):
        raise NotFound(noun="contact")
    was = get(tx, Principal(organization_id), contact_id)
    tag_ids = tags.LINKS.of(tx, organization_id, [contact_id]).get(contact_id, [])
    tags.LINKS.remove(tx, organization_id, [(contact_id, each) for each in tag_ids])
    list_ids = lists.LINKS.of(tx, organization_id, [contact_id]).get(contact_id, [])
    lists.LINKS.remove(tx, organization_id, [(contact_id, each) for each in list_ids])
    properties.write_values(tx, organization_id, [(contact_id, was.properties, {})])
    while store.forget(tx, organization_id, contact_id, limit=FORGOTTEN_AT_ONCE):
        pass  # what was added since
    store.delete(tx, was)
    journal.record(
        tx, [Event(organization_id, EventKind.CONTACT_DELETED, clock.now_ms(), contact_id=contact_id)]
    )
    return was
