"""What a contact's record of consent leads to: broadcast mail stopped or let go, openings left unrecorded."""

from collections.abc import Iterable, Sequence

from postrider.db.database import Tx
from postrider.engine import suppression
from postrider.engine.audience.contacts import store
from postrider.engine.audience.model import Consent
from postrider.engine.principal import Principal
from postrider.engine.suppression import Class, Entry, Reason, Scope, Source

BROADCAST = (Scope.STREAM, "broadcast")
Said = tuple[str, Consent | None]  # an address key, and the consent recorded of its owner


def keep_marketing(tx: Tx, organization_id: int, said: Sequence[Said]) -> None:
    """Enter an opt-out from broadcast mail where it is refused; where it is agreed to, take ours back.

    An opt-out that was said in any other way stays: no record of an agreement outweighs it.
    """
    refused = [key for key, consent in said if consent is not None and consent.email_marketing is False]
    agreed = [key for key, consent in said if consent is not None and consent.email_marketing is True]
    if refused:
        suppression.add(tx, [_entry(organization_id, key) for key in refused])
    standing = suppression.check(tx, [(organization_id, key) for key in agreed]) if agreed else {}
    for (_, key), entries in standing.items():
        if any(entry.source == Source.CONSENT for entry in entries):
            suppression.take_back_address(
                tx, Principal(organization_id), key, classes=[Class.OPTOUT], scope=BROADCAST
            )


def refusing_tracking(tx: Tx, addresses: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those of (organization, address key) pairs whose owners refuse to be tracked; one statement."""
    return store.refusing_tracking(tx, addresses)


def _entry(organization_id: int, address_key: str) -> Entry:
    return Entry(
        organization_id, address_key, *BROADCAST, Class.OPTOUT, Reason.UNSUBSCRIBED.value,
        Source.CONSENT.value,
    )  # fmt: skip
