"""The operator's own list: addresses refused for every organization. Who the operator is, accounts say."""

from postrider.db.database import Tx
from postrider.engine.errors import Conflict, Invalid, NotFound
from postrider.engine.suppression import store
from postrider.engine.suppression.model import OperatorEntry
from postrider.engine.suppression.put import NOTE_MAX_CHARS

PAGE_MAX = 1_000


def browse_operator(tx: Tx, *, limit: int, after: str = "") -> list[OperatorEntry]:
    """In the order of the addresses, those behind `after`; at most PAGE_MAX."""
    return store.page_operator(tx, after=after, limit=min(limit, PAGE_MAX))


def put_operator(tx: Tx, address_key: str, reason: str) -> OperatorEntry:
    """Refuse an address for every organization, at once. Raises Conflict, Invalid."""
    reason = reason.strip()
    if not reason or len(reason) > NOTE_MAX_CHARS:
        raise Invalid(field="reason", message=f"reason must have 1 to {NOTE_MAX_CHARS} characters")
    entry = store.insert_operator(tx, address_key, reason)
    if entry is None:
        raise Conflict(noun="suppression")
    return entry


def take_back_operator(tx: Tx, address_key: str) -> OperatorEntry:
    """Answers what was there. Raises NotFound."""
    entry = store.remove_operator(tx, address_key)
    if entry is None:
        raise NotFound(noun="suppression")
    return entry
