"""The SQL of messages in the queue: lease their sites, claim, settle, move, put back."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import select, update

from postrider.db.database import Tx
from postrider.db.portable import Batch, PerRow, Statement, lock_rows
from postrider.engine.messages.model import Claimed, Role, Status, Stream
from postrider.engine.messages.queue.rules import portions, share
from postrider.engine.messages.queue.sites.store import FAR, Site, wake
from postrider.engine.messages.tables import lanes, messages, sites
from postrider.kit import clock, json
from postrider.kit.ids import RowId
from postrider.kit.record import record

LANES_AT_ONCE = 200  # of one stream, in one claim
_OPEN = f"({int(Status.QUEUED)}, {int(Status.DEFERRED)})"
_REOPENABLE = f"({int(Status.BOUNCED)}, {int(Status.FAILED)}, {int(Status.CANCELLED)})"


@record
class Settled:
    """What became of a claimed message: `due_at` for the next try, None where it ended."""

    organization_id: int
    id: RowId
    lane_id: int
    owner: str
    due_at: int | None
    was_handed_over: bool  # the far end took it: true whatever happened to our lease meanwhile


_place_lanes = Batch("UPDATE lanes SET next_due = v.due_at FROM v WHERE lanes.id = v.id", id=int, due_at=int)
_SITE = "sites.id, sites.name, sites.slot, sites.max_connections, sites.rate_per_s, sites.failures"
_our_sites = Batch(
    f"SELECT {_SITE} FROM v JOIN sites ON sites.id = v.id AND sites.owner = v.owner",  # noqa: S608
    id=int,
    owner=str,
)
_lease_free_sites = Statement(
    f"""UPDATE sites SET owner = :owner WHERE id IN (
          SELECT id FROM sites WHERE next_due <= :now AND throttled_until <= :now AND owner IS NULL
          ORDER BY next_due LIMIT :limit {{skip_locked}})
        RETURNING {_SITE}"""  # noqa: S608
)
_lanes_due_of = PerRow(
    f"""SELECT stream, id FROM lanes
        WHERE site_id = :site_id AND stream = :of_stream AND next_due <= :now AND paused = 0
        ORDER BY next_due LIMIT {LANES_AT_ONCE}""",  # noqa: S608
    site_id=int,
    of_stream=int,
    now=int,
)
_look_again_at = Batch(
    f"""UPDATE lanes SET next_due = COALESCE(
          (SELECT min(due_at) FROM messages WHERE lane_id = lanes.id AND due_at IS NOT NULL), {FAR})
        FROM v WHERE lanes.id = v.lane""",  # noqa: S608
    lane=int,
)
_due_in_lane = PerRow(
    """SELECT organization_id, id, lane_id FROM messages WHERE lane_id = :lane_id AND due_at <= :now
       ORDER BY due_at, id LIMIT :portion""",
    locking="FOR UPDATE SKIP LOCKED",
    lane_id=int,
    now=int,
    portion=int,
)
_take = Batch(
    """UPDATE messages SET owner = v.owner, due_at = NULL FROM v
       WHERE messages.organization_id = v.organization_id AND messages.id = v.id
         AND messages.due_at IS NOT NULL
       RETURNING messages.organization_id, messages.id, messages.group_id, messages.content_id,
                 messages.campaign_id, messages.domain_id, messages.lane_id, messages.recipient,
                 messages.address_key, messages.role, messages.vars, messages.stream, messages.created_at,
                 messages.attempts""",
    organization_id=int,
    id=bytes,
    owner=str,
)
_settle = Batch(
    f"""UPDATE messages SET owner = NULL, due_at = v.due_at, attempts = messages.attempts + 1 FROM v
        WHERE messages.organization_id = v.organization_id AND messages.id = v.id
          AND messages.status IN {_OPEN} AND (messages.owner = v.owner OR v.handed_over = 1)
        RETURNING messages.id""",  # noqa: S608
    organization_id=int,
    id=bytes,
    owner=str,
    due_at=int,
    handed_over=int,
)
_put_back = Batch(
    """UPDATE messages SET owner = NULL, due_at = v.due_at FROM v
       WHERE messages.organization_id = v.organization_id AND messages.id = v.id
         AND messages.owner = v.owner
       RETURNING messages.lane_id""",
    organization_id=int,
    id=bytes,
    owner=str,
    due_at=int,
)
_move = Batch(
    """UPDATE messages SET owner = NULL, lane_id = v.lane_id, due_at = v.due_at FROM v
       WHERE messages.organization_id = v.organization_id AND messages.id = v.id
         AND messages.owner = v.owner
       RETURNING messages.lane_id""",
    organization_id=int,
    id=bytes,
    owner=str,
    lane_id=int,
    due_at=int,
)
_reschedule = Batch(
    f"""UPDATE messages SET due_at = v.due_at FROM v
        WHERE messages.organization_id = v.organization_id AND messages.id = v.id
          AND messages.owner IS NULL AND messages.status IN {_OPEN}
        RETURNING messages.id, messages.lane_id""",  # noqa: S608
    organization_id=int,
    id=bytes,
    due_at=int,
)

_reopen = Batch(
    f"""UPDATE messages SET status = {int(Status.QUEUED)}, owner = NULL, due_at = v.due_at FROM v
        WHERE messages.organization_id = v.organization_id AND messages.id = v.id
          AND messages.status IN {_REOPENABLE}
        RETURNING messages.id, messages.lane_id""",  # noqa: S608
    organization_id=int,
    id=bytes,
    due_at=int,
)


def lease_sites(tx: Tx, owner: str, ours: Sequence[int], limit: int) -> list[Site]:
    """Our own sites of `ours`, and up to `limit` more that are free, not throttled, and have mail due.

    Those become ours, the longest waiting first.
    """
    found = _our_sites(tx, [(site_id, owner) for site_id in ours]) if ours else []
    if limit > 0:
        found += _lease_free_sites(tx, owner=owner, now=clock.now_ms(), limit=limit)
    return [Site(*row) for row in found]


def claim(tx: Tx, owner: str, site_id: int, places: int) -> list[Claimed]:
    """Take up to `places` due messages of a site we hold: streams by their share, organizations in turn.

    A lane that gave its portion goes behind the others (its next_due becomes now); one that ran dry is told
    when to look again.
    """
    now = clock.now_ms()
    due = _lanes_due(tx, site_id, now)
    asked: dict[int, int] = {}
    for stream, stream_places in share(places, {stream: len(ids) for stream, ids in due.items()}).items():
        asked |= dict(zip(due[stream], portions(stream_places, len(due[stream])), strict=False))
    if not asked:
        return []
    rows = _due_in_lane(tx, [(lane_id, now, portion) for lane_id, portion in asked.items()])
    taken = _take(tx, [(row[0], row[1], owner) for row in rows])
    given: dict[int, int] = {}
    for row in rows:
        given[row[2]] = given.get(row[2], 0) + 1
    _move_on(tx, [lane_id for lane_id, portion in asked.items() if given.get(lane_id, 0) >= portion], now)
    _look_again(tx, [lane_id for lane_id, portion in asked.items() if given.get(lane_id, 0) < portion])
    order = {row[1]: place for place, row in enumerate(rows)}
    return sorted((_claimed(row) for row in taken), key=lambda claimed: order[claimed.id])


def settle(tx: Tx, outcomes: Sequence[Settled]) -> set[RowId]:
    """Let go of what was tried; answers the ids still ours to settle, or handed over and still open."""
    rows = [(o.organization_id, o.id, o.owner, o.due_at, int(o.was_handed_over)) for o in outcomes]
    kept = {row[0] for row in _settle(tx, rows)}
    wake(tx, _earliest((o.lane_id, o.due_at) for o in outcomes if o.due_at is not None and o.id in kept))
    return kept


def put_back(tx: Tx, claimed: Sequence[Claimed], owner: str, due_at: int) -> None:
    """Give back what was claimed and not tried."""
    if claimed:
        rows = _put_back(tx, [(c.organization_id, c.id, owner, due_at) for c in claimed])
        wake(tx, {row[0]: due_at for row in rows})


def move(tx: Tx, moved: Sequence[tuple[Claimed, int]], owner: str) -> None:
    """Claimed messages go, untried, to other lanes: (message, lane id); due at once."""
    now = clock.now_ms()
    rows = _move(tx, [(c.organization_id, c.id, owner, lane_id, now) for c, lane_id in moved])
    wake(tx, {row[0]: now for row in rows})


def return_unheld(tx: Tx, owner: str, held: Collection[RowId]) -> int:
    """Give back what bears a worker's name without being in its hands: its claim or return went amiss."""
    now = clock.now_ms()
    rows = tx.execute(select(messages.c.organization_id, messages.c.id).where(messages.c.owner == owner))
    lost = [(row.organization_id, row.id, owner, now) for row in rows if row.id not in held]
    wake(tx, {row[0]: now for row in _put_back(tx, lost)})
    return len(lost)


