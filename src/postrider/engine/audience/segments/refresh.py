"""A dynamic segment's members brought up to its criteria, in slices that hold nobody up."""

from collections.abc import Callable, Sequence

from postrider.db.database import AnyRow, Database, Tx
from postrider.engine.audience.segments import store
from postrider.engine.audience.segments.keep import WRITE
from postrider.engine.audience.segments.model import Criteria, Refreshed
from postrider.engine.audience.segments.parse import parse
from postrider.engine.errors import NotAllowedNow, NotFound
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

FOUND_AT_ONCE = 100_000  # ids of one reading: some MB
WRITTEN_AT_ONCE = 2_000  # of one write transaction
_FIRST = b""
Find = Callable[..., list[RowId]]
Apply = Callable[[Tx, AnyRow, Sequence[RowId]], int]


async def refresh(db: Database, principal: Principal, segment_id: RowId) -> Refreshed:
    """Find who matches now, and write the difference: first who left, then who came, each by id.

    Meanwhile a reader sees members of before and of after; at any moment the segment's count is that of its
    rows. Whoever is killed in between leaves a part of the difference written, and the next refresh the rest.
    Raises NotFound, NotAllowedNow: the segment is static, or another refresh of it began later.
    """
    segment = await db.write_first(_begin, principal, segment_id)
    criteria, now = parse(segment.criteria), clock.now_ms()
    removed = await _apply(db, segment, criteria, now, store.obsolete, store.remove_members)
    added = await _apply(db, segment, criteria, now, store.missing, store.add_members)
    contacts = await db.write_first(_end, segment, now)
    return Refreshed(added, removed, contacts)


async def _apply(
    db: Database, segment: AnyRow, criteria: Criteria, now: int, find: Find, apply: Apply
) -> int:
    changed, after = 0, _FIRST
    while True:
        found = await db.read(find, segment, criteria, after=after, now=now, limit=FOUND_AT_ONCE)
        for start in range(0, len(found), WRITTEN_AT_ONCE):
            portion = found[start : start + WRITTEN_AT_ONCE]
            changed += await db.write(_write, segment, portion, apply)
        if len(found) < FOUND_AT_ONCE:
            return changed
        after = found[-1]


def _begin(tx: Tx, principal: Principal, segment_id: RowId) -> AnyRow:
    principal.require(WRITE)
    row = store.one(tx, principal.organization_id, segment_id)
    if row is None:
        raise NotFound(noun="segment")
    if not row.is_dynamic:
        raise NotAllowedNow(message="A static segment has no filters to refresh it by")
    begun = store.begin_round(tx, principal.organization_id, segment_id)
    assert begun is not None
    return begun


def _write(tx: Tx, segment: AnyRow, ids: Sequence[RowId], apply: Apply) -> int:
    _hold(tx, segment)
    return apply(tx, segment, ids)


def _end(tx: Tx, segment: AnyRow, now: int) -> int:
    _hold(tx, segment)
    store.change(tx, segment.organization_id, segment.id, refreshed_at=now)
    row = store.one(tx, segment.organization_id, segment.id)
    assert row is not None
    return int(row.contacts)


def _hold(tx: Tx, segment: AnyRow) -> None:
    if not store.hold_round(tx, segment):
        raise NotAllowedNow(message="The segment was deleted, or is being refreshed by another request")
