"""The SQL of webhooks: endpoints one organization at a time, the queue for whole batches."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, text, update

from postrider.db.database import Tx
from postrider.db.portable import Batch, PerRow, Statement, insert_batch
from postrider.engine.journal import Event, EventKind
from postrider.engine.webhooks.model import (
    Attempt,
    CampaignName,
    DomainName,
    Endpoint,
    EndpointState,
    Rendered,
    Waiting,
)
from postrider.engine.webhooks.tables import (
    webhook_attempts,
    webhook_bodies,
    webhook_endpoints,
    webhook_queue,
)
from postrider.kit import json
from postrider.kit.ids import RowId
from postrider.kit.record import record

ENDPOINTS_MAX = 100  # of one organization
COUNT_MAX = 10_000  # as far as a log is counted
DROPPED_AT_ONCE = 500

Place = tuple[int, RowId]  # organization, endpoint
Row = tuple[int, RowId, RowId, str]  # organization, endpoint, event, word


@record
class Subscription:
    """What the follower must know of an endpoint."""

    organization_id: int
    id: RowId
    format: str
    events: list[str]
    domain_ids: list[str] | None


_ENDPOINT = (
    "organization_id", "id", "number", "format", "url", "name", "description", "events", "domain_ids",
    "state", "failures", "failing_since", "created_at", "updated_at",
)  # fmt: skip
ATTEMPT = (
    "organization_id", "endpoint_id", "event_id", "word", "number", "started_at", "duration_ms", "status",
    "fault", "answer", "next_at", "id", "answer_headers",
)  # fmt: skip
_BODY = ("organization_id", "endpoint_id", "event_id", "word", "headers", "body", "frozen_at")
_columns = tuple(webhook_endpoints.c[name] for name in _ENDPOINT)

_subscriptions = Batch(
    f"""SELECT e.organization_id, e.id, e.format, e.events, e.domain_ids FROM v
        JOIN webhook_endpoints e ON e.organization_id = v.organization_id
        WHERE e.state = {int(EndpointState.ACTIVE)}""",  # noqa: S608
    organization_id=int,
)
# What was posted once is not queued again, and what waits is not queued twice.
_enqueue = Batch(
    """INSERT INTO webhook_queue (organization_id, endpoint_id, event_id, word, due_at, attempts)
       SELECT v.organization_id, v.endpoint_id, v.event_id, v.word, v.due_at, 0 FROM v
       WHERE NOT EXISTS (SELECT 1 FROM webhook_attempts a WHERE a.organization_id = v.organization_id
         AND a.endpoint_id = v.endpoint_id AND a.event_id = v.event_id AND a.word = v.word)
       ON CONFLICT DO NOTHING RETURNING organization_id, endpoint_id""",
    organization_id=int,
    endpoint_id=bytes,
    event_id=bytes,
    word=str,
    due_at=int,
)
_wake = Batch(
    """UPDATE webhook_endpoints SET next_due_at =
         CASE WHEN next_due_at < v.due_at THEN next_due_at ELSE v.due_at END FROM v
       WHERE webhook_endpoints.organization_id = v.organization_id AND webhook_endpoints.id = v.id""",
    organization_id=int,
    id=bytes,
    due_at=int,
)
_hold = Batch(
    f"""SELECT {", ".join(f"e.{name}" for name in _ENDPOINT)} FROM v
        JOIN webhook_endpoints e ON e.organization_id = v.organization_id AND e.id = v.id
        ORDER BY e.organization_id, e.id {{for_update}}""",  # noqa: S608
    organization_id=int,
    id=bytes,
)
_count_failures = Batch(
    """UPDATE webhook_endpoints SET failures = v.failures, failing_since = v.failing_since FROM v
       WHERE webhook_endpoints.organization_id = v.organization_id AND webhook_endpoints.id = v.id""",
    organization_id=int,
    id=bytes,
    failures=int,
    failing_since=int,
)
# Of a long queue only its first row is looked at.
_release = Batch(
    """UPDATE webhook_endpoints SET owner = NULL, next_due_at = (
         SELECT CASE WHEN q.due_at < v.not_before THEN v.not_before ELSE q.due_at END FROM webhook_queue q
         WHERE q.organization_id = v.organization_id AND q.endpoint_id = v.id ORDER BY q.due_at LIMIT 1)
       FROM v WHERE webhook_endpoints.organization_id = v.organization_id AND webhook_endpoints.id = v.id
         AND webhook_endpoints.owner = v.owner""",
    organization_id=int,
    id=bytes,
    owner=str,
    not_before=int,
)
_lease = Statement(
    f"""UPDATE webhook_endpoints SET owner = :owner WHERE (organization_id, id) IN (
          SELECT organization_id, id FROM webhook_endpoints WHERE next_due_at <= :now AND owner IS NULL
          ORDER BY next_due_at LIMIT :limit {{skip_locked}})
        RETURNING {", ".join(_ENDPOINT)}, secret"""  # noqa: S608
)
_due = PerRow(
    """SELECT q.organization_id, q.endpoint_id, q.event_id, q.word, q.attempts, b.headers, b.body
       FROM webhook_queue q
       LEFT JOIN webhook_bodies b ON b.organization_id = q.organization_id AND b.endpoint_id = q.endpoint_id
         AND b.event_id = q.event_id AND b.word = q.word
       WHERE q.organization_id = :organization_id AND q.endpoint_id = :endpoint_id AND q.due_at <= :now
       ORDER BY q.due_at, q.event_id LIMIT :most""",
    organization_id=int,
    endpoint_id=bytes,
    now=int,
    most=int,
)
_events = Batch(
    """SELECT e.organization_id, e.id, e.kind, e.at, e.message_id, e.contact_id, e.campaign_id, e.data
       FROM v JOIN events e ON e.organization_id = v.organization_id AND e.id = v.id""",
    organization_id=int,
    id=bytes,
)
_campaigns = Batch(
    """SELECT c.id, c.name, c.kind, c.label FROM v
       JOIN campaigns c ON c.organization_id = v.organization_id AND c.id = v.id""",
    organization_id=int,
    id=bytes,
)
_domains = Batch(
    """SELECT d.id, d.number, d.name FROM v
       JOIN domains d ON d.organization_id = v.organization_id AND d.id = v.id""",
    organization_id=int,
    id=bytes,
)
_OF_ROW = """webhook_queue.organization_id = v.organization_id AND webhook_queue.endpoint_id = v.endpoint_id
             AND webhook_queue.event_id = v.event_id AND webhook_queue.word = v.word"""
# Only where there is none yet: the first rendering stays.
_freeze = insert_batch(webhook_bodies, *_BODY, tail="ON CONFLICT DO NOTHING")
_put_off = Batch(
    f"""UPDATE webhook_queue SET due_at = v.due_at, attempts = v.attempts FROM v WHERE {_OF_ROW}""",  # noqa: S608
    organization_id=int,
    endpoint_id=bytes,
    event_id=bytes,
    word=str,
    due_at=int,
    attempts=int,
)
_drop = Batch(
    """DELETE FROM webhook_queue WHERE (organization_id, endpoint_id, event_id, word) IN
         (SELECT organization_id, endpoint_id, event_id, word FROM v)""",
    organization_id=int,
    endpoint_id=bytes,
    event_id=bytes,
    word=str,
)
_log = insert_batch(webhook_attempts, *ATTEMPT, "outcome", tail="ON CONFLICT DO NOTHING")


def insert_endpoint(tx: Tx, **values: Any) -> None:
    tx.execute(insert(webhook_endpoints).values(**values))


def update_endpoint(tx: Tx, organization_id: int, endpoint_id: RowId, **values: Any) -> None:
    tx.execute(update(webhook_endpoints).where(*_of(organization_id, endpoint_id)).values(**values))


def endpoint(tx: Tx, organization_id: int, endpoint_id: RowId, *, hold: bool = False) -> Endpoint | None:
    """`hold`: nobody else changes the row before this transaction ends."""
    query = select(*_columns).where(*_of(organization_id, endpoint_id))
    row = tx.execute(query.with_for_update() if hold else query).one_or_none()
    return None if row is None else _endpoint(*row)


def hold(tx: Tx, places: Sequence[Place]) -> dict[RowId, Endpoint]:
    """Endpoints by id, those that are there; nobody else changes them before this transaction ends."""
    return {row[1]: _from_driver(*row) for row in _hold(tx, sorted(set(places)))}


def endpoints(tx: Tx, organization_id: int) -> list[Endpoint]:
    """Those that are not deleted, by number."""
    table = webhook_endpoints.c
    rows = tx.execute(
        select(*_columns)
        .where(table.organization_id == organization_id, table.state != int(EndpointState.DELETED))
        .order_by(table.number)
        .limit(ENDPOINTS_MAX)
    )
    return [_endpoint(*row) for row in rows]


def secret(tx: Tx, organization_id: int, endpoint_id: RowId) -> bytes | None:
    """Sealed."""
    return tx.execute(
        select(webhook_endpoints.c.secret).where(*_of(organization_id, endpoint_id))
    ).scalar_one_or_none()


def subscriptions(tx: Tx, organization_ids: Sequence[int]) -> list[Subscription]:
    """The active endpoints of some organizations."""
    return [
        Subscription(row[0], row[1], row[2], json.loads(row[3]), json.loads(row[4]) if row[4] else None)
        for row in _subscriptions(tx, [(each,) for each in organization_ids])
    ]


def enqueue(tx: Tx, rows: Sequence[tuple[int, RowId, RowId, str, int]]) -> None:
    """(organization, endpoint, event, word, due): queued where new, and their endpoints woken.

    The rows come first: who settles an endpoint locks it and then looks at its queue.
    """
    if rows and (queued := {(row[0], row[1]) for row in _enqueue(tx, rows)}):
        due: dict[Place, int] = {}
        for organization_id, endpoint_id, _, _, due_at in rows:
            place = organization_id, endpoint_id
            due[place] = min(due_at, due.get(place, due_at))
        _wake(tx, [(*place, due[place]) for place in sorted(queued)])


def wake(tx: Tx, organization_id: int, endpoint_id: RowId, due_at: int) -> None:
    _wake(tx, [(organization_id, endpoint_id, due_at)])


def wake_all(tx: Tx, places: Sequence[tuple[int, RowId, int]]) -> None:
    """Of (organization, endpoint, due), in order."""
    _wake(tx, places)


def has_due(tx: Tx, now: int) -> bool:
    table = webhook_endpoints.c
    query = select(table.id).where(table.next_due_at <= now, table.owner.is_(None)).limit(1)
    return tx.execute(query).first() is not None


def lease(tx: Tx, owner: str, limit: int, now: int) -> list[tuple[Endpoint, bytes]]:
    """Endpoints of all organizations with something due, longest waiting first, with their sealed secrets."""
    rows = _lease(tx, owner=owner, limit=limit, now=now)
    return [(_from_driver(*row[:-1]), row[-1]) for row in rows]


def due(tx: Tx, places: Sequence[tuple[int, RowId, int, int]]) -> list[Waiting]:
    """What is due at (organization, endpoint, now, most) places, oldest first at each."""
    return [_waiting(*row) for row in _due(tx, places)]


def events(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, Event]:
    """Events by id, of (organization, id) pairs: those that are still kept."""
    return {
        row[1]: Event(
            organization_id=row[0],
            kind=EventKind(row[2]),
            at=row[3],
            message_id=row[4],
            contact_id=row[5],
            campaign_id=row[6],
            data=json.loads(row[7]) if row[7] else None,
            id=row[1],
        )
        for row in _events(tx, sorted(set(ids)))
    }


def campaigns(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, CampaignName]:
    return {row[0]: CampaignName(*row) for row in _campaigns(tx, sorted(set(ids)))}


def domains(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, DomainName]:
    """Sending domains by id, of (organization, id) pairs: those that are still there."""
    return {row[0]: DomainName(*row) for row in _domains(tx, sorted(set(ids)))}


def freeze(tx: Tx, rendered: Sequence[tuple[Row, Rendered]], now: int) -> None:
    """Keep bodies before they are posted for the first time."""
    if rendered:
        _freeze(tx, [(*row, json.dumps(each.headers), each.body, now) for row, each in rendered])


def put_off(tx: Tx, rows: Sequence[tuple[Row, int, int]]) -> None:
    """Of (row, due, attempts)."""
    if rows:
        _put_off(tx, [(*row, due_at, attempts) for row, due_at, attempts in rows])


def drop(tx: Tx, rows: Sequence[Row]) -> None:
    if rows:
        _drop(tx, rows)


def drop_waiting(tx: Tx, organization_id: int, endpoint_id: RowId) -> int:
    """DROPPED_AT_ONCE of what waits for an endpoint; answers how many."""
    table = webhook_queue.c
    here = (table.organization_id == organization_id, table.endpoint_id == endpoint_id)
    first = select(table.due_at, table.event_id, table.word).where(*here).limit(DROPPED_AT_ONCE)
    rows = [(organization_id, endpoint_id, row.event_id, row.word) for row in tx.execute(first)]
    drop(tx, rows)
    return len(rows)


def log(tx: Tx, attempts: Sequence[Attempt]) -> None:
    if attempts:
        rows = [[getattr(attempt, name) for name in ATTEMPT] for attempt in attempts]
        _log(tx, [(*row, int(attempt.outcome)) for row, attempt in zip(rows, attempts, strict=True)])


def count_failures(tx: Tx, counted: Sequence[tuple[Place, int, int | None]]) -> None:
    """Of (place, failures in a row, since when)."""
    if counted:
        _count_failures(tx, [(*place, failures, since) for place, failures, since in counted])


def release(tx: Tx, owner: str, places: Sequence[Place], *, not_before: int = 0) -> None:
    """Give leased and held endpoints back, each due when its queue is."""
    if places:
        _release(tx, [(*place, owner, not_before) for place in places])


def release_owners(tx: Tx, owners: Sequence[str]) -> None:
    tx.execute(
        update(webhook_endpoints).where(webhook_endpoints.c.owner.in_(list(owners))).values(owner=None)
    )


def drop_endpoint(tx: Tx, organization_id: int, endpoint_id: RowId) -> bool:
    """A part of a deleted endpoint's log and bodies; with the last the endpoint. True: it is gone."""
    for table, names, drop_rows in (
        (webhook_attempts.c, ("event_id", "word", "number"), _drop_attempts),
        (webhook_bodies.c, ("event_id", "word"), _drop_bodies),
    ):
        here = (table.organization_id == organization_id, table.endpoint_id == endpoint_id)
        keys = select(*(table[name] for name in names)).where(*here).limit(DROPPED_AT_ONCE)
        if rows := tx.execute(keys).fetchall():
            drop_rows(tx, [(organization_id, endpoint_id, *row) for row in rows])
            return False
    tx.execute(delete(webhook_endpoints).where(*_of(organization_id, endpoint_id)))
    return True


