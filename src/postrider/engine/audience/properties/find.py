"""Finding: the keys in use, and contacts by one property."""

from typing import Any

from postrider.db.database import Tx
from postrider.engine.audience.properties import store
from postrider.engine.audience.properties.define import READ
from postrider.engine.audience.properties.encode import after, encode, kind_end, part
from postrider.engine.audience.properties.kinds import number_of
from postrider.engine.audience.properties.model import VALUE_MAX_CHARS, Operator, PropertyKey
from postrider.engine.errors import Invalid
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId

PAGE_MAX = 1_000
READ_AT_ONCE = 1_000
ORDERING = (Operator.ABOVE, Operator.AT_LEAST, Operator.BELOW, Operator.AT_MOST)


def keys(tx: Tx, principal: Principal, *, of: int) -> list[PropertyKey]:
    """The keys some contact has a value of, most used first; `of`: how many contacts there are in all."""
    principal.require(READ)
    return [
        PropertyKey(name, contacts, min(1.0, contacts / of) if of else 0.0)
        for name, contacts in store.keys(tx, principal.organization_id)
    ]


def search(
    tx: Tx,
    principal: Principal,
    name: str,
    operator: Operator,
    value: Any = None,
    *,
    limit: int,
    offset: int = 0,
) -> tuple[list[RowId], int]:
    """Contacts by a property, ordered by its values, and how many there are, counted to store.COUNT_MAX.

    Where more values fit, and contacts have lists of them, there may be less contacts than are told.

    Of a list any element may fit. `!=` finds contacts that have the property, and no value of it is this one.
    Texts compare without case; `contains` looks at their first 184 bytes. Where an order is asked of a text
    that reads as a number, it is that number. Raises Invalid.
    """
    principal.require(READ)
    if offset + limit > store.COUNT_MAX:
        raise Invalid(field="page", message=f"Only the first {store.COUNT_MAX} contacts can be paged through")
    encoded = _operand(operator, value)
    known = store.key(tx, principal.organization_id, name)
    if known is None:
        return [], 0
    number, contacts = known
    asked = (principal.organization_id, number)
    conditions = _conditions(tx, operator, value, encoded, *asked)
    limit = min(limit, PAGE_MAX)
    if operator is Operator.EQUAL:  # a contact has a value once
        rows = store.having(tx, *asked, conditions, after_value=None, limit=limit, offset=offset)
        ids = [contact_id for _, contact_id in rows]
    else:
        ids = _page(tx, *asked, conditions, limit, offset)
    if len(ids) < limit and (ids or not offset):  # the last page: what it took to find it is not read again
        return ids, offset + len(ids)
    return ids, _count(tx, operator, encoded, conditions, *asked, contacts)


def _count(
    tx: Tx,
    operator: Operator,
    encoded: bytes,
    conditions: store.Conditions,
    organization_id: int,
    number: int,
    contacts: int,
) -> int:
    """How many are found; `contacts`: how many have the property at all."""
    asked = (organization_id, number)
    match operator:
        case Operator.EXISTS:
            return min(contacts, store.COUNT_MAX)
        case Operator.EQUAL:
            return store.count_equal(tx, *asked, encoded)
        case Operator.UNEQUAL:
            equal = store.count_equal(tx, *asked, encoded)
            if equal < store.COUNT_MAX:
                return min(contacts - equal, store.COUNT_MAX)
            return store.count_having(tx, *asked, store.beside(encoded))
        case _:
            return min(store.count_having(tx, *asked, conditions), contacts)


def _operand(operator: Operator, value: Any) -> bytes:
    """The value as it is compared; raises Invalid."""
    if operator is Operator.EXISTS:
        return b""
    if isinstance(value, str) and len(value) > VALUE_MAX_CHARS:
        raise Invalid(field="value", message=f"At most {VALUE_MAX_CHARS} characters")
    if not isinstance(value, str | int | float | bool) or (operator is Operator.CONTAINS and value == ""):
        raise Invalid(field="value", message="A text, a number, true or false is needed")
    if operator in ORDERING and isinstance(value, str):
        number = number_of(value)
        value = value if number is None else number
    return encode(value)[0]


def _conditions(
    tx: Tx, operator: Operator, value: Any, encoded: bytes, organization_id: int, number: int
) -> store.Conditions:
    kind = encoded[:1]
    match operator:
        case Operator.EQUAL:
            return store.between(encoded, after(encoded))
        case Operator.UNEQUAL:
            return store.unlike(organization_id, number, encoded)
        case Operator.ABOVE:
            return store.between(after(encoded), kind_end(encoded))
        case Operator.AT_LEAST:
            return store.between(encoded, kind_end(encoded))
        case Operator.BELOW:
            return store.between(kind, encoded)
        case Operator.AT_MOST:
            return store.between(kind, after(encoded))
        case Operator.EXISTS:
            return store.between()
        case Operator.CONTAINS if isinstance(value, str):
            return store.containing(tx, part(value))
        case Operator.CONTAINS:
            return store.between(encoded, after(encoded))


def _page(
    tx: Tx,
    organization_id: int,
    number: int,
    conditions: store.Conditions,
    limit: int,
    offset: int,
) -> list[RowId]:
    """Each contact once, at the least of its values."""
    found: dict[RowId, None] = {}
    last: tuple[bytes, RowId] | None = None
    while len(found) < offset + limit:
        size = max(READ_AT_ONCE if last else limit + offset, limit)
        rows = store.having(tx, organization_id, number, conditions, after_value=last, limit=size)
        found.update(dict.fromkeys(contact_id for _, contact_id in rows))
        if len(rows) < size:
            break
        last = rows[-1]
    return list(found)[offset : offset + limit]
