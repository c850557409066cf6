"""Double opt-in: somebody asks for mail at a form, the owner of the address confirms it by a mailed link.

Until then a new contact is pending and gets nothing, and of a known one nothing is changed: whoever types an
address may not be its owner. What is recorded as consent is the confirmation.
"""

from dataclasses import dataclass, replace

from postrider.db.database import Tx
from postrider.engine import accounts
from postrider.engine.audience import contacts, lists
from postrider.engine.audience.contacts.rules import AGENT_MAX_CHARS, IP_MAX_CHARS
from postrider.engine.audience.model import Consent, Contact, ContactInput, ContactList, Status
from postrider.engine.audience.privacy.tokens import Token
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.kit import clock

SOURCE = "signup_form"
LINK = "link"
VALID_MS = 14 * clock.DAY  # of a mailed link


@dataclass(frozen=True, slots=True)
class Visitor:
    """From where somebody asked."""

    ip_address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Form:
    """What a sign-up form shows."""

    list: ContactList
    sender: str
    color: str  # #rrggbb of the organization, or empty


def form_of(tx: Tx, token: Token) -> Form | None:
    """None where the list is gone, or is no longer one that people may join themselves."""
    found = lists.find_one(tx, token.organization_id, token.list_id or b"")
    if found is None or not found.is_public:
        return None
    return Form(found, *sender_of(tx, token.organization_id))


def sender_of(tx: Tx, organization_id: int) -> tuple[str, str]:
    """What pages call an organization, and its colour."""
    organization = accounts.organization(tx, organization_id)
    if organization is None:
        return "", ""
    return organization.settings.brand_name or organization.name, organization.settings.brand_color


def sign_up(tx: Tx, token: Token, given: ContactInput, visitor: Visitor) -> Contact:
    """The contact that is to be asked by mail, pending where it is new. Raises Invalid for what is wrong."""
    principal = Principal(token.organization_id)
    try:
        return contacts.by_address(tx, principal, given.email)
    except NotFound:
        asked = replace(given, status=Status.PENDING, source=SOURCE, consent=_consent(visitor, given_at=None))
        contact_id = contacts.create(tx, principal, asked, source=SOURCE)
        return contacts.get(tx, principal, contact_id)


def asked_of(tx: Tx, token: Token) -> Contact | None:
    """The contact behind a mailed link, None where it is gone or the link has grown too old."""
    if token.contact_id is None or token.issued_at < clock.now_ms() - VALID_MS:
        return None
    found = contacts.many(tx, token.organization_id, [token.contact_id])
    return found.get(token.contact_id)


def confirm(tx: Tx, token: Token, visitor: Visitor) -> Contact | None:
    """The contact, subscribed and on the list; None as asked_of. Raises NotAllowedNow: it complained.

    A link counts once: it takes back no opt-out that was said after it was mailed, and puts nobody on a list
    that was left since.
    """
    contact = asked_of(tx, token)
    if contact is None or is_confirmed(contact, token):
        return contact
    principal = Principal(token.organization_id)
    contacts.subscribe(tx, principal, contact.id, source=LINK)
    there = lists.where_there(tx, token.organization_id, {token.list_id} if token.list_id else set())
    said = ContactInput(
        email=contact.email, lists=list(there), consent=_consent(visitor, given_at=clock.now_ms())
    )
    contacts.change(tx, principal, contact.id, said)
    return contacts.get(tx, principal, contact.id)


def is_confirmed(contact: Contact, token: Token) -> bool:
    """Whether this link, or a later word of the contact, has settled it."""
    given_at = contact.consent.given_at if contact.consent else None
    said_at = max(given_at or 0, contact.unsubscribed_at or 0)
    return said_at >= token.issued_at


def _consent(visitor: Visitor, *, given_at: int | None) -> Consent:
    return Consent(
        email_marketing=None if given_at is None else True,
        given_at=given_at,
        ip_address=visitor.ip_address[:IP_MAX_CHARS] or None,
        user_agent=visitor.user_agent[:AGENT_MAX_CHARS] or None,
    )
