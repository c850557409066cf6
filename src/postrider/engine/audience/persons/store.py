"""The SQL of persons: a few columns of contacts and their tags, two statements for any number."""

from collections.abc import Collection, Sequence

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.kit.ids import RowId
from postrider.kit.record import record


@record
class Person:
    """What is told of a contact beside what happened; `tags` in order."""

    organization_id: int
    id: RowId
    email: str
    address_key: str
    first_name: str | None
    tags: Sequence[str] = ()


_COLUMNS = "c.organization_id, c.id, c.email, c.address_key, c.first_name"
_by_address = Batch(
    f"""SELECT {_COLUMNS} FROM v JOIN contacts c
        ON c.organization_id = v.organization_id AND c.address_key = v.address_key""",  # noqa: S608
    organization_id=int,
    address_key=str,
)
_by_id = Batch(
    f"""SELECT {_COLUMNS} FROM v JOIN contacts c
        ON c.organization_id = v.organization_id AND c.id = v.id""",  # noqa: S608
    organization_id=int,
    id=bytes,
)
_tags = Batch(
    """SELECT l.contact_id, t.name FROM v
       JOIN contact_tags l ON l.organization_id = v.organization_id AND l.contact_id = v.id
       JOIN tags t ON t.organization_id = l.organization_id AND t.id = l.tag_id""",
    organization_id=int,
    id=bytes,
)


def by_addresses(tx: Tx, addresses: Collection[tuple[int, str]]) -> dict[tuple[int, str], Person]:
    """The contacts of (organization, address key) pairs; without one, no key."""
    found = _with_tags(tx, _by_address(tx, sorted(set(addresses))))
    return {(each.organization_id, each.address_key): each for each in found}


def by_ids(tx: Tx, ids: Collection[tuple[int, RowId]]) -> dict[RowId, Person]:
    """Contacts by id, of (organization, contact) pairs; of those that are gone, no key."""
    return {each.id: each for each in _with_tags(tx, _by_id(tx, sorted(set(ids))))}


def _with_tags(tx: Tx, rows: Sequence[tuple[int, RowId, str, str, str | None]]) -> list[Person]:
    names: dict[RowId, list[str]] = {}
    for contact_id, name in _tags(tx, [(row[0], row[1]) for row in rows]):
        names.setdefault(contact_id, []).append(name)
    return [Person(*row, tags=sorted(names.get(row[1], ()))) for row in rows]
