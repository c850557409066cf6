"""The SQL of suppression: looked up for whole batches, written one entry at a time or many."""

import re
from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, or_, select

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Batch, insert_batch
from postrider.engine.suppression.model import Class, Entry, Filter, Kept, OperatorEntry, Reason, Scope
from postrider.engine.suppression.tables import operator_suppressions, suppression_changes, suppressions
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

COUNT_MAX = 100_000  # as far as a list is counted
EXPIRED_AT_ONCE = 300
_SPECIAL = re.compile(r"[\\%_]")  # of LIKE

# Of every scope: SQLite, which guesses where it has no statistics, takes the index on addresses for it, and
# else reads all entries of the organization.
_find = Batch(
    """SELECT s.organization_id, s.address_key, s.scope, s.scope_id, s.class, s.reason, s.source,
         s.message_id, s.expires_at
       FROM v JOIN suppressions s
         ON s.organization_id = v.organization_id AND s.address_key = v.address_key AND s.scope > 0
           AND (s.expires_at IS NULL OR s.expires_at > v.now)""",
    organization_id=int,
    address_key=str,
    now=int,
)
_find_operator = Batch(
    "SELECT s.address_key FROM v JOIN operator_suppressions s ON s.address_key = v.address_key",
    address_key=str,
)
_insert = insert_batch(
    suppressions,
    "organization_id", "id", "address_key", "scope", "scope_id", "class", "reason", "source", "note",
    "message_id", "created_at", "expires_at",
    # Only a pause gives way: to another pause, or to what stands.
    tail="""ON CONFLICT (organization_id, address_key, scope, scope_id, class) DO UPDATE SET
        id = excluded.id, reason = excluded.reason, source = excluded.source, note = excluded.note,
        message_id = excluded.message_id, created_at = excluded.created_at, expires_at = excluded.expires_at
      WHERE suppressions.expires_at IS NOT NULL RETURNING id""",
)  # fmt: skip
_insert_operator = insert_batch(
    operator_suppressions, "address_key", "reason", "created_at",
    tail="ON CONFLICT DO NOTHING RETURNING address_key",
)  # fmt: skip


_insert_changes = insert_batch(
    suppression_changes, "organization_id", "address_key", "changed_at",
    # Not DO NOTHING: who forgets a change at the same time must meet the lock of the one that follows it.
    tail="ON CONFLICT (organization_id, address_key) DO UPDATE SET changed_at = excluded.changed_at",
)  # fmt: skip
_delete_changes = Batch(
    """DELETE FROM suppression_changes WHERE EXISTS (SELECT 1 FROM v
       WHERE v.organization_id = suppression_changes.organization_id
         AND v.address_key = suppression_changes.address_key)""",
    organization_id=int,
    address_key=str,
)


_delete_expired = Batch(
    # Not by pairs, for which SQLite reads all entries of the organization; ids are unique by themselves.
    """DELETE FROM suppressions
       WHERE organization_id IN (SELECT v.organization_id FROM v) AND id IN (SELECT v.id FROM v)""",
    organization_id=int,
    id=bytes,
)


def check(tx: Tx, addresses: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[Entry]]:
    """The entries on (organization, address_key) pairs, the operator's own among them; no entry, no key."""
    found: dict[tuple[int, str], list[Entry]] = defaultdict(list)
    pairs = list(set(addresses))
    now = clock.now_ms()
    for row in _find(tx, [(*pair, now) for pair in pairs]):
        found[row[0], row[1]].append(_entry(row))
    refused = {row[0] for row in _find_operator(tx, [(key,) for key in {key for _, key in pairs}])}
    for organization_id, key in pairs if refused else ():
        if key in refused:
            found[organization_id, key].append(_operators(organization_id, key))
    return found


def add(tx: Tx, entries: Sequence[Entry]) -> int:
    """Enter them; one that stands already stays as it was, a pause gives way. Answers how many are new."""
    return len(insert(tx, entries))


