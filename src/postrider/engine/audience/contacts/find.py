"""Looking contacts up: one, many, a page of a filter, how many it finds. Changes nothing."""

from collections.abc import Iterable
from operator import attrgetter

from postrider.db.database import Tx
from postrider.engine.audience import lists, tags
from postrider.engine.audience.contacts import pages, store
from postrider.engine.audience.contacts.pages import Cursor, Narrowed
from postrider.engine.audience.contacts.pages.store import Group
from postrider.engine.audience.contacts.rules import NEEDLE_MAX_CHARS
from postrider.engine.audience.model import Contact, ContactFilter, ContactSort, Total
from postrider.engine.errors import Invalid, NotFound
from postrider.engine.principal import Principal
from postrider.kit.address import InvalidAddress, address_key, parse_address
from postrider.kit.ids import RowId

READ = "contacts:read"
PAGE_MAX = 1_000
TAGS_MAX = 20  # of one filter
EMAILS_MAX = 1_000
EVERYBODY = ContactFilter()


def get(tx: Tx, principal: Principal, contact_id: RowId) -> Contact:
    """Raises NotFound, also for a foreign one."""
    principal.require(READ)
    found = many(tx, principal.organization_id, [contact_id])
    if contact_id not in found:
        raise NotFound(noun="contact")
    return found[contact_id]


def by_address(tx: Tx, principal: Principal, email: str) -> Contact:
    """The contact of an address in any spelling. Raises NotFound, also for what is no address."""
    principal.require(READ)
    for contact in store.by_keys(tx, principal.organization_id, _keys([email])):
        return many(tx, principal.organization_id, [contact.id])[contact.id]
    raise NotFound(noun="contact")


def by_keys(tx: Tx, organization_id: int, keys: Iterable[str]) -> list[Contact]:
    """Those who have one of these address keys, without their tags and lists; one statement."""
    return store.by_keys(tx, organization_id, keys)


def many(tx: Tx, organization_id: int, ids: Iterable[RowId]) -> dict[RowId, Contact]:
    """Those of these ids that are contacts of the organization, in the order asked; three statements."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return {}
    its_tags = tags.names_of(tx, organization_id, wanted)
    its_lists = lists.ids_of(tx, organization_id, wanted)
    found = store.by_ids(tx, organization_id, wanted, tags=its_tags, lists=its_lists)
    by_id = {contact.id: contact for contact in found}
    return {each: by_id[each] for each in wanted if each in by_id}


def by_ids(tx: Tx, organization_id: int, ids: Iterable[RowId]) -> list[Contact]:
    """Those of these ids, in the order of ids, without their tags and lists; one statement."""
    return sorted(store.by_ids(tx, organization_id, ids), key=attrgetter("id"))


def page(
    tx: Tx,
    principal: Principal,
    asked: ContactFilter = EVERYBODY,
    *,
    sort: ContactSort = ContactSort.CREATED,
    descending: bool = True,
    limit: int,
    offset: int = 0,
    after: Cursor | None = None,
) -> list[Contact]:
    """At most PAGE_MAX contacts in order; `after` (cursor_of the last one seen) goes on from there.

    A part of one or two characters is looked for among the newest contacts only. Raises Invalid.
    """
    principal.require(READ)
    narrowed = _narrowed(tx, principal, asked)
    if narrowed is None:
        return []
    limit = min(limit, PAGE_MAX)
    ids = pages.ids(
        tx, principal.organization_id, narrowed,
        sort=sort, descending=descending, limit=limit, offset=offset, after=after,
    )  # fmt: skip
    return list(many(tx, principal.organization_id, ids).values())


def count(tx: Tx, principal: Principal, asked: ContactFilter = EVERYBODY) -> Total:
    """How many `page` finds: exact to pages.COUNT_MAX, beyond it where a counter says so. Raises Invalid."""
    principal.require(READ)
    narrowed = _narrowed(tx, principal, asked)
    return Total(0) if narrowed is None else pages.count(tx, principal.organization_id, narrowed)


def cursor_of(contact: Contact, sort: ContactSort) -> Cursor:
    """The place of a contact in an order."""
    return Cursor(getattr(contact, sort.value), contact.id)


def _narrowed(tx: Tx, principal: Principal, asked: ContactFilter) -> Narrowed | None:
    """The filter with its names looked up; None where it can find nothing. Raises Invalid."""
    _check(asked)
    organization_id = principal.organization_id
    named = list(dict.fromkeys(asked.tags))
    found_tags = tags.find(tx, organization_id, named) if named else []
    if len(found_tags) < len(named):
        return None
    its_list = its_segment = None
    if asked.list_id is not None:
        found = lists.find_one(tx, organization_id, asked.list_id)
        if found is None:
            return None
        its_list = Group(found.id, found.contacts)
    if asked.segment_id is not None:
        size = store.segment_size(tx, organization_id, asked.segment_id)
        if size is None:
            return None
        its_segment = Group(asked.segment_id, size)
    keys = _keys(asked.emails)
    if asked.emails and not keys:
        return None
    groups = [Group(tag.id, tag.contacts) for tag in found_tags]
    return Narrowed(filter=asked, keys=keys, tags=groups, list=its_list, segment=its_segment)


def _check(asked: ContactFilter) -> None:
    for field, is_bad, message in (
        ("search", len(asked.search or "") > NEEDLE_MAX_CHARS or "\0" in (asked.search or ""),
         f"A part of an address or name has at most {NEEDLE_MAX_CHARS} characters"),
        ("tags", len(asked.tags) > TAGS_MAX, f"At most {TAGS_MAX} tags are asked for at once"),
        ("emails", len(asked.emails) > EMAILS_MAX, f"At most {EMAILS_MAX} addresses are asked for at once"),
    ):  # fmt: skip
        if is_bad:
            raise Invalid(field=field, message=message)


def _keys(emails: Iterable[str]) -> list[str]:
    """The keys of those that are addresses."""
    keys = []
    for email in emails:
        try:
            keys.append(address_key(parse_address(email.strip())))
        except InvalidAddress:
            continue
    return list(dict.fromkeys(keys))
