"""The SQL of the event log and its tail."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update

from postrider.db.database import Tx
from postrider.db.portable import Batch, PerRow, Statement, insert_batch
from postrider.engine.journal.corrections import HITS, corrected
from postrider.engine.journal.model import Event, EventKind
from postrider.engine.journal.tables import event_tail, events, parked_events, tail_shards
from postrider.kit import clock, json
from postrider.kit.ids import RowId, id_floor, id_time

TIMELINE_MAX = 1_000
DROPPED_AT_ONCE = 500
_COLUMNS = (
    "organization_id", "id", "kind", "at", "message_id", "contact_id", "campaign_id", "data", "source_id",
)  # fmt: skip

_SEEN = (*HITS, EventKind.RECLASSIFIED)

_append = insert_batch(events, *_COLUMNS)
_append_once = insert_batch(
    events, *_COLUMNS,
    tail="ON CONFLICT (organization_id, source_id) WHERE source_id IS NOT NULL DO NOTHING RETURNING id",
)  # fmt: skip
_append_tail = insert_batch(event_tail, "shard", "event_id", "organization_id")
_read_tail = Statement(
    f"""SELECT {", ".join(f"e.{name}" for name in _COLUMNS)} FROM event_tail t
        JOIN events e ON e.organization_id = t.organization_id AND e.id = t.event_id
        WHERE t.shard = :shard ORDER BY t.event_id LIMIT :limit"""  # noqa: S608
)
# The index alone answers `m`, and so is taken: else SQLite prefers the primary key, all of an organization.
_OF_MESSAGE = """JOIN events m ON m.organization_id = v.organization_id AND m.message_id = v.message_id
        JOIN events e ON e.organization_id = m.organization_id AND e.id = m.id"""
_moments = Batch(
    f"""SELECT {", ".join(f"e.{name}" for name in _COLUMNS)} FROM v
        {_OF_MESSAGE}
        WHERE e.kind = v.kind AND e.at = v.at""",  # noqa: S608
    organization_id=int,
    message_id=bytes,
    kind=int,
    at=int,
)
_seen = Batch(
    f"""SELECT {", ".join(f"e.{name}" for name in _COLUMNS)} FROM v
        {_OF_MESSAGE}
        WHERE m.id >= v.since AND e.kind IN ({", ".join(str(int(kind)) for kind in _SEEN)})""",  # noqa: S608
    organization_id=int,
    message_id=bytes,
    since=bytes,
)
_page_after = Statement(
    f"""SELECT {", ".join(_COLUMNS)} FROM events
        WHERE organization_id = :organization_id AND id > :after ORDER BY id LIMIT :limit"""  # noqa: S608
)
_take_shards = Statement("UPDATE tail_shards SET owner = :owner WHERE owner IS NULL")
_our_shards = Statement("SELECT shard FROM tail_shards WHERE owner = :owner")
_delete_tail = Batch(
    "DELETE FROM event_tail WHERE (shard, event_id) IN (SELECT shard, event_id FROM v)",
    shard=int,
    event_id=bytes,
)


_first_of_shard = PerRow(
    "SELECT event_id FROM event_tail WHERE shard = :shard ORDER BY event_id LIMIT 1", shard=int
)


def append(tx: Tx, new: Sequence[Event]) -> list[Event]:
    """Insert; answers the events that were not there yet (by source_id), in order."""
    plain = [_row(event) for event in new if event.source_id is None]
    keyed: dict[tuple[int, str], Event] = {}
    for event in new:
        if event.source_id is not None:
            keyed.setdefault((event.organization_id, event.source_id), event)
    if plain:
        _append(tx, plain)
    if not keyed:
        return list(new)
    kept = {row[0] for row in _append_once(tx, [_row(event) for event in keyed.values()])}
    return [event for event in new if event.source_id is None or event.id in kept]


def append_tail(tx: Tx, rows: Sequence[tuple[int, RowId, int]]) -> None:
    if rows:
        _append_tail(tx, rows)


def lease_shards(tx: Tx, owner: str) -> list[int]:
    """The shards this follower may read: its own, and the free ones, which become its own."""
    _take_shards(tx, owner=owner)
    return [row[0] for row in _our_shards(tx, owner=owner)]


def drop_old(tx: Tx, organization_id: int, kept_ms: int) -> int:
    """Events of one organization that were recorded longer ago, DROPPED_AT_ONCE at most; answers how many."""
    before = id_floor(clock.now_ms() - kept_ms)
    old = (
        select(events.c.id)
        .where(events.c.organization_id == organization_id, events.c.id < before)
        .order_by(events.c.id)
        .limit(DROPPED_AT_ONCE)
    )
    done = tx.execute(delete(events).where(events.c.organization_id == organization_id, events.c.id.in_(old)))
    return done.rowcount


def add_shards(tx: Tx, count: int) -> None:
    have = {row.shard for row in tx.execute(select(tail_shards.c.shard))}
    missing = [{"shard": shard} for shard in range(count) if shard not in have]
    if missing:
        tx.execute(insert(tail_shards), missing)


def release_shards(tx: Tx, owners: Sequence[str]) -> None:
    tx.execute(update(tail_shards).where(tail_shards.c.owner.in_(list(owners))).values(owner=None))


def read_tail(tx: Tx, shards: Sequence[int], limit: int) -> list[tuple[int, Event]]:
    """The oldest events of the first shards that have any, with their shard."""
    found: list[tuple[int, Event]] = []
    for shard in shards:
        rows = _read_tail(tx, shard=shard, limit=limit - len(found))
        found.extend((shard, _event_of(*row)) for row in rows)
        if len(found) >= limit:
            break
    return found


def delete_tail(tx: Tx, rows: Sequence[tuple[int, RowId]]) -> None:
    if rows:
        _delete_tail(tx, rows)


def park(tx: Tx, event: Event, follower: str, reason: str) -> None:
    tx.execute(
        insert(parked_events).values(
            organization_id=event.organization_id,
            event_id=event.id,
            follower=follower,
            reason=reason[:500],
            parked_at=clock.now_ms(),
        )
    )


def tail_length(tx: Tx, limit: int) -> int:
    """How many events wait for followers, counted to `limit`."""
    waiting = select(event_tail.c.event_id).limit(limit).subquery()
    return tx.execute(select(func.count()).select_from(waiting)).scalar_one()


def tail_age(tx: Tx, shards: int) -> int:
    """For how long the event waits that followers left longest, in ms; 0 where none waits."""
    first = [id_time(row[0]) for row in _first_of_shard(tx, [(shard,) for shard in range(shards)])]
    return max(0, clock.now_ms() - min(first)) if first else 0


def parked_count(tx: Tx) -> int:
    return tx.execute(select(func.count()).select_from(parked_events)).scalar_one()


def of_messages(tx: Tx, organization_id: int, message_ids: Sequence[RowId]) -> list[Event]:
    """All events of some messages, oldest first, TIMELINE_MAX at most; hits as they are judged now."""
    rows = tx.execute(
        select(*(events.c[name] for name in _COLUMNS))
        .where(
            events.c.organization_id == organization_id, events.c.id.in_(_ids(organization_id, message_ids))
        )
        .order_by(events.c.at, events.c.id)
        .limit(TIMELINE_MAX)
    )
    found = [
        Event(row[0], _KIND[row[2]], row[3], row[4], row[5], row[6], row[7], row[8], row[1]) for row in rows
    ]
    return corrected(found, sorted(found, key=lambda event: event.id))


def hits_since(tx: Tx, wanted: Sequence[tuple[int, RowId, RowId]]) -> list[Event]:
    """Openings, clicks and `reclassified` of (organization, message) pairs from an event id on, by their ids.

    As they were recorded: what corrects them is among them.
    """
    return sorted((_event_of(*row) for row in _seen(tx, wanted)), key=lambda event: event.id)


def times(tx: Tx, organization_id: int, message_id: RowId, kind: EventKind) -> int:
    """How often something happened to a message."""
    table = events.c
    its = (table.organization_id == organization_id, table.id.in_(_ids(organization_id, [message_id])))
    return tx.execute(select(func.count()).where(*its, table.kind == int(kind))).scalar_one()


def at_the_moment_of(tx: Tx, given: Sequence[Event]) -> list[Event]:
    """All events of the kind, message and time (ms) of one of these: they, and those that tie with them."""
    keys = {(event.organization_id, event.message_id, int(event.kind), event.at) for event in given}
    return [_event_of(*row) for row in _moments(tx, sorted(keys, key=repr))]


def page_after(tx: Tx, organization_id: int, after: RowId, limit: int) -> list[Event]:
    """An organization's events past the id `after`, in the order they were recorded."""
    rows = _page_after(tx, organization_id=organization_id, after=after, limit=limit)
    return [_event_of(*row) for row in rows]


