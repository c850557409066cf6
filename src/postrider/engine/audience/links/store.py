"""The SQL of contacts in groups. A group's counter is kept with its rows, in the same transaction."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Table

from postrider.db.database import Tx
from postrider.db.portable import Batch, Statement, insert_batch
from postrider.kit.ids import RowId

Pair = tuple[RowId, RowId]  # (contact, group)

_known = Batch(
    """SELECT c.id FROM v JOIN contacts c ON c.organization_id = v.organization_id AND c.id = v.id
       ORDER BY c.id {for_update}""",
    organization_id=int,
    id=bytes,
)
_touch = Batch(
    """UPDATE contacts SET updated_at = v.now FROM v
       WHERE contacts.organization_id = v.organization_id AND contacts.id = v.id""",
    organization_id=int,
    id=bytes,
    now=int,
)


class Links:
    """The rows of one table of links; `column` names the group in it, `groups` has its counter."""

    def __init__(self, table: Table, groups: Table, column: str) -> None:
        key = f"organization_id, contact_id, {column}"
        columns = {"organization_id": int, "contact_id": bytes, "group_id": bytes}
        self._add = insert_batch(
            table, "organization_id", "contact_id", column, "created_at",
            tail=f"ON CONFLICT DO NOTHING RETURNING contact_id, {column}",
        )  # fmt: skip
        self._put = insert_batch(table, "organization_id", "contact_id", column, "created_at")
        self._remove = Batch(
            f"DELETE FROM {table.name} WHERE ({key}) "  # noqa: S608
            "IN (SELECT organization_id, contact_id, group_id FROM v) "
            f"RETURNING contact_id, {column}",
            **columns,
        )
        self._of = Batch(
            f"SELECT l.contact_id, l.{column} FROM v JOIN {table.name} l "  # noqa: S608
            "ON l.organization_id = v.organization_id AND l.contact_id = v.contact_id",
            organization_id=int,
            contact_id=bytes,
        )
        self._count = Batch(
            f"UPDATE {groups.name} SET contacts = {groups.name}.contacts + v.amount FROM v "  # noqa: S608
            f"WHERE {groups.name}.organization_id = v.organization_id AND {groups.name}.id = v.id",
            organization_id=int,
            id=bytes,
            amount=int,
        )
        self._empty = Statement(
            f"DELETE FROM {table.name} WHERE (organization_id, {column}, contact_id) IN ("  # noqa: S608
            f"SELECT organization_id, {column}, contact_id FROM {table.name} "
            f"WHERE organization_id = :organization_id AND {column} = :group_id LIMIT :limit) RETURNING 1"
        )

    def add(self, tx: Tx, organization_id: int, pairs: Iterable[Pair], now: int) -> set[Pair]:
        """Those that were not there yet."""
        rows = [(organization_id, *pair, now) for pair in sorted(set(pairs))]
        return self._changed(tx, organization_id, self._add(tx, rows), 1)

    def put(self, tx: Tx, organization_id: int, pairs: Collection[Pair], now: int) -> None:
        """As add, of contacts made in this transaction: no pair can be there, and none is given twice."""
        self._put(tx, [(organization_id, *pair, now) for pair in sorted(pairs)])
        self._counted(tx, organization_id, pairs, 1)

    def remove(self, tx: Tx, organization_id: int, pairs: Iterable[Pair]) -> set[Pair]:
        """Those that were there."""
        rows = [(organization_id, *pair) for pair in sorted(set(pairs))]
        return self._changed(tx, organization_id, self._remove(tx, rows), -1)

    def of(self, tx: Tx, organization_id: int, contact_ids: Iterable[RowId]) -> dict[RowId, list[RowId]]:
        """The groups of each contact, in the order of their ids; no group, no key."""
        found: dict[RowId, list[RowId]] = {}
        for contact_id, group_id in self._of(tx, [(organization_id, each) for each in contact_ids]):
            found.setdefault(contact_id, []).append(group_id)
        for groups in found.values():
            groups.sort()
        return found

    def empty(self, tx: Tx, organization_id: int, group_id: RowId, *, limit: int) -> int:
        """Take out so many of a group's contacts; answers how many there were."""
        gone = len(self._empty(tx, organization_id=organization_id, group_id=group_id, limit=limit))
        if gone:
            self._count(tx, [(organization_id, group_id, -gone)])
        return gone

    def _changed(self, tx: Tx, organization_id: int, changed: Sequence[Pair], step: int) -> set[Pair]:
        self._counted(tx, organization_id, changed, step)
        return {(row[0], row[1]) for row in changed}

    def _counted(self, tx: Tx, organization_id: int, changed: Collection[Pair], step: int) -> None:
        amounts = Counter([group_id for _, group_id in changed])
        if amounts:
            rows = [(organization_id, group_id, step * amounts[group_id]) for group_id in sorted(amounts)]
            self._count(tx, rows)


def where_known(tx: Tx, organization_id: int, contact_ids: Iterable[RowId]) -> set[RowId]:
    """Those that are contacts of the organization; they are held until the transaction ends."""
    return {row[0] for row in _known(tx, [(organization_id, each) for each in sorted(set(contact_ids))])}


def touch(tx: Tx, organization_id: int, contact_ids: Iterable[RowId], now: int) -> None:
    _touch(tx, [(organization_id, each, now) for each in sorted(set(contact_ids))])
