"""The recipient's own say: what the page behind an unsubscribe link shows, and the way back from it."""

from dataclasses import dataclass
from enum import Enum, auto

from postrider.db.database import AnyRow, Tx
from postrider.engine import accounts, content, journal, messages, suppression
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.engine.suppression import Class, Entry, Scope, Source
from postrider.kit import clock
from postrider.kit.ids import RowId

# What its owner entered through mail itself. What the organization entered, it alone takes back.
OWN = frozenset({Source.LINK, Source.ONE_CLICK, Source.MAIL})


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page may show to whoever holds the link."""

    recipient: str
    sender: str
    color: str  # #rrggbb of the organization, or empty
    is_out: bool  # gets no mail of this kind, for good


class Back(Enum):
    """What came of asking to get mail again."""

    SUBSCRIBED = auto()
    STILL_OUT = auto()  # the organization keeps an opt-out of its own, or one that reaches further
    UNKNOWN = auto()  # there is no such message


def visit_of(tx: Tx, organization_id: int, message_id: RowId) -> Visit | None:
    """None where the message, or its organization, is kept no longer."""
    row = messages.one(tx, organization_id, message_id)
    organization = accounts.organization(tx, organization_id)
    if row is None or organization is None:
        return None
    return Visit(
        recipient=row.recipient,
        sender=content.known_as(organization.settings, content.stored_mailbox(row.from_header)),
        color=organization.settings.brand_color,
        is_out=bool(_optouts(tx, row)),
    )


def resubscribe(tx: Tx, organization_id: int, message_id: RowId) -> Back:
    """Take back the opt-out that a link of this kind of mail made; recorded where there was one.

    It is the one of the address in the scope in which this link opts out, by whichever mail of that scope.
    A pause ends with it.
    """
    row = messages.one(tx, organization_id, message_id)
    if row is None:
        return Back.UNKNOWN
    scope = _scope(row)
    principal, key = Principal(organization_id), row.address_key
    for paused in _pauses(tx, row):
        suppression.take_back_address(
            tx, principal, key, classes=[Class.OPTOUT], scope=(paused.scope, paused.scope_id)
        )
    own = [each for each in _optouts(tx, row) if (each.scope, each.scope_id) == scope and each.source in OWN]
    if own and suppression.take_back_address(tx, principal, key, classes=[Class.OPTOUT], scope=scope):
        back = Event(
            organization_id,
            EventKind.CONTACT_SUBSCRIBED,
            clock.now_ms(),
            message_id=message_id,
            contact_id=row.contact_id,
            data={"source": Source.LINK.value},
        )
        journal.record(tx, [back])
    return Back.STILL_OUT if _optouts(tx, row) else Back.SUBSCRIBED


def _optouts(tx: Tx, row: AnyRow) -> list[Entry]:
    """Those for good that reach mail of this kind."""
    return [each for each in _reaching(tx, row) if each.expires_at is None]


def _pauses(tx: Tx, row: AnyRow) -> list[Entry]:
    return [each for each in _reaching(tx, row) if each.expires_at is not None]


def _reaching(tx: Tx, row: AnyRow) -> list[Entry]:
    reached = {(Scope.ORGANIZATION, ""), _scope(row)}
    address = (row.organization_id, row.address_key)
    return [
        each
        for each in suppression.check(tx, [address]).get(address, ())
        if each.class_ is Class.OPTOUT and (each.scope, each.scope_id) in reached
    ]


def _scope(row: AnyRow) -> tuple[Scope, str]:
    """As an opt-out of this message is entered."""
    return (Scope.DOMAIN, row.domain_id.hex()) if row.domain_id else (Scope.ORGANIZATION, "")
