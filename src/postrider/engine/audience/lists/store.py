"""The SQL of lists."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, tuple_, update

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.engine.audience.links import Links
from postrider.engine.audience.model import ContactList, ListSort
from postrider.engine.audience.tables import list_contacts, lists
from postrider.kit.ids import RowId

LINKS = Links(list_contacts, lists, "list_id")
_LIST = (
    lists.c.organization_id, lists.c.id, lists.c.number, lists.c.name, lists.c.description,
    lists.c.is_public, lists.c.contacts, lists.c.created_at, lists.c.updated_at,
)  # fmt: skip

_there = Batch(
    "SELECT l.id FROM v JOIN lists l ON l.organization_id = v.organization_id AND l.id = v.id",
    organization_id=int,
    id=bytes,
)
_many = Batch(
    f"SELECT {', '.join(f'l.{column.name}' for column in _LIST)} FROM v "  # noqa: S608
    "JOIN lists l ON l.organization_id = v.organization_id AND l.id = v.id",
    organization_id=int,
    id=bytes,
)
_ids = Batch(
    """SELECT c.contact_id, l.id FROM v
       JOIN list_contacts c ON c.organization_id = v.organization_id AND c.contact_id = v.contact_id
       JOIN lists l ON l.organization_id = c.organization_id AND l.id = c.list_id""",
    organization_id=int,
    contact_id=bytes,
)


def put(tx: Tx, new: ContactList) -> None:
    tx.execute(
        insert(lists).values(
            organization_id=new.organization_id,
            id=new.id,
            number=new.number,
            name=new.name,
            description=new.description,
            is_public=int(new.is_public),
            created_at=new.created_at,
            updated_at=new.updated_at,
        )
    )


def get(tx: Tx, organization_id: int, list_id: RowId) -> ContactList | None:
    return _one(tx, organization_id, lists.c.id == list_id)


def by_name(tx: Tx, organization_id: int, name: str) -> ContactList | None:
    return _one(tx, organization_id, lists.c.name == name)


def by_number(tx: Tx, organization_id: int, number: int) -> ContactList | None:
    return _one(tx, organization_id, lists.c.number == number)


def page(
    tx: Tx, organization_id: int, *, after: int, limit: int, offset: int, public: bool | None
) -> list[ContactList]:
    """By number, those above `after`."""
    query = select(*_LIST).where(lists.c.organization_id == organization_id, lists.c.number > after)
    if public is not None:
        query = query.where(lists.c.is_public == int(public))
    return [_list(row) for row in tx.execute(query.order_by(lists.c.number).limit(limit).offset(offset))]


def browse(
    tx: Tx,
    organization_id: int,
    *,
    search: str | None,
    sort: ListSort,
    descending: bool,
    limit: int,
    after: tuple[Any, RowId] | None,
) -> list[ContactList]:
    """In order; `after` begins behind what the last one seen is sorted by, and its id."""
    column = lists.c[sort.value]
    query = select(*_LIST).where(*_found(organization_id, search))
    if after is not None:
        place = tuple_(column, lists.c.id)
        query = query.where(place < after if descending else place > after)
    order = (column.desc(), lists.c.id.desc()) if descending else (column, lists.c.id)
    return [_list(row) for row in tx.execute(query.order_by(*order).limit(limit))]


def count(tx: Tx, organization_id: int, search: str | None = None) -> int:
    return tx.execute(select(func.count()).where(*_found(organization_id, search))).scalar_one()


def many(tx: Tx, organization_id: int, list_ids: Iterable[RowId]) -> list[ContactList]:
    """Those that are lists of the organization, in the order of their ids."""
    found = [_list(row) for row in _many(tx, [(organization_id, each) for each in sorted(set(list_ids))])]
    return sorted(found, key=lambda each: each.id)


def change(tx: Tx, organization_id: int, list_id: RowId, **values: Any) -> None:
    """Set columns, values as the driver takes them."""
    tx.execute(update(lists).where(*_of(organization_id, list_id)).values(**values))


def remove(tx: Tx, organization_id: int, list_id: RowId) -> None:
    """The list alone; its links are taken out before."""
    tx.execute(delete(lists).where(*_of(organization_id, list_id)))


def where_there(tx: Tx, organization_id: int, list_ids: Iterable[RowId]) -> set[RowId]:
    """Those that are lists of the organization."""
    return {row[0] for row in _there(tx, [(organization_id, each) for each in sorted(set(list_ids))])}


def ids_of(tx: Tx, organization_id: int, contact_ids: Iterable[RowId]) -> dict[RowId, list[RowId]]:
    """The lists of each contact, oldest first; no list, no key."""
    found: dict[RowId, list[RowId]] = {}
    for contact_id, list_id in _ids(tx, [(organization_id, each) for each in contact_ids]):
        found.setdefault(contact_id, []).append(list_id)
    for ids in found.values():
        ids.sort()
    return found


def _found(organization_id: int, search: str | None) -> list[ColumnElement[bool]]:
    """SQLite knows only the cases of ASCII."""
    part = [lists.c.name.icontains(search, autoescape=True)] if search else []
    return [lists.c.organization_id == organization_id, *part]


def _of(organization_id: int, list_id: RowId) -> tuple[ColumnElement[bool], ...]:
    return lists.c.organization_id == organization_id, lists.c.id == list_id


def _one(tx: Tx, organization_id: int, condition: ColumnElement[bool]) -> ContactList | None:
    row = tx.execute(select(*_LIST).where(lists.c.organization_id == organization_id, condition)).first()
    return None if row is None else _list(row)


def _list(row: Sequence[Any]) -> ContactList:
    organization_id, row_id, number, name, description, is_public, contacts, created_at, updated_at = row
    return ContactList(
        organization_id, row_id, number, name, description, is_public == 1, contacts, created_at, updated_at
    )
