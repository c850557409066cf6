"""Forgetting a person (GDPR article 17): the contact goes, its mail and its events become nobody's.

What imports complained of and exports wrote goes too, and what later packages keep (`Elsewhere`): captured
mail, and the bodies of webhooks. Kept is the address of an opt-out or a complaint, as an entry of suppression
and nothing else: without it the next import would have the person mailed again, against its word (article
17.3 b, article 21). Bounces and allow entries go. What was posted to the customer's own webhooks, and files
it has fetched, are theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postrider.db.database import Database, Tx
from postrider.engine import journal, suppression
from postrider.engine.audience import contacts, transfer
from postrider.engine.audience.model import Contact
from postrider.engine.audience.privacy.export import STRETCH
from postrider.engine.audience.transfer import Folder
from postrider.engine.errors import NotAllowedNow
from postrider.engine.journal import Event, EventKind
from postrider.engine.journal import personal as personal_events
from postrider.engine.messages import personal, queue
from postrider.engine.principal import Principal
from postrider.engine.suppression import Class, Reason
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor

WRITE = "contacts:write"
AT_ONCE = 50  # messages of one write, with their events
ENTRIES_MAX = 100  # of one address
_WRITTEN = "Contacts are being exported right now; try again in a minute"
_HELD = "Mail to this contact is being delivered right now; try again in a minute"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What later packages keep of a person, forgotten in the same order and as resumable as the rest.

    `mail` drops some of an address's captured mail and answers how many, 0 when there is none left; `events`
    drops what was rendered of some events, in the transaction that makes these anonymous.
    """

    mail: Callable[[Tx, int, str], int]
    events: Callable[[Tx, int, Sequence[RowId]], None]


@dataclass(frozen=True, slots=True)
class Erased:
    """How many messages and events became anonymous, and which entries on the address stay."""

    messages: int
    events: int
    kept: int


async def erase(
    db: Database, principal: Principal, contact_id: RowId, *, folder: Folder, elsewhere: Elsewhere
) -> Erased:
    """In short writes, the contact itself last: cut off anywhere, it is done by calling it again.

    Mail that waits is called back. Raises NotFound, Forbidden, and NotAllowedNow while a worker holds mail to
    the contact, or writes an export.
    """
    principal.require(WRITE)
    contact = await db.read(contacts.get, Principal(principal.organization_id), contact_id)
    mails = events = 0
    last: RowId | None = b""
    is_held = False
    while last is not None:
        page = await db.write(_forget_mail, contact, last, elsewhere)
        mails, events = mails + page.messages, events + page.events
        last, is_held = page.last, is_held or page.is_held
    if is_held:
        raise NotAllowedNow(message=_HELD)
    last = id_floor(contact.created_at)
    while last is not None:
        walked = await db.read(
            personal_events.of_contact, contact.organization_id, contact.id, after=last, stretch=STRETCH
        )
        if walked.found:
            await db.write(_forget_events, contact.organization_id, walked.found, elsewhere)
        events, last = events + len(walked.found), walked.last
    while await db.write(elsewhere.mail, contact.organization_id, contact.address_key):
        pass
    addresses = (contact.email, contact.address_key)
    seen = await transfer.forget(db, folder, contact.organization_id, addresses)
    whole = Principal(principal.organization_id)
    while await db.write(contacts.empty, whole, contact_id):
        pass
    kept = await db.write(_forget_contact, contact, seen)
    return Erased(mails, events, kept)


@dataclass(frozen=True, slots=True)
class _Page:
    messages: int
    events: int
    last: RowId | None
    is_held: bool


def _forget_mail(tx: Tx, contact: Contact, after: RowId, elsewhere: Elsewhere) -> _Page:
    organization_id = contact.organization_id
    found = personal.of_address(tx, organization_id, contact.address_key, after=after, limit=AT_ONCE)
    waiting = [each.id for each in found if each.is_waiting]
    if waiting:
        caught = set(queue.reschedule(tx, organization_id, waiting, queue.FAR))
        now = clock.now_ms()
        journal.record(
            tx,
            [
                Event(organization_id, EventKind.CANCELLED, now, each.id, campaign_id=each.campaign_id)
                for each in found
                if each.id in caught
            ],
        )
    free = [each.id for each in found if not each.is_held]
    events = personal_events.of_messages(tx, organization_id, free) if free else []
    _forget_events(tx, organization_id, events, elsewhere)
    if free:
        personal.anonymise(tx, organization_id, free)
    last = found[-1].id if len(found) == AT_ONCE else None
    return _Page(len(free), len(events), last, len(free) < len(found))


def _forget_events(tx: Tx, organization_id: int, events: Sequence[Event], elsewhere: Elsewhere) -> None:
    elsewhere.events(tx, organization_id, [each.id for each in events])
    personal_events.anonymise(tx, organization_id, events)


def _forget_contact(tx: Tx, contact: Contact, seen: RowId) -> int:
    """The contact and the entries on its address that protect nobody; answers how many entries stay.

    Raises NotAllowedNow where an export past `seen` may hold it.
    """
    if transfer.is_exported_since(tx, contact.organization_id, seen):
        raise NotAllowedNow(message=_WRITTEN)
    whole = Principal(contact.organization_id)
    kept = 0
    for entry in suppression.browse(tx, whole, limit=ENTRIES_MAX, address_key=contact.address_key):
        if entry.class_ is Class.OPTOUT or entry.reason == Reason.COMPLAINT:
            kept += 1
        else:
            suppression.remove(tx, contact.organization_id, entry.id)
    contacts.delete(tx, whole, contact.id)
    return kept
