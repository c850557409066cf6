"""A dynamic segment's members brought up to its criteria, in slices that hold nobody up.

Somebody asks for it, or it is due: EVERY_MS after the last time, later where it takes long, and not at all
once nobody has asked for the segment for FORGOTTEN_MS.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from postrider.db.database import AnyRow, Database, Tx
from postrider.engine.audience.segments import store
from postrider.engine.audience.segments.keep import READ, WRITE
from postrider.engine.audience.segments.model import Criteria, Refreshed, Segment
from postrider.engine.audience.segments.parse import parse
from postrider.engine.errors import NotAllowedNow, NotFound
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

EVERY_MS = 15 * clock.MINUTE
REST = 100  # times as long as it took: so no segment takes more than a hundredth of a processor
LEASE_MS = 30 * clock.MINUTE  # of a refresh that is under way: nobody begins another unasked
FORGOTTEN_MS = 30 * clock.DAY
NOTED_MS = clock.DAY  # how exactly it is known when a segment was asked for
FOUND_AT_ONCE = 100_000  # ids of one reading: some MB
WRITTEN_AT_ONCE = 1_000  # of one write transaction
_FIRST = b""
Find = Callable[..., list[RowId]]
Apply = Callable[[Tx, AnyRow, Sequence[RowId]], list[RowId]]


async def refresh(db: Database, principal: Principal, segment_id: RowId) -> Refreshed:
    """Find who matches now, and write the difference: first who left, then who came, each by id.

    Meanwhile a reader sees members of before and of after; at any moment the segment's count is that of its
    rows. Whoever is killed in between leaves a part of the difference written, and the next refresh the rest.
    Raises NotFound, NotAllowedNow: the segment is static, was changed meanwhile, or another refresh of it
    began later.
    """
    return await _bring_up(db, await db.write_first(_begin, principal, segment_id))


async def refresh_due(db: Database) -> bool:
    """Refresh the segment, of whatever organization, that has been due longest; whether there was one."""
    if not await db.read(_has_due):
        return False
    segment = await db.write(_begin_due)
    if segment is not None:
        with suppress(
            NotAllowedNow
        ):  # it was deleted or changed, or somebody asked meanwhile: theirs goes on
            await _bring_up(db, segment)
    return True


def is_to_note(segment: Segment) -> bool:
    """Whether `note_asked` should be told that somebody asks for it: once in NOTED_MS at most."""
    return segment.is_dynamic and (segment.asked_at or 0) < clock.now_ms() - NOTED_MS


def note_asked(tx: Tx, principal: Principal, segment_id: RowId) -> None:
    """A dynamic segment is of use to somebody: if it was left alone for long, it is due at once."""
    principal.require(READ)
    row, now = store.one(tx, principal.organization_id, segment_id), clock.now_ms()
    if row is not None and row.is_dynamic:
        due_at = now if row.refresh_at is None else row.refresh_at
        store.change(tx, row.organization_id, row.id, asked_at=now, refresh_at=due_at)


async def _bring_up(db: Database, segment: AnyRow) -> Refreshed:
    criteria, now, began = parse(segment.criteria), clock.now_ms(), time.monotonic()
    removed = await _apply(db, segment, criteria, now, store.obsolete, store.remove_members)
    added = await _apply(db, segment, criteria, now, store.missing, store.add_members)
    took_ms = int(1_000 * (time.monotonic() - began))
    contacts = await db.write_first(_end, segment, now, took_ms)
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
    now = clock.now_ms()
    begun = store.begin_round(
        tx, principal.organization_id, segment_id, asked_at=now, refresh_at=now + LEASE_MS
    )
    assert begun is not None
    return begun


def _has_due(tx: Tx) -> bool:
    return store.has_due(tx, clock.now_ms())


def _begin_due(tx: Tx) -> AnyRow | None:
    """None where another node has it, or where it rests from now on."""
    now = clock.now_ms()
    row = store.hold_due(tx, now)
    if row is None:
        return None
    if (row.asked_at or 0) < now - FORGOTTEN_MS:
        store.change(tx, row.organization_id, row.id, refresh_at=None)
        return None
    return store.begin_round(tx, row.organization_id, row.id, refresh_at=now + LEASE_MS)


def _write(tx: Tx, segment: AnyRow, ids: Sequence[RowId], apply: Apply) -> int:
    """Who comes or goes is known here and in this transaction: what follows from it belongs here."""
    _hold(tx, segment)
    return len(apply(tx, segment, ids))


def _end(tx: Tx, segment: AnyRow, now: int, took_ms: int) -> int:
    _hold(tx, segment)
    due_at = clock.now_ms() + max(EVERY_MS, REST * took_ms)
    store.change(tx, segment.organization_id, segment.id, refreshed_at=now, refresh_at=due_at)
    row = store.one(tx, segment.organization_id, segment.id)
    assert row is not None
    return int(row.contacts)


def _hold(tx: Tx, segment: AnyRow) -> None:
    if not store.hold_round(tx, segment):
        raise NotAllowedNow(
            message="The segment was deleted, changed, or is being refreshed by another request"
        )
