"""The SQL of streams that are watched."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select, update

from postrider.db.database import Tx
from postrider.db.portable import insert_batch
from postrider.engine.messages import Stream
from postrider.engine.sending.tables import stream_guards

_mark = insert_batch(
    stream_guards, "organization_id", "stream", "due_at",
    tail="ON CONFLICT (organization_id, stream) DO UPDATE "
    "SET due_at = COALESCE(stream_guards.due_at, excluded.due_at)",
)  # fmt: skip
_resumed = insert_batch(
    stream_guards, "organization_id", "stream", "resumed_at",
    tail="ON CONFLICT (organization_id, stream) DO UPDATE SET resumed_at = excluded.resumed_at",
)  # fmt: skip


class Watched(NamedTuple):
    organization_id: int
    stream: Stream
    resumed_at: int | None


def mark(tx: Tx, streams: Sequence[tuple[int, Stream]], due_at: int) -> None:
    if streams:
        _mark(tx, [(organization_id, int(stream), due_at) for organization_id, stream in streams])


def due(tx: Tx, before: int, limit: int) -> list[Watched]:
    """Longest waiting first."""
    table = stream_guards.c
    query = select(table.organization_id, table.stream, table.resumed_at).where(table.due_at <= before)
    rows = tx.execute(query.order_by(table.due_at).limit(limit))
    return [Watched(row.organization_id, Stream(row.stream), row.resumed_at) for row in rows]


def take(tx: Tx, watched: Watched) -> bool:
    """Whether it was still to be judged: of several nodes that look at one, one settles it."""
    table = stream_guards.c
    done = tx.execute(
        update(stream_guards)
        .where(
            table.organization_id == watched.organization_id,
            table.stream == int(watched.stream),
            table.due_at.is_not(None),
        )
        .values(due_at=None)
    )
    return bool(done.rowcount)


def mark_resumed(tx: Tx, organization_id: int, stream: Stream, at: int) -> None:
    _resumed(tx, [(organization_id, int(stream), at)])
