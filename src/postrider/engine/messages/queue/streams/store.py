"""The SQL of paused streams, and of mail that waits though nothing holds it back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, select, update

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import insert_batch, lock_rows
from postrider.engine.messages.model import Stream
from postrider.engine.messages.queue.rules import Pause
from postrider.engine.messages.queue.sites.store import look_again
from postrider.engine.messages.tables import lanes, messages, paused_streams, sites
from postrider.kit import clock

LANES_AT_ONCE = 1_000
STUCK_SITES_MAX = 200  # looked at in one go
STUCK_LANES_MAX = 500

_pause = insert_batch(
    paused_streams, "organization_id", "stream", "reason", "paused_at",
    tail="ON CONFLICT DO NOTHING RETURNING stream",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PausedStream:
    """`reason` is a word: complaints."""

    stream: Stream
    reason: str
    paused_at: int


def pause_stream(tx: Tx, organization_id: int, stream: Stream, reason: str) -> bool:
    """Its lanes give nothing, those made later neither; mail is still accepted and waits.

    False: it was paused already.
    """
    is_new = bool(_pause(tx, [(organization_id, int(stream), reason, clock.now_ms())]))
    paused = lanes.c.paused.bitwise_or(int(Pause.WITH_STREAM))
    for ids in _lanes_of(tx, organization_id, stream):
        _set_pause(tx, organization_id, ids, paused)
    return is_new


def resume_stream(tx: Tx, organization_id: int, stream: Stream) -> bool:
    """False: it was not paused. Lanes that were paused by hand stay so."""
    table = paused_streams.c
    done = tx.execute(
        delete(paused_streams).where(table.organization_id == organization_id, table.stream == int(stream))
    )
    if not done.rowcount:
        return False
    paused = lanes.c.paused.bitwise_and(int(Pause.BY_HAND))
    for ids in _lanes_of(tx, organization_id, stream):
        _set_pause(tx, organization_id, ids, paused)
        look_again(tx, organization_id, ids)
    return True


def paused_of(tx: Tx, organization_id: int) -> list[PausedStream]:
    table = paused_streams.c
    rows = tx.execute(
        select(table.stream, table.reason, table.paused_at)
        .where(table.organization_id == organization_id)
        .order_by(table.stream)
    )
    return [PausedStream(Stream(row.stream), row.reason, row.paused_at) for row in rows]


def stuck(tx: Tx, before: int) -> list[tuple[str, int]]:
    """Sites, each with the time its longest waiting mail was due, whose lanes nobody served since `before`.

    Left out is what may wait: paused lanes, and sites that were throttled at that time or later. A lane that
    is served gets a new `next_due`, however much it still holds, so a long queue alone is not stuck.
    """
    waiting = (
        select(sites.c.id, sites.c.name)
        .where(sites.c.next_due <= before, sites.c.throttled_until <= before)
        .order_by(sites.c.next_due)
        .limit(STUCK_SITES_MAX)
        .subquery()
    )
    unserved = (
        select(waiting.c.name, lanes.c.id)
        .join(lanes, lanes.c.site_id == waiting.c.id)
        .where(lanes.c.stream.in_([int(stream) for stream in Stream]))  # as ix_lanes_due is ordered
        .where(lanes.c.next_due <= before, lanes.c.paused == 0)
        .limit(STUCK_LANES_MAX)
        .subquery()
    )
    oldest = (
        select(func.min(messages.c.due_at))
        .where(messages.c.lane_id == unserved.c.id, messages.c.due_at.is_not(None))
        .scalar_subquery()
    )
    rows: Sequence[AnyRow] = tx.execute(select(unserved.c.name, oldest.label("due_at"))).fetchall()
    found: dict[str, int] = {}
    for row in rows:
        if row.due_at is not None and row.due_at <= before:
            found[row.name] = min(row.due_at, found.get(row.name, row.due_at))
    return sorted(found.items())


def _lanes_of(tx: Tx, organization_id: int, stream: Stream) -> Iterator[list[int]]:
    """All its lanes by their ids, in order, LANES_AT_ONCE of them each time."""
    last = 0
    while True:
        theirs = (lanes.c.organization_id == organization_id, lanes.c.stream == int(stream))
        query = select(lanes.c.id).where(*theirs, lanes.c.id > last).order_by(lanes.c.id)
        ids = list(tx.execute(query.limit(LANES_AT_ONCE)).scalars())
        if not ids:
            return
        yield ids
        last = ids[-1]


def _set_pause(tx: Tx, organization_id: int, ids: Sequence[int], paused: ColumnElement[int]) -> None:
    lock_rows(tx, "lanes", ids, shared=False)  # in order, as everybody holds them
    theirs = (lanes.c.organization_id == organization_id, lanes.c.id.in_(ids))
    tx.execute(update(lanes).where(*theirs).values(paused=paused))
