"""Renaming and merging tags, and giving them to a contact. A tag is a row: renaming it touches one.

Of a rename or a merge no event is told: nothing happened to the contacts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.audience.links import touch, where_known
from postrider.engine.audience.model import Tag
from postrider.engine.audience.tags import store
from postrider.engine.audience.tags.rules import TAGS_MAX, TOO_MANY, check_names, one_name
from postrider.engine.errors import Conflict, Invalid, NotFound
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

WRITE = "contacts:write"
MERGED_MAX = 100  # tags of one call


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a merge: the tags that went, and how many contacts carried one of them."""

    target: str
    sources: Sequence[str]
    affected: int


def rename(tx: Tx, principal: Principal, name: str, new_name: str) -> Tag:
    """The tag under its new name. Raises NotFound, Conflict where there is a tag of that name, Invalid."""
    principal.require(WRITE)
    chosen = one_name(new_name, "new_name")
    found = {tag.name: tag for tag in store.hold(tx, principal.organization_id, [name, chosen])}
    if name not in found:
        raise NotFound(noun="tag")
    if chosen != name:
        if chosen in found:
            raise Conflict(noun="tag")
        store.rename(tx, found[name], chosen)
    return Tag(
        principal.organization_id, found[name].id, chosen, found[name].contacts, found[name].created_at
    )


def merge(tx: Tx, principal: Principal, sources: Sequence[str], target: str) -> Merged:
    """All who carry a source carry the target instead; the target may be new, or among the sources.

    Sources that are not there are passed over. The tag with most contacts keeps its row and gets the name of
    the target, so that only the others' contacts move. Raises Invalid.
    """
    principal.require(WRITE)
    if not 1 <= len(sources) <= MERGED_MAX:
        raise Invalid(field="source_tags", message=f"From 1 to {MERGED_MAX} tags are merged at once")
    chosen = one_name(target, "target_tag")
    organization_id = principal.organization_id
    found = store.hold(tx, organization_id, [*sources, chosen])
    going = [tag for tag in found if tag.name != chosen]
    if not going:
        return Merged(chosen, [], 0)
    affected = store.carriers(tx, organization_id, going)
    into = max(found, key=lambda tag: tag.contacts)
    store.merge(tx, into, [tag for tag in found if tag is not into], clock.now_ms())
    if into.name != chosen:
        store.rename(tx, into, chosen)
    gone = {tag.name for tag in going}
    return Merged(chosen, [name for name in dict.fromkeys(sources) if name in gone], affected)


def add(tx: Tx, principal: Principal, contact_id: RowId, names: Sequence[str]) -> list[str]:
    """All tags the contact then carries. Raises NotFound, Invalid."""
    principal.require(WRITE)
    organization_id = principal.organization_id
    _hold_contact(tx, organization_id, contact_id)
    has = store.names_of(tx, organization_id, [contact_id]).get(contact_id, [])
    try:
        wanted = check_names(names)
    except ValueError as bad:
        raise Invalid(field="tags", message=str(bad)) from None
    together = sorted({*has, *wanted})
    if len(together) > TAGS_MAX:
        raise Invalid(field="tags", message=TOO_MANY)
    missing = [name for name in wanted if name not in has]
    if missing:
        ids = store.ensure(tx, organization_id, missing)
        store.LINKS.add(
            tx, organization_id, [(contact_id, tag_id) for tag_id in ids.values()], clock.now_ms()
        )
        _tell(tx, organization_id, contact_id)
    return together


def remove(tx: Tx, principal: Principal, contact_id: RowId, name: str) -> list[str]:
    """The tags that are left. Raises NotFound for the contact, or a tag it does not carry."""
    principal.require(WRITE)
    organization_id = principal.organization_id
    _hold_contact(tx, organization_id, contact_id)
    found = store.find(tx, organization_id, [name])
    if not found or not store.LINKS.remove(tx, organization_id, [(contact_id, found[0].id)]):
        raise NotFound(noun="tag")
    _tell(tx, organization_id, contact_id)
    return store.names_of(tx, organization_id, [contact_id]).get(contact_id, [])


def _hold_contact(tx: Tx, organization_id: int, contact_id: RowId) -> None:
    if not where_known(tx, organization_id, [contact_id]):
        raise NotFound(noun="contact")


def _tell(tx: Tx, organization_id: int, contact_id: RowId) -> None:
    now = clock.now_ms()
    touch(tx, organization_id, [contact_id], now)
    data = {"changed": ["tags"]}
    event = Event(organization_id, EventKind.CONTACT_UPDATED, now, contact_id=contact_id, data=data)
    journal.record(tx, [event])
