"""Making, changing and deleting lists, and who is on them. A large list is emptied in slices first."""

from collections.abc import Sequence
from typing import TypedDict, Unpack

from postrider.db.database import Tx
from postrider.engine import accounts, journal
from postrider.engine.audience.links import touch, where_known
from postrider.engine.audience.lists import store
from postrider.engine.audience.lists.find import known
from postrider.engine.audience.model import ContactList
from postrider.engine.audience.text import is_plain
from postrider.engine.errors import Conflict, Invalid, PlanLimitReached
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

WRITE = "contacts:write"
NAME_MAX_CHARS = 255
DESCRIPTION_MAX_CHARS = 2_000
LISTS_MAX = 10_000  # of an organization
LINKED_MAX = 500  # contacts of one call
EMPTIED_AT_ONCE = 500


class ListChanges(TypedDict, total=False):
    """What is not there stays; a description of None or "" is none."""

    name: str
    description: str | None
    is_public: bool


def create(
    tx: Tx, principal: Principal, name: str, *, description: str | None = None, is_public: bool = False
) -> ContactList:
    """Raises Conflict where a list has this name, Invalid, PlanLimitReached past LISTS_MAX."""
    principal.require(WRITE)
    organization_id = principal.organization_id
    name, description = _name(name), _description(description)
    if store.by_name(tx, organization_id, name) is not None:
        raise Conflict(noun="list")
    if store.count(tx, organization_id) >= LISTS_MAX:
        raise PlanLimitReached(noun="lists", limit=LISTS_MAX)
    now, number = clock.now_ms(), accounts.next_number(tx, organization_id, "list")
    new = ContactList(organization_id, new_id(), number, name, description, is_public, 0, now, now)
    store.put(tx, new)
    return new


def update(tx: Tx, principal: Principal, list_id: RowId, **changes: Unpack[ListChanges]) -> ContactList:
    """Raises NotFound, Conflict, Invalid."""
    principal.require(WRITE)
    organization_id = principal.organization_id
    was = known(store.get(tx, organization_id, list_id))
    name = _name(changes.get("name", was.name))
    if name != was.name and store.by_name(tx, organization_id, name) is not None:
        raise Conflict(noun="list")
    description = _description(changes.get("description", was.description))
    is_public = changes.get("is_public", was.is_public)
    if (name, description, is_public) != (was.name, was.description, was.is_public):
        store.change(
            tx, organization_id, list_id,
            name=name, description=description, is_public=int(is_public), updated_at=clock.now_ms(),
        )  # fmt: skip
    return known(store.get(tx, organization_id, list_id))


def empty(tx: Tx, principal: Principal, list_id: RowId) -> bool:
    """Take EMPTIED_AT_ONCE contacts off a list that is to be deleted; whether there may be more.

    No event is told of it. Raises NotFound.
    """
    principal.require(WRITE)
    organization_id = principal.organization_id
    known(store.get(tx, organization_id, list_id))
    return store.LINKS.empty(tx, organization_id, list_id, limit=EMPTIED_AT_ONCE) == EMPTIED_AT_ONCE


def delete(tx: Tx, principal: Principal, list_id: RowId) -> ContactList:
    """The list as it was; its contacts stay. Call `empty` until it is done first. Raises NotFound."""
    principal.require(WRITE)
    organization_id = principal.organization_id
    was = known(store.get(tx, organization_id, list_id))
    while store.LINKS.empty(tx, organization_id, list_id, limit=EMPTIED_AT_ONCE):
        pass  # what was added since
    store.remove(tx, organization_id, list_id)
    return was


def add(tx: Tx, principal: Principal, list_id: RowId, contact_ids: Sequence[RowId]) -> int:
    """How many of these were not on the list; ids that name no contact are passed over.

    Raises NotFound for the list, Invalid past LINKED_MAX.
    """
    return _link(tx, principal, list_id, contact_ids, adding=True)


def remove(tx: Tx, principal: Principal, list_id: RowId, contact_ids: Sequence[RowId]) -> int:
    """How many of these were on the list. Raises as add."""
    return _link(tx, principal, list_id, contact_ids, adding=False)


def _link(tx: Tx, principal: Principal, list_id: RowId, contact_ids: Sequence[RowId], *, adding: bool) -> int:
    principal.require(WRITE)
    organization_id, now = principal.organization_id, clock.now_ms()
    if len(contact_ids) > LINKED_MAX:
        raise Invalid(field="contacts", message=f"At most {LINKED_MAX} contacts at once")
    known(store.get(tx, organization_id, list_id))
    pairs = [(contact_id, list_id) for contact_id in where_known(tx, organization_id, contact_ids)]
    if adding:
        changed = store.LINKS.add(tx, organization_id, pairs, now)
    else:
        changed = store.LINKS.remove(tx, organization_id, pairs)
    touched = sorted(contact_id for contact_id, _ in changed)
    touch(tx, organization_id, touched, now)
    data = {"changed": ["lists"]}
    journal.record(
        tx,
        [
            Event(organization_id, EventKind.CONTACT_UPDATED, now, contact_id=contact_id, data=data)
            for contact_id in touched
        ],
    )
    return len(changed)


def _name(given: str) -> str:
    name = given.strip()
    if not 1 <= len(name) <= NAME_MAX_CHARS or not is_plain(name):
        raise Invalid(field="name", message=f"A list's name has 1 to {NAME_MAX_CHARS} printable characters")
    return name


def _description(given: str | None) -> str | None:
    if given and (len(given) > DESCRIPTION_MAX_CHARS or "\0" in given):
        shown = f"A description has at most {DESCRIPTION_MAX_CHARS} characters"
        raise Invalid(field="description", message=shown)
    return given or None
