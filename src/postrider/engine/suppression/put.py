"""Entering addresses by hand or by import, and taking entries back. What mail itself leads to is entered by
`journal.record`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from postrider.db.database import Tx
from postrider.engine.errors import Conflict, Invalid
from postrider.engine.principal import Principal
from postrider.engine.suppression import store
from postrider.engine.suppression.find import one
from postrider.engine.suppression.model import Class, Entry, Kept, Reason, Scope, Source
from postrider.kit.address import ADDRESS_MAX_OCTETS, InvalidAddress, address_key, parse_address
from postrider.kit.ids import RowId

WRITE = "suppression:write"
NOTE_MAX_CHARS = 500
IMPORT_MAX = 1_000  # entries of one call: what stays a short write


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """What is asked to be entered; `address_key` as `key_of` gives it, `scope_id` as in Entry."""

    address_key: str
    class_: Class
    reason: Reason
    source: Source = Source.API
    scope: Scope = Scope.ORGANIZATION
    scope_id: str = ""
    note: str | None = None


def put(tx: Tx, principal: Principal, new: New) -> Kept:
    """Enter one address. Raises Conflict where it stands there in that scope and class, Invalid."""
    principal.require(WRITE)
    entry = _entry(principal, new)
    kept = store.insert(tx, [entry])
    if not kept:
        raise Conflict(noun="suppression")
    found = store.get(tx, principal.organization_id, kept[0])
    assert found is not None
    return found


def import_many(tx: Tx, principal: Principal, new: Sequence[New]) -> int:
    """Enter up to IMPORT_MAX addresses; answers how many were not there yet. Raises Invalid."""
    principal.require(WRITE)
    if len(new) > IMPORT_MAX:
        raise Invalid(field="addresses", message=f"At most {IMPORT_MAX} addresses are imported at once")
    return store.add(tx, [_entry(principal, each) for each in new])


def take_back(tx: Tx, principal: Principal, suppression_id: RowId, *, classes: Sequence[Class] = ()) -> Kept:
    """Remove one entry, of certain classes where they are named. Raises NotFound."""
    principal.require(WRITE)
    found = one(tx, principal, suppression_id, classes)
    store.remove(tx, principal.organization_id, suppression_id)
    return found


def take_back_address(
    tx: Tx,
    principal: Principal,
    address_key: str,
    *,
    classes: Sequence[Class],
    scope: tuple[Scope, str] | None = None,
) -> int:
    """Remove an address's entries of some classes, in one scope or in all; answers how many there were."""
    principal.require(WRITE)
    return store.remove_address(tx, principal.organization_id, address_key, classes, scope)


def key_of(text: str) -> str:
    """The key of an address as people write it; raises Invalid."""
    try:
        return address_key(parse_address(text.strip()))
    except InvalidAddress:
        shown = f"address must be one mail address of at most {ADDRESS_MAX_OCTETS} bytes"
        raise Invalid(field="address", message=shown) from None


def _entry(principal: Principal, new: New) -> Entry:
    if new.note is not None and len(new.note) > NOTE_MAX_CHARS:
        raise Invalid(field="note", message=f"note must have at most {NOTE_MAX_CHARS} characters")
    assert new.reason is not Reason.OPERATOR, "the operator's own list is another table"
    assert bool(new.scope_id) == (new.scope is not Scope.ORGANIZATION)
    return Entry(
        principal.organization_id,
        new.address_key,
        new.scope,
        new.scope_id,
        new.class_,
        new.reason.value,
        new.source.value,
        None,
        new.note,
    )