def reschedule(tx: Tx, organization_id: int, ids: Sequence[RowId], due_at: int) -> list[RowId]:
    """Give waiting messages another time; answers those that were waiting."""
    rows = _reschedule(tx, [(organization_id, message_id, due_at) for message_id in ids])
    wake(tx, {row[1]: due_at for row in rows})
    return [row[0] for row in rows]


def reopen(tx: Tx, organization_id: int, ids: Sequence[RowId], due_at: int) -> list[RowId]:
    """Queue again what bounced, failed or was cancelled; answers those that had. Marks and attempts stay."""
    rows = _reopen(tx, [(organization_id, message_id, due_at) for message_id in ids])
    wake(tx, {row[1]: due_at for row in rows})
    return [row[0] for row in rows]


def waiting_of_domain(tx: Tx, organization_id: int, domain_id: RowId, limit: int) -> list[RowId]:
    """Messages of a sending domain that wait on their lanes; what workers hold is left out."""
    rows = tx.execute(
        select(messages.c.id)
        .join(lanes, lanes.c.id == messages.c.lane_id)
        .where(
            lanes.c.organization_id == organization_id,
            messages.c.organization_id == organization_id,
            messages.c.due_at.is_not(None),
            messages.c.domain_id == domain_id,
        )
        .limit(limit)
    )
    return [row.id for row in rows]