def oldest(tx: Tx, organization_id: int) -> int | None:
    """When the first event that is still kept was recorded, in ms."""
    first = select(events.c.id).where(events.c.organization_id == organization_id).order_by(events.c.id)
    event_id = tx.scalars(first.limit(1)).one_or_none()
    return None if event_id is None else id_time(event_id)


def not_followed(
    tx: Tx, shard: int, organization_id: int, *, among: Collection[RowId] | None = None
) -> set[RowId]:
    """Events that followers have not taken, or could not: what waits in the tail, and what is parked."""
    waiting = select(event_tail.c.event_id).where(
        event_tail.c.shard == shard, event_tail.c.organization_id == organization_id
    )
    parked = select(parked_events.c.event_id).where(parked_events.c.organization_id == organization_id)
    if among is not None:
        waiting = waiting.where(event_tail.c.event_id.in_(list(among)))
        parked = parked.where(parked_events.c.event_id.in_(list(among)))
    return {*tx.scalars(waiting), *tx.scalars(parked)}


def _ids(organization_id: int, message_ids: Sequence[RowId]) -> Select[tuple[bytes]]:
    """The ids of some messages' events, as `_OF_MESSAGE` finds them."""
    table = events.c
    return select(table.id).where(
        table.organization_id == organization_id, table.message_id.in_(list(message_ids))
    )


def _row(event: Event) -> tuple[Any, ...]:
    return (
        event.organization_id, event.id, int(event.kind), event.at, event.message_id, event.contact_id,
        event.campaign_id, None if event.data is None else json.dumps(event.data), event.source_id,
    )  # fmt: skip


def _event_of(
    organization_id: int,
    event_id: RowId,
    kind: int,
    at: int,
    message_id: RowId | None,
    contact_id: RowId | None,
    campaign_id: RowId | None,
    data: str | None,
    source_id: str | None,
) -> Event:
    """A row of _COLUMNS, its JSON still text."""
    facts = None if data is None else json.loads(data)
    return Event(
        organization_id, _KIND[kind], at, message_id, contact_id, campaign_id, facts, source_id, event_id
    )


_KIND = {int(kind): kind for kind in EventKind}