def insert(tx: Tx, entries: Sequence[Entry]) -> list[RowId]:
    """As add; answers the ids of the new ones."""
    now = clock.now_ms()
    if not entries:
        return []
    # Each once, and in order: two batches that meet the same pauses must not wait for each other.
    places = {_place(entry): entry for entry in reversed(entries)}
    rows = [
        (
            entry.organization_id, new_id(), entry.address_key, int(entry.scope), entry.scope_id,
            int(entry.class_), entry.reason, entry.source, entry.note, entry.message_id, now,
            entry.expires_at,
        )
        for _, entry in sorted(places.items(), key=itemgetter(0))
    ]  # fmt: skip
    _note_changes(tx, {(entry.organization_id, entry.address_key) for entry in entries}, now)
    return [row[0] for row in _insert(tx, rows)]


def remove(tx: Tx, organization_id: int, suppression_id: RowId) -> bool:
    table = suppressions
    gone = tx.execute(
        delete(table)
        .where(table.c.organization_id == organization_id, table.c.id == suppression_id)
        .returning(table.c.address_key)
    ).one_or_none()
    if gone is not None:
        _note_changes(tx, {(organization_id, gone.address_key)}, clock.now_ms())
    return gone is not None


def remove_address(
    tx: Tx,
    organization_id: int,
    address_key: str,
    classes: Sequence[Class],
    scope: tuple[Scope, str] | None,
) -> int:
    table = suppressions.c
    conditions = [
        table.organization_id == organization_id,
        table.address_key == address_key,
        table["class"].in_([int(class_) for class_ in classes]),
    ]
    if scope is not None:
        conditions += [table.scope == int(scope[0]), table.scope_id == scope[1]]
    gone = tx.execute(delete(suppressions).where(*conditions)).rowcount
    if gone:
        _note_changes(tx, {(organization_id, address_key)}, clock.now_ms())
    return gone


def drop_expired(tx: Tx) -> int:
    """Drop up to EXPIRED_AT_ONCE entries that count for nothing any more; answers how many."""
    now, table = clock.now_ms(), suppressions.c
    query = select(table.organization_id, table.id, table.address_key).where(table.expires_at <= now)
    found = tx.execute(query.order_by(table.expires_at).limit(EXPIRED_AT_ONCE)).all()
    if found:
        _delete_expired(tx, [(row.organization_id, row.id) for row in found])
        _note_changes(tx, {(row.organization_id, row.address_key) for row in found}, now)
    return len(found)


def changes(tx: Tx, limit: int) -> list[tuple[int, str]]:
    """(organization, address_key) pairs whose entries have changed since `forget_changes` heard of them."""
    table = suppression_changes.c
    query = select(table.organization_id, table.address_key).order_by(table.organization_id).limit(limit)
    return [(row.organization_id, row.address_key) for row in tx.execute(query)]


def forget_changes(tx: Tx, seen: Sequence[tuple[int, str]]) -> None:
    if seen:
        _delete_changes(tx, list(seen))


def get(tx: Tx, organization_id: int, suppression_id: RowId) -> Kept | None:
    table = suppressions.c
    row = tx.execute(
        _select().where(table.organization_id == organization_id, table.id == suppression_id, _stands())
    ).one_or_none()
    return None if row is None else _kept(row)


def page(tx: Tx, organization_id: int, *, limit: int, offset: int, narrowed: Filter) -> list[Kept]:
    """Newest first."""
    query = _select().where(*_conditions(organization_id, narrowed))
    return [
        _kept(row) for row in tx.execute(query.order_by(suppressions.c.id.desc()).limit(limit).offset(offset))
    ]


def count(tx: Tx, organization_id: int, narrowed: Filter) -> int:
    return _counted(tx, select(suppressions.c.id).where(*_conditions(organization_id, narrowed)))


def page_addresses(tx: Tx, organization_id: int, *, limit: int, offset: int, narrowed: Filter) -> list[str]:
    """Each address once, in order: as the unique index has them."""
    key = suppressions.c.address_key
    query = select(key).distinct().where(*_conditions(organization_id, narrowed))
    return list(tx.execute(query.order_by(key).limit(limit).offset(offset)).scalars())


def count_addresses(tx: Tx, organization_id: int, narrowed: Filter) -> int:
    key = suppressions.c.address_key
    return _counted(tx, select(key).distinct().where(*_conditions(organization_id, narrowed)))


