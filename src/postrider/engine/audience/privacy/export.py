"""All that is kept of a contact, for its owner (GDPR articles 15 and 20): profile, mail, events."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from postrider.db.database import AnyRow, Database, Tx
from postrider.engine import messages, suppression
from postrider.engine.audience import contacts, lists
from postrider.engine.audience.model import Contact
from postrider.engine.journal import Event, personal
from postrider.engine.principal import Principal
from postrider.engine.suppression import Entry
from postrider.kit.ids import RowId, id_floor

PAGE = 20  # messages at once, with all their events
STRETCH = 5_000  # events of the organization that are looked at in one read


@dataclass(frozen=True, slots=True)
class Profile:
    """A contact, the names of its lists, what is entered on its address."""

    contact: Contact
    lists: Sequence[str]
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Told:
    """One message to the contact (as messages.one has it) and its events, oldest first."""

    message: AnyRow
    events: Sequence[Event]


def profile_of(tx: Tx, principal: Principal, contact_id: RowId) -> Profile:
    """Raises NotFound."""
    contact = contacts.get(tx, principal, contact_id)
    organization_id = principal.organization_id
    names = [found.name for each in contact.lists if (found := lists.find_one(tx, organization_id, each))]
    address = (organization_id, contact.address_key)
    entries = suppression.check(tx, [address]).get(address, [])
    return Profile(
        contact, names, [entry for entry in entries if entry.reason != suppression.Reason.OPERATOR]
    )


async def messages_of(db: Database, contact: Contact) -> AsyncIterator[Told]:
    """Every message that was addressed to the contact, newest first."""
    before: RowId | None = None
    while True:
        page = await db.read(_page, contact, before)
        for told in page:
            yield told
        if len(page) < PAGE:
            return
        before = page[-1].message.id


async def events_of(db: Database, contact: Contact) -> AsyncIterator[Event]:
    """What happened to the contact itself, not to a message, oldest first."""
    after: RowId | None = id_floor(contact.created_at)
    while after is not None:
        walked = await db.read(
            personal.of_contact, contact.organization_id, contact.id, after=after, stretch=STRETCH
        )
        for event in walked.found:
            if event.message_id is None:
                yield event
        after = walked.last


def _page(tx: Tx, contact: Contact, before: RowId | None) -> list[Told]:
    found = messages.search(
        tx, contact.organization_id, limit=PAGE, before=before, address_key=contact.address_key
    )
    events: dict[RowId | None, list[Event]] = {row.id: [] for row in found}
    for event in personal.of_messages(tx, contact.organization_id, [row.id for row in found]):
        events[event.message_id].append(event)
    return [Told(row, events[row.id]) for row in found]
