"""The SQL of reading the log of posts, and of queueing from it again."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select

from postrider.db.database import Tx
from postrider.db.portable import Batch, PerRow
from postrider.engine.webhooks import store
from postrider.engine.webhooks.model import Attempt, Outcome, Rendered
from postrider.engine.webhooks.store import ATTEMPT
from postrider.engine.webhooks.tables import webhook_attempts
from postrider.kit import json
from postrider.kit.ids import ID_BYTES, RowId

EVENT_MAX = 1_000  # attempts of one event at one endpoint
REPLAYED_AT_ONCE = 500  # failed attempts that are looked at: what stays under 25 ms
FIRST_ID, LAST_ID = bytes(ID_BYTES), b"\xff" * ID_BYTES

_LINE = ", ".join(f"a.{name}" for name in ATTEMPT)


def _page(past: str, order: str) -> PerRow:
    """By attempt id, for each endpoint and outcome apart, as the index has them."""
    return PerRow(
        f"""SELECT {_LINE} FROM webhook_attempts a
            WHERE a.organization_id = :organization_id AND a.endpoint_id = :endpoint_id
              AND a.outcome = :outcome AND a.id {past} :after AND (:word = '' OR a.word = :word)
            ORDER BY a.id {order} LIMIT :most""",  # noqa: S608
        organization_id=int,
        endpoint_id=bytes,
        outcome=int,
        after=bytes,
        word=str,
        most=int,
    )


_newest, _oldest = _page("<", "DESC"), _page(">", "ASC")
_of_event = PerRow(
    f"""SELECT {_LINE}, a.outcome FROM webhook_attempts a WHERE a.organization_id = :organization_id
          AND a.endpoint_id = :endpoint_id AND a.event_id = :event_id LIMIT {EVENT_MAX}""",  # noqa: S608
    organization_id=int, endpoint_id=bytes, event_id=bytes,
)  # fmt: skip
_one = PerRow(
    f"""SELECT {_LINE} FROM webhook_attempts a WHERE a.organization_id = :organization_id
          AND a.endpoint_id = :endpoint_id AND a.outcome = :outcome AND a.id = :id""",  # noqa: S608
    organization_id=int, endpoint_id=bytes, outcome=int, id=bytes,
)  # fmt: skip
_bodies = Batch(
    """SELECT b.event_id, b.word, b.headers, b.body FROM v
       JOIN webhook_bodies b ON b.organization_id = v.organization_id AND b.endpoint_id = v.endpoint_id
         AND b.event_id = v.event_id AND b.word = v.word""",
    organization_id=int, endpoint_id=bytes, event_id=bytes, word=str,
)  # fmt: skip
# Of attempts those that were the last, that nothing waits for, and whose bytes are kept.
_lost = Batch(
    """SELECT v.organization_id, v.endpoint_id, v.event_id, v.word FROM v
       JOIN webhook_bodies b ON b.organization_id = v.organization_id AND b.endpoint_id = v.endpoint_id
         AND b.event_id = v.event_id AND b.word = v.word
       WHERE NOT EXISTS (SELECT 1 FROM webhook_attempts a WHERE a.organization_id = v.organization_id
           AND a.endpoint_id = v.endpoint_id AND a.event_id = v.event_id AND a.word = v.word
           AND a.number > v.number)
         AND NOT EXISTS (SELECT 1 FROM webhook_queue q WHERE q.organization_id = v.organization_id
           AND q.endpoint_id = v.endpoint_id AND q.event_id = v.event_id AND q.word = v.word)""",
    organization_id=int, endpoint_id=bytes, event_id=bytes, word=str, number=int,
)  # fmt: skip
_queue_again = Batch(
    """INSERT INTO webhook_queue (organization_id, endpoint_id, event_id, word, due_at, attempts)
       SELECT v.organization_id, v.endpoint_id, v.event_id, v.word, v.due_at,
         (SELECT MAX(a.number) FROM webhook_attempts a WHERE a.organization_id = v.organization_id
           AND a.endpoint_id = v.endpoint_id AND a.event_id = v.event_id AND a.word = v.word)
       FROM v WHERE true
       ON CONFLICT (organization_id, endpoint_id, event_id, word) DO UPDATE SET due_at = excluded.due_at
         WHERE webhook_queue.due_at > excluded.due_at""",
    organization_id=int, endpoint_id=bytes, event_id=bytes, word=str, due_at=int,
)  # fmt: skip


_forget_bodies = Batch(
    # Not by tuples, for which SQLite reads all bodies of the organization; ids are unique by themselves.
    """DELETE FROM webhook_bodies
       WHERE organization_id IN (SELECT v.organization_id FROM v)
         AND endpoint_id IN (SELECT e.id FROM webhook_endpoints e
                             WHERE e.organization_id IN (SELECT v.organization_id FROM v))
         AND event_id IN (SELECT v.event_id FROM v)""",
    organization_id=int,
    event_id=bytes,
)


def page(
    tx: Tx,
    organization_id: int,
    endpoint_ids: Sequence[RowId],
    outcomes: Iterable[Outcome],
    *,
    limit: int,
    after: RowId | None,
    word: str | None = None,
    oldest_first: bool = False,
) -> list[Attempt]:
    """Attempts past `after`, newest first unless said: those of each endpoint and outcome, merged."""
    statement, start = (_oldest, after or FIRST_ID) if oldest_first else (_newest, after or LAST_ID)
    places = [(id_, int(outcome)) for outcome in outcomes for id_ in endpoint_ids]
    rows = statement(tx, [(organization_id, *place, start, word or "", limit) for place in places])
    found = [Attempt(*row) for row in rows]
    return sorted(found, key=lambda each: each.id, reverse=not oldest_first)[:limit]


def count(tx: Tx, place: store.Place, outcomes: Iterable[Outcome], *, word: str | None) -> int:
    """How many lines an endpoint's log has of these, counted to COUNT_MAX."""
    table = webhook_attempts.c
    organization_id, endpoint_id = place
    found = select(table.number).where(
        table.organization_id == organization_id,
        table.endpoint_id == endpoint_id,
        table.outcome.in_([int(outcome) for outcome in outcomes]),
    )
    if word is not None:
        found = found.where(table.word == word)
    counted = select(func.count()).select_from(found.limit(store.COUNT_MAX).subquery())
    return tx.execute(counted).scalar_one()


