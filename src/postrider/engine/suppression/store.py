"""The SQL of suppression: looked up for whole batches, written one entry at a time or many."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import delete

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Batch, insert_batch
from postrider.engine.suppression.model import Class, Entry, Reason, Scope
from postrider.engine.suppression.tables import suppressions
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

_find = Batch(
    """SELECT s.organization_id, s.address_key, s.scope, s.scope_id, s.class, s.reason, s.source, s.message_id
       FROM v JOIN suppressions s
         ON s.organization_id = v.organization_id AND s.address_key = v.address_key""",
    organization_id=int,
    address_key=str,
)
_find_operator = Batch(
    "SELECT s.address_key FROM v JOIN operator_suppressions s ON s.address_key = v.address_key",
    address_key=str,
)
_insert = insert_batch(
    suppressions,
    "organization_id", "id", "address_key", "scope", "scope_id", "class", "reason", "source", "note",
    "message_id", "created_at",
    tail="ON CONFLICT (organization_id, address_key, scope, scope_id, class) DO NOTHING RETURNING id",
)  # fmt: skip


def check(tx: Tx, addresses: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[Entry]]:
    """The entries on (organization, address_key) pairs, the operator's own among them; no entry, no key."""
    found: dict[tuple[int, str], list[Entry]] = defaultdict(list)
    pairs = list(set(addresses))
    for row in _find(tx, pairs):
        found[row[0], row[1]].append(_entry(row))
    refused = {row[0] for row in _find_operator(tx, [(key,) for key in {key for _, key in pairs}])}
    for organization_id, key in pairs if refused else ():
        if key in refused:
            found[organization_id, key].append(_operators(organization_id, key))
    return found


def add(tx: Tx, entries: Sequence[Entry]) -> int:
    """Enter them; an entry that is there already stays as it was. Answers how many are new."""
    now = clock.now_ms()
    rows = [
        (
            entry.organization_id, new_id(), entry.address_key, int(entry.scope), entry.scope_id,
            int(entry.class_), entry.reason, entry.source, entry.note, entry.message_id, now,
        )
        for entry in entries
    ]  # fmt: skip
    return len(_insert(tx, rows)) if rows else 0


def remove(tx: Tx, organization_id: int, suppression_id: RowId) -> bool:
    table = suppressions
    done = tx.execute(
        delete(table).where(table.c.organization_id == organization_id, table.c.id == suppression_id)
    )
    return bool(done.rowcount)


def _entry(row: AnyRow) -> Entry:
    return Entry(
        organization_id=row[0],
        address_key=row[1],
        scope=Scope(row[2]),
        scope_id=row[3],
        class_=Class(row[4]),
        reason=row[5],
        source=row[6],
        message_id=row[7],
    )


def _operators(organization_id: int, address_key: str) -> Entry:
    return Entry(
        organization_id, address_key, Scope.ORGANIZATION, "", Class.BLOCK, Reason.OPERATOR.value, "operator"
    )