_drop_attempts = Batch(
    """DELETE FROM webhook_attempts WHERE (organization_id, endpoint_id, event_id, word, number) IN
         (SELECT organization_id, endpoint_id, event_id, word, number FROM v)""",
    organization_id=int,
    endpoint_id=bytes,
    event_id=bytes,
    word=str,
    number=int,
)
_drop_bodies = Batch(
    """DELETE FROM webhook_bodies WHERE (organization_id, endpoint_id, event_id, word) IN
         (SELECT organization_id, endpoint_id, event_id, word FROM v)""",
    organization_id=int,
    endpoint_id=bytes,
    event_id=bytes,
    word=str,
)


def drop_old_bodies(tx: Tx, before: int) -> int:
    """As drop_old_attempts, of bodies that nothing waits to post."""
    body, queued = webhook_bodies.c, webhook_queue.c
    waits = exists().where(
        *(queued[name] == body[name] for name in ("organization_id", "endpoint_id", "event_id", "word"))
    )
    keys = (
        select(body.organization_id, body.endpoint_id, body.event_id, body.word)
        .where(body.frozen_at < before, ~waits)
        .order_by(body.frozen_at)
        .limit(DROPPED_AT_ONCE)
    )
    rows = [tuple(row) for row in tx.execute(keys)]
    if rows:
        _drop_bodies(tx, rows)
    return len(rows)


