"""What a contact, or somebody for it, says of mail: to subscribe, to unsubscribe. Either may be repeated."""

from typing import Any

from postrider.db.database import Tx
from postrider.engine import journal, suppression
from postrider.engine.audience.contacts import rules, store
from postrider.engine.audience.contacts.find import get
from postrider.engine.audience.model import Contact, Status
from postrider.engine.errors import NotAllowedNow, NotFound
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.engine.suppression import Class, Entry, Reason, Scope, Source
from postrider.kit import clock
from postrider.kit.ids import RowId

WRITE = "contacts:write"
ENTRIES_MAX = 1_000  # of one address: one a class and sending domain
FEEDBACK_MAX_CHARS = 500
_LIFTED = (Reason.UNSUBSCRIBED, Reason.MANUAL, Reason.HARD_BOUNCE, Reason.SOFT_BOUNCES)


def subscribe(
    tx: Tx,
    principal: Principal,
    contact_id: RowId,
    *,
    reason: str | None = None,
    feedback: str | None = None,
    source: str = Source.API.value,
) -> Contact:
    """The contact, subscribed: its opt-outs are taken back, and the whole organization's bounces.

    Raises NotFound, and NotAllowedNow for an address that complained: only who keeps the list lifts that.
    """
    contact = _held(tx, principal, contact_id)
    address = (contact.organization_id, contact.address_key)
    _lift(tx, *address)
    standing = rules.status_of(suppression.check(tx, [address]).get(address, ()))
    if standing is not None:
        raise NotAllowedNow(message="This address is suppressed; its suppression must be lifted first")
    if contact.status is not Status.SUBSCRIBED:
        data = {"source": source, "lists": [each.hex() for each in contact.lists]}
        _move(tx, contact, Status.SUBSCRIBED, EventKind.CONTACT_SUBSCRIBED, data, reason, feedback)
    return get(tx, Principal(contact.organization_id), contact_id)


def unsubscribe(
    tx: Tx,
    principal: Principal,
    contact_id: RowId,
    *,
    reason: str | None = None,
    feedback: str | None = None,
    source: str = Source.API.value,
) -> Contact:
    """The contact, which no mail of the organization reaches from now on; its lists and tags stay.

    `source` as suppression.Source has it. Raises NotFound.
    """
    contact = _held(tx, principal, contact_id)
    entry = Entry(
        contact.organization_id, contact.address_key, Scope.ORGANIZATION, "", Class.OPTOUT,
        Reason.UNSUBSCRIBED.value, Source(source).value, note=(feedback or reason or None),
    )  # fmt: skip
    is_new = suppression.add(tx, [entry])
    if is_new or contact.status is not Status.UNSUBSCRIBED:  # also of a paused one, which has that status
        data = {"source": source}
        _move(tx, contact, Status.UNSUBSCRIBED, EventKind.UNSUBSCRIBED, data, reason, feedback)
    return get(tx, Principal(contact.organization_id), contact_id)


def _held(tx: Tx, principal: Principal, contact_id: RowId) -> Contact:
    principal.require(WRITE)
    if not store.by_ids(tx, principal.organization_id, [contact_id], held=True):
        raise NotFound(noun="contact")
    return get(tx, Principal(principal.organization_id), contact_id)


def _lift(tx: Tx, organization_id: int, address_key: str) -> None:
    entries = suppression.browse(
        tx,
        Principal(organization_id),
        limit=ENTRIES_MAX,
        address_key=address_key,
        scopes=rules.OPTOUT_SCOPES,
        classes=[Class.OPTOUT, Class.BLOCK],
    )
    for entry in entries:
        is_bounce = entry.scope is Scope.ORGANIZATION and entry.reason in _LIFTED
        if entry.class_ is Class.OPTOUT or is_bounce:
            suppression.remove(tx, organization_id, entry.id)


def _move(
    tx: Tx,
    contact: Contact,
    status: Status,
    kind: EventKind,
    data: dict[str, Any],
    reason: str | None,
    feedback: str | None,
) -> None:
    now = clock.now_ms()
    store.set_status(tx, contact, status, now)
    said = {"reason": reason, "feedback": feedback}
    told = {**data, **{name: text[:FEEDBACK_MAX_CHARS] for name, text in said.items() if text}}
    journal.record(tx, [Event(contact.organization_id, kind, now, contact_id=contact.id, data=told)])
