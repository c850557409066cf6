"""What a recipient chooses for itself: the public lists it is on, a pause, or no mail at all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from postrider.db.database import Tx
from postrider.engine import messages, suppression
from postrider.engine.audience import contacts, lists
from postrider.engine.audience.contacts.rules import OPTOUT_SCOPES
from postrider.engine.audience.model import Contact, ContactList, Status
from postrider.engine.audience.privacy.consent import LINK, sender_of
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.engine.suppression import Class, Entry, Reason, Scope, Source
from postrider.kit import clock
from postrider.kit.ids import RowId

SHOWN_MAX = 100  # lists of one page
PAUSES_DAYS = (7, 30, 90)  # what may be chosen
_PAUSED = (Scope.ORGANIZATION, "")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the page shows; `color` is #rrggbb of the organization, or empty.

    `is_out`: it said no for good. `paused_until` is in ms, None where it gets mail or is out.
    """

    contact: Contact
    lists: Sequence[ContactList]
    sender: str
    color: str
    is_out: bool
    paused_until: int | None

    @property
    def may_pause(self) -> bool:
        """Who has not confirmed yet gets no mail that could pause."""
        return not self.is_out and self.contact.status is not Status.PENDING


def preferences_of(tx: Tx, organization_id: int, message_id: RowId) -> Preferences | None:
    """Of whom a message was for; None where it, or the contact, is kept no longer."""
    principal = Principal(organization_id)
    message = messages.one(tx, organization_id, message_id)
    if message is None:
        return None
    try:
        contact = contacts.by_address(tx, principal, message.recipient)
    except NotFound:
        return None
    public = lists.page(tx, principal, limit=SHOWN_MAX, public=True)
    address = (organization_id, contact.address_key)
    optouts = [
        each
        for each in suppression.check(tx, [address]).get(address, ())
        if each.class_ is Class.OPTOUT and each.scope in OPTOUT_SCOPES
    ]
    is_out = any(each.expires_at is None for each in optouts)
    ends = [each.expires_at for each in optouts if each.expires_at is not None]
    return Preferences(
        contact,
        public,
        *sender_of(tx, organization_id),
        is_out=is_out,
        paused_until=max(ends) if ends and not is_out else None,
    )


def choose(tx: Tx, found: Preferences, chosen: Collection[RowId]) -> None:
    """Be on these of the lists shown, and on no other of them; what is not shown stays as it is."""
    principal = Principal(found.contact.organization_id)
    for each in found.lists:
        is_on = each.id in found.contact.lists
        if each.id in chosen and not is_on:
            lists.add(tx, principal, each.id, [found.contact.id])
        elif is_on and each.id not in chosen:
            lists.remove(tx, principal, each.id, [found.contact.id])


def pause(tx: Tx, found: Preferences, days: int) -> None:
    """No mail of the organization for so many days; said again, it begins anew. Then all is as it was.

    An opt-out that ends by itself: it stops what an opt-out stops, and is no event, since nobody has left.
    """
    assert days in PAUSES_DAYS
    if not found.may_pause:
        return
    entry = Entry(
        found.contact.organization_id, found.contact.address_key, *_PAUSED, Class.OPTOUT,
        Reason.UNSUBSCRIBED.value, Source.LINK.value, expires_at=clock.now_ms() + days * clock.DAY,
    )  # fmt: skip
    suppression.add(tx, [entry])


def resume(tx: Tx, found: Preferences) -> None:
    """End a pause; an opt-out for good stays."""
    if found.paused_until is not None:
        principal = Principal(found.contact.organization_id)
        suppression.take_back_address(
            tx, principal, found.contact.address_key, classes=[Class.OPTOUT], scope=_PAUSED
        )


def leave_all(tx: Tx, found: Preferences) -> None:
    """No mail of the organization any more."""
    contacts.unsubscribe(tx, Principal(found.contact.organization_id), found.contact.id, source=LINK)