def release_dead(tx: Tx, owners: Sequence[str]) -> int:
    """Free the messages and sites of dead workers; answers how many messages."""
    if not owners:
        return 0
    now = clock.now_ms()
    rows = tx.execute(
        update(messages)
        .where(messages.c.owner.in_(list(owners)))
        .values(owner=None, due_at=now)
        .returning(messages.c.lane_id)
    ).fetchall()
    tx.execute(update(sites).where(sites.c.owner.in_(list(owners))).values(owner=None))
    wake(tx, {row.lane_id: now for row in rows})
    return len(rows)


def _lanes_due(tx: Tx, site_id: int, now: int) -> dict[Stream, list[int]]:
    due: dict[Stream, list[int]] = {}
    for stream, lane_id in _lanes_due_of(tx, [(site_id, int(stream), now) for stream in Stream]):
        due.setdefault(Stream(stream), []).append(lane_id)
    return due


def _move_on(tx: Tx, lane_ids: Sequence[int], now: int) -> None:
    # A millisecond apart, in the order served: of equals the lane with the lowest id would always win.
    first = now - len(lane_ids)
    if lane_ids:
        _place_lanes(tx, [(lane_id, first + place) for place, lane_id in enumerate(lane_ids)])


def _look_again(tx: Tx, lane_ids: Sequence[int]) -> None:
    if lane_ids:
        lock_rows(tx, "lanes", sorted(lane_ids), shared=False)
        _look_again_at(tx, [(lane_id,) for lane_id in lane_ids])


def _earliest(pairs: Iterable[tuple[int, int | None]]) -> dict[int, int]:
    due: dict[int, int] = {}
    for lane_id, due_at in pairs:
        if due_at is not None:
            due[lane_id] = min(due_at, due.get(lane_id, FAR))
    return due


def _claimed(row: Any) -> Claimed:
    return Claimed(
        organization_id=row[0],
        id=row[1],
        group_id=row[2],
        content_id=row[3],
        campaign_id=row[4],
        domain_id=row[5],
        lane_id=row[6],
        recipient=row[7],
        address_key=row[8],
        role=Role(row[9]),
        vars=None if row[10] is None else json.loads(row[10]),
        stream=Stream(row[11]),
        created_at=row[12],
        attempts=row[13],
    )