def attempts_at(
    tx: Tx,
    organization_id: int,
    endpoint_ids: Sequence[RowId],
    event_id: RowId,
    *,
    limit: int,
    before: RowId | None,
    outcomes: Sequence[Outcome],
) -> list[Attempt]:
    """Attempts to tell some endpoints of one event, newest first; few, as schedules are short."""
    rows = _of_event(tx, [(organization_id, endpoint_id, event_id) for endpoint_id in endpoint_ids])
    last, wanted = before or LAST_ID, {*(outcomes or Outcome)}
    found = [Attempt(*row[:-1]) for row in rows if row[-1] in wanted]
    return sorted((each for each in found if each.id < last), key=lambda each: each.id, reverse=True)[:limit]


def attempt(tx: Tx, organization_id: int, endpoint_ids: Sequence[RowId], attempt_id: RowId) -> Attempt | None:
    places = [(organization_id, id_, int(outcome), attempt_id) for id_ in endpoint_ids for outcome in Outcome]
    return next((Attempt(*row) for row in _one(tx, places)), None)


def bodies(tx: Tx, attempts: Sequence[Attempt]) -> dict[tuple[RowId, str], Rendered]:
    """What was posted at one endpoint, by event and word, as far as it is kept."""
    rows = {(each.organization_id, each.endpoint_id, each.event_id, each.word) for each in attempts}
    return {(row[0], row[1]): Rendered(json.loads(row[2]), row[3]) for row in _bodies(tx, sorted(rows))}


def forget_bodies(tx: Tx, organization_id: int, event_ids: Sequence[RowId]) -> None:
    """What was rendered of events, for any endpoint; what still waits is rendered anew."""
    if event_ids:
        _forget_bodies(tx, [(organization_id, id_) for id_ in event_ids])


def failed_since(
    tx: Tx, organization_id: int, endpoint_id: RowId, outcomes: Sequence[Outcome], after: RowId
) -> tuple[RowId | None, list[store.Row]]:
    """Of REPLAYED_AT_ONCE attempts past an id the deliveries that came to nothing; the last id, if full."""
    lines = page(
        tx, organization_id, [endpoint_id], outcomes, limit=REPLAYED_AT_ONCE, after=after, oldest_first=True
    )
    if not lines:
        return None, []
    place = (organization_id, endpoint_id)
    lost = _lost(tx, [(*place, each.event_id, each.word, each.number) for each in lines])
    return lines[-1].id if len(lines) == REPLAYED_AT_ONCE else None, [tuple(row) for row in lost]


def queue_again(tx: Tx, rows: Sequence[store.Row], now: int) -> None:
    """Due now, numbered on from what the log has; the rows come first, as in enqueue."""
    if rows:
        _queue_again(tx, [(*row, now) for row in rows])
        store.wake_all(tx, [(*place, now) for place in sorted({row[:2] for row in rows})])