def page_operator(tx: Tx, *, after: str, limit: int) -> list[OperatorEntry]:
    table = operator_suppressions.c
    query = select(table.address_key, table.reason, table.created_at).where(table.address_key > after)
    rows = tx.execute(query.order_by(table.address_key).limit(limit))
    return [OperatorEntry(row.address_key, row.reason, row.created_at) for row in rows]


def insert_operator(tx: Tx, address_key: str, reason: str) -> OperatorEntry | None:
    """None where it is there already."""
    now = clock.now_ms()
    is_new = bool(_insert_operator(tx, [(address_key, reason, now)]))
    return OperatorEntry(address_key, reason, now) if is_new else None


def remove_operator(tx: Tx, address_key: str) -> OperatorEntry | None:
    """What was there."""
    table = operator_suppressions
    statement = delete(table).where(table.c.address_key == address_key)
    row = tx.execute(
        statement.returning(table.c.address_key, table.c.reason, table.c.created_at)
    ).one_or_none()
    return None if row is None else OperatorEntry(row.address_key, row.reason, row.created_at)


def _place(entry: Entry) -> tuple[int, str, int, str, int]:
    """What there is one entry of."""
    scope, class_ = int(entry.scope), int(entry.class_)
    return entry.organization_id, entry.address_key, scope, entry.scope_id, class_


def _stands() -> ColumnElement[bool]:
    column = suppressions.c.expires_at
    return or_(column.is_(None), column > clock.now_ms())


def _note_changes(tx: Tx, addresses: set[tuple[int, str]], now: int) -> None:
    _insert_changes(tx, [(*address, now) for address in sorted(addresses)])


def _select() -> Select[Any]:
    table = suppressions.c
    return select(
        table.organization_id, table.address_key, table.scope, table.scope_id, table["class"], table.reason,
        table.source, table.message_id, table.note, table.expires_at, table.id, table.created_at,
    )  # fmt: skip


def _conditions(organization_id: int, narrowed: Filter) -> list[ColumnElement[bool]]:
    table = suppressions.c
    conditions = [table.organization_id == organization_id, _stands()]
    if (before := narrowed.get("before")) is not None:
        conditions.append(table.id < before)
    for column, chosen in (
        (table["class"], [int(each) for each in narrowed.get("classes", ())]),
        (table.scope, [int(each) for each in narrowed.get("scopes", ())]),
        (table.reason, list(narrowed.get("reasons", ()))),
        (table.source, list(narrowed.get("sources", ()))),
    ):
        if chosen:
            conditions.append(column.in_(chosen))
    if (scope_id := narrowed.get("scope_id")) is not None:
        conditions.append(table.scope_id == scope_id)
    if (address_key := narrowed.get("address_key")) is not None:
        conditions.append(table.address_key == address_key)
    if pattern := narrowed.get("pattern"):
        conditions.append(table.address_key.like(_like(pattern), escape="\\"))
    if (since := narrowed.get("since")) is not None:
        conditions.append(table.created_at >= since)
    if (until := narrowed.get("until")) is not None:
        conditions.append(table.created_at < until)
    return conditions


def _like(pattern: str) -> str:
    """`*` stands for anything; a pattern without one is found anywhere in an address."""
    escaped = _SPECIAL.sub(r"\\\g<0>", pattern.casefold())
    return escaped.replace("*", "%") if "*" in escaped else f"%{escaped}%"


def _counted(tx: Tx, query: Select[Any]) -> int:
    return tx.execute(select(func.count()).select_from(query.limit(COUNT_MAX).subquery())).scalar_one()


def _kept(row: Any) -> Kept:
    return Kept(
        row[0], row[1], Scope(row[2]), row[3], Class(row[4]), row[5], row[6], row[7], row[8],
        row[9], id=row[10], created_at=row[11],
    )  # fmt: skip


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
        expires_at=row[8],
    )


def _operators(organization_id: int, address_key: str) -> Entry:
    return Entry(
        organization_id, address_key, Scope.ORGANIZATION, "", Class.BLOCK, Reason.OPERATOR.value, "operator"
    )