def drop_old_attempts(tx: Tx, before: int) -> int:
    """DROPPED_AT_ONCE lines of all logs that were written before; answers how many."""
    table = webhook_attempts.c
    keys = (
        select(table.organization_id, table.endpoint_id, table.event_id, table.word, table.number)
        .where(table.started_at < before)
        .order_by(table.started_at)
        .limit(DROPPED_AT_ONCE)
    )
    rows = [tuple(row) for row in tx.execute(keys)]
    if rows:
        _drop_attempts(tx, rows)
    return len(rows)


def attempts_page(
    tx: Tx, organization_id: int, endpoint_id: RowId, *, limit: int, offset: int, oldest_first: bool
) -> list[Attempt]:
    """An endpoint's log by event, as they were recorded, and number."""
    table = webhook_attempts.c
    order = (table.event_id, table.word, table.number)
    rows = tx.execute(
        select(*(table[name] for name in ATTEMPT))
        .where(table.organization_id == organization_id, table.endpoint_id == endpoint_id)
        .order_by(*(column if oldest_first else column.desc() for column in order))
        .limit(limit)
        .offset(offset)
    )
    return [Attempt(*row) for row in rows]


def lag(tx: Tx, now: int) -> tuple[int, int]:
    """How long the endpoint that waits longest has been due, in ms; and how many are disabled."""
    table = webhook_endpoints.c
    due = [
        select(func.min(table.next_due_at)).where(table.next_due_at <= now, condition).scalar_subquery()
        for condition in (table.owner.is_(None), table.owner.is_not(None))
    ]
    disabled = select(func.count()).where(table.state == text(str(int(EndpointState.DISABLED))))
    row = tx.execute(select(*due, disabled.select_from(webhook_endpoints).scalar_subquery())).one()
    return max((now - at for at in row[:2] if at is not None), default=0), row[2]


def _of(organization_id: int, endpoint_id: RowId) -> tuple[Any, Any]:
    return webhook_endpoints.c.organization_id == organization_id, webhook_endpoints.c.id == endpoint_id


def _endpoint(*row: Any) -> Endpoint:
    known = dict(zip(_ENDPOINT, row, strict=True))
    return Endpoint(**{**known, "state": EndpointState(known["state"])})


def _waiting(
    organization_id: int,
    endpoint_id: RowId,
    event_id: RowId,
    word: str,
    attempts: int,
    headers: str | None,
    body: bytes | None,
) -> Waiting:
    rendered = None if headers is None or body is None else Rendered(json.loads(headers), body)
    return Waiting(organization_id, endpoint_id, event_id, word, attempts, rendered)


def _from_driver(*row: Any) -> Endpoint:
    """A row whose JSON is still text."""
    known = dict(zip(_ENDPOINT, row, strict=True))
    for name in ("events", "domain_ids"):
        known[name] = json.loads(known[name]) if known[name] else None
    return Endpoint(**{**known, "state": EndpointState(known["state"])})
