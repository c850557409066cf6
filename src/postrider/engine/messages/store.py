"""The SQL of contents, messages and attempts: written for whole batches, read one organization at a time."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypedDict, Unpack

from sqlalchemy import BigInteger, ColumnElement, Select, and_, column, func, select, values

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Batch, PerRow, insert_batch
from postrider.db.schema import Bytes
from postrider.engine.messages.model import (
    AttachmentRef,
    Attempt,
    Content,
    ContentKind,
    Role,
    Status,
    Stream,
)
from postrider.engine.messages.rules import COUNTERS, STATUS_AFTER, UNTIMED, Mark
from postrider.engine.messages.tables import attachments, attempts, content_bodies, messages
from postrider.engine.messages.tables import contents as contents_table
from postrider.kit import json
from postrider.kit.ids import RowId
from postrider.kit.record import record

GROUP_MAX = 1_000  # messages of one request
ATTEMPTS_MAX = 50
LAST_OUTCOMES = 100
COUNT_MAX = 100_000  # as far as a list is counted


@record
class NewMessage:
    """A message as submit makes it."""

    organization_id: int
    id: RowId
    group_id: RowId
    content_id: RowId
    campaign_id: RowId | None
    recipient: str
    address_key: str
    role: Role
    vars: dict[str, Any] | None
    stream: Stream
    declared_stream: Stream
    domain_id: RowId | None
    created_at: int
    due_at: int | None
    is_test: bool
    status: Status
    run_id: RowId | None = None
    variant: int | None = None
    contact_id: RowId | None = None


@record
class Address:
    """Whom a message is for, and for which sending domain."""

    recipient: str
    address_key: str
    domain_id: RowId | None
    stream: Stream


@record
class LastOutcome:
    """When a message to an address was delivered and when it bounced, each the first time, if at all."""

    organization_id: int
    address_key: str
    id: RowId
    first_delivered_at: int | None
    first_bounced_at: int | None


Change = tuple[int, RowId, int, tuple[Mark, ...]]

_CONTENT = (
    "organization_id", "id", "kind", "from_header", "from_address", "subject", "headers", "tags", "metadata",
    "track_opens", "track_clicks", "unsubscribe_header", "links", "attachments", "size_bytes", "messages",
    "created_at", "expires_at",
)  # fmt: skip
_insert_contents = insert_batch(contents_table, *_CONTENT)
_insert_bodies = insert_batch(content_bodies, "organization_id", "content_id", "body")
_insert_attachments = insert_batch(
    attachments,
    "organization_id",
    "hash",
    "body",
    "used_at",
    tail="ON CONFLICT (organization_id, hash) DO UPDATE SET used_at = excluded.used_at "
    "WHERE excluded.used_at > attachments.used_at",
)
_insert_messages = insert_batch(
    messages,
    "organization_id", "id", "group_id", "content_id", "campaign_id", "recipient", "address_key", "role",
    "vars", "stream", "declared_stream", "domain_id", "lane_id", "created_at", "due_at", "status", "is_test",
    "run_id", "variant", "contact_id",
)  # fmt: skip
_insert_attempts = insert_batch(
    attempts,
    "organization_id", "message_id", "number", "started_at", "duration_ms", "outcome", "via", "host", "ip",
    "tls", "code", "enhanced", "reply", "rule", "bounce_class", "transcript",
    tail="ON CONFLICT DO NOTHING",
)  # fmt: skip
_addresses = Batch(
    """SELECT m.id, m.recipient, m.address_key, m.domain_id, m.stream FROM v
       JOIN messages m ON m.organization_id = v.organization_id AND m.id = v.id""",
    organization_id=int,
    id=bytes,
)
_last_outcomes = PerRow(
    f"""SELECT m.organization_id, m.address_key, m.id, m.first_delivered_at, m.first_bounced_at
        FROM messages m WHERE m.organization_id = :organization_id AND m.address_key = :address_key
        ORDER BY m.id DESC LIMIT {LAST_OUTCOMES}""",  # noqa: S608
    organization_id=int,
    address_key=str,
)
_contents = Batch(
    f"""SELECT {", ".join(f"c.{name}" for name in _CONTENT)} FROM v
        JOIN contents c ON c.organization_id = v.organization_id AND c.id = v.id""",  # noqa: S608
    organization_id=int,
    id=bytes,
)
_bodies = Batch(
    """SELECT b.content_id, b.body FROM v
       JOIN content_bodies b ON b.organization_id = v.organization_id AND b.content_id = v.id""",
    organization_id=int,
    id=bytes,
)
_load_attachments = Batch(
    """SELECT a.hash, a.body FROM v
       JOIN attachments a ON a.organization_id = v.organization_id AND a.hash = v.hash""",
    organization_id=int,
    hash=bytes,
)


def insert_contents(tx: Tx, new: Sequence[tuple[Content, bytes]]) -> None:
    """Contents with their bodies."""
    _insert_contents(tx, [_content_row(content) for content, _ in new])
    _insert_bodies(tx, [(content.organization_id, content.id, body) for content, body in new])


def insert_attachments(tx: Tx, new: Sequence[tuple[int, bytes, bytes, int]]) -> None:
    """(organization, SHA-256, bytes, now): kept once each."""
    _insert_attachments(tx, new)


def insert_messages(tx: Tx, new: Sequence[NewMessage], lane_ids: Sequence[int]) -> None:
    """Messages with the lane of each."""
    _insert_messages(
        tx,
        [
            (
                m.organization_id, m.id, m.group_id, m.content_id, m.campaign_id, m.recipient, m.address_key,
                int(m.role), None if m.vars is None else json.dumps(m.vars), int(m.stream),
                int(m.declared_stream), m.domain_id, lane_id, m.created_at, m.due_at, int(m.status),
                int(m.is_test), m.run_id, m.variant, m.contact_id,
            )
            for m, lane_id in zip(new, lane_ids, strict=True)
        ],
    )  # fmt: skip


def insert_attempts(tx: Tx, new: Sequence[Attempt]) -> None:
    _insert_attempts(
        tx,
        [
            (
                a.organization_id, a.message_id, a.number, a.started_at, a.duration_ms, a.outcome, a.via,
                a.host, a.ip, a.tls, a.code, a.enhanced, a.reply, a.rule, a.bounce_class, a.transcript,
            )
            for a in new
        ],
    )  # fmt: skip


def fold(tx: Tx, changes: Sequence[Change]) -> None:
    """Leave marks, (organization, id, at, marks): first times, counters, the status if it was open."""
    ats: dict[tuple[int, RowId], dict[Mark, int]] = {}
    counts: dict[tuple[int, RowId, Mark], int] = {}
    for organization_id, message_id, at, marks in changes:
        first = ats.setdefault((organization_id, message_id), {})
        for mark in marks:
            first[mark] = min(at, first.get(mark, at))
            if mark in COUNTERS:
                key = (organization_id, message_id, mark)
                counts[key] = counts.get(key, 0) + 1
    shapes: dict[tuple[Mark, ...], list[tuple[int, ...] | tuple[Any, ...]]] = {}
    for (organization_id, message_id), first in ats.items():
        shape = tuple(sorted(first, key=_MARK_ORDER.__getitem__))
        row = [organization_id, message_id, *(first[mark] for mark in shape)]
        row += [counts[organization_id, message_id, mark] for mark in shape if mark in COUNTERS]
        shapes.setdefault(shape, []).append(tuple(row))
    for shape, rows in shapes.items():
        _fold_statement(shape)(tx, rows)


_MARK_ORDER = {mark: order for order, mark in enumerate(Mark)}
_OPEN = int(Status.DEFERRED)


@lru_cache(maxsize=128)
def _fold_statement(shape: tuple[Mark, ...]) -> Batch:
    settings: list[str] = []
    columns: dict[str, type] = {"organization_id": int, "id": bytes}
    for place, mark in enumerate(shape):
        columns[f"at_{place}"] = int
        if mark not in UNTIMED:
            settings.append(f"first_{mark.value}_at = COALESCE(m.first_{mark.value}_at, v.at_{place})")
    for mark in shape:
        if mark in COUNTERS:
            columns[f"count_{COUNTERS[mark]}"] = int
            settings.append(f"{COUNTERS[mark]} = m.{COUNTERS[mark]} + v.count_{COUNTERS[mark]}")
    statuses = [STATUS_AFTER[mark] for mark in shape if mark in STATUS_AFTER]
    if statuses:
        status = max(statuses)
        settings.append(f"status = CASE WHEN m.status <= {_OPEN} THEN {int(status)} ELSE m.status END")
        if status.is_final:
            settings += ["owner = NULL", "due_at = NULL"]
    return Batch(
        f"""UPDATE messages AS m SET {", ".join(settings)} FROM v
            WHERE m.organization_id = v.organization_id AND m.id = v.id""",  # noqa: S608
        **columns,
    )


def move_first_humans(tx: Tx, changes: Sequence[tuple[int, RowId, Mark, int | None]]) -> None:
    """Set the first human time of a mark, (organization, id, mark, at): the one thing that is ever unsaid."""
    for mark, statement in _move_first.items():
        if rows := [(change[0], change[1], change[3]) for change in changes if change[2] is mark]:
            statement(tx, rows)


_move_first = {
    mark: Batch(
        f"""UPDATE messages AS m SET first_{mark.value}_at = v.at FROM v
            WHERE m.organization_id = v.organization_id AND m.id = v.id""",  # noqa: S608
        organization_id=int,
        id=bytes,
        at=int,
    )
    for mark in (Mark.HUMAN_OPENED, Mark.HUMAN_CLICKED)
}


def addresses(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, Address]:
    """Whom messages are for, by message id."""
    return {row[0]: Address(row[1], row[2], row[3], Stream(row[4])) for row in _addresses(tx, list(set(ids)))}


def last_outcomes(tx: Tx, addresses: Sequence[tuple[int, str]]) -> list[LastOutcome]:
    """What became of the LAST_OUTCOMES last messages to each of (organization, address key) pairs."""
    return [LastOutcome(*row) for row in _last_outcomes(tx, sorted(set(addresses)))]


def ids_of(
    organization_id: int, *, address_key: str | None = None, domain_id: RowId | None = None
) -> Select[tuple[RowId]]:
    """The ids of an organization's messages to an address, of a domain: for another noun's IN (…)."""
    table = messages.c
    query = select(table.id).where(table.organization_id == organization_id)
    if address_key is not None:
        query = query.where(table.address_key == address_key)
    return query if domain_id is None else query.where(table.domain_id == domain_id)


def contents(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, Content]:
    """Contents by id, of (organization, id) pairs."""
    return {row[1]: _content(*row) for row in _contents(tx, list(set(ids)))}


def bodies(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, bytes]:
    return {row[0]: row[1] for row in _bodies(tx, list(set(ids)))}


def load_attachments(tx: Tx, hashes: Sequence[tuple[int, bytes]]) -> dict[bytes, bytes]:
    return {row[0]: row[1] for row in _load_attachments(tx, list(set(hashes)))}


def _select_messages() -> Select[Any]:
    c = contents_table.c
    return select(
        messages, c.subject, c.from_header, c.tags, c.metadata, c.headers, c.links, c.size_bytes
    ).join_from(
        messages,
        contents_table,
        (c.organization_id == messages.c.organization_id) & (c.id == messages.c.content_id),
    )


def one(tx: Tx, organization_id: int, message_id: RowId) -> AnyRow | None:
    """A message with its content's subject, sender, tags and metadata."""
    return tx.execute(
        _select_messages().where(messages.c.organization_id == organization_id, messages.c.id == message_id)
    ).one_or_none()


def rows(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, AnyRow]:
    """Messages by id, each as `one` has it, of (organization, id) pairs: those of a batch, in one query."""
    # Joined to the pairs, not IN: SQLite would look through an organization's messages for them.
    pairs = column("organization_id", BigInteger), column("id", Bytes())
    v = values(*pairs, name="v").data(sorted(set(ids))).cte("v")
    query = _select_messages().join(
        v, and_(messages.c.organization_id == v.c.organization_id, messages.c.id == v.c.id)
    )
    return {row.id: row for row in tx.execute(query)} if ids else {}


def messages_of_group(tx: Tx, organization_id: int, group_id: RowId) -> list[AnyRow]:
    """The messages of one request, by role."""
    rows = tx.execute(
        _select_messages()
        .where(messages.c.organization_id == organization_id, messages.c.group_id == group_id)
        .order_by(messages.c.role, messages.c.id)
        .limit(GROUP_MAX)
    )
    return list(rows)


class Filter(TypedDict, total=False):
    """What a list of messages may be narrowed to; `has` and `lacks` name marks: opened, human_clicked, …"""

    before: RowId | None
    statuses: Sequence[Status]
    address_key: str | None
    campaign_id: RowId | None
    group_id: RowId | None
    has: Sequence[str]
    lacks: Sequence[str]
    ids: Sequence[RowId]


def search(
    tx: Tx,
    organization_id: int,
    *,
    limit: int,
    oldest_first: bool = False,
    offset: int = 0,
    **narrowed: Unpack[Filter],
) -> list[AnyRow]:
    """Messages newest first, or oldest first; `before` an id, past the first `offset`."""
    query = _select_messages().where(*_conditions(organization_id, narrowed))
    order = messages.c.id.asc() if oldest_first else messages.c.id.desc()
    return list(tx.execute(query.order_by(order).limit(limit).offset(offset)))


def count(tx: Tx, organization_id: int, **narrowed: Unpack[Filter]) -> int:
    """How many a search would find, counted to COUNT_MAX."""
    found = select(messages.c.id).where(*_conditions(organization_id, narrowed)).limit(COUNT_MAX).subquery()
    return tx.execute(select(func.count()).select_from(found)).scalar_one()


def _conditions(organization_id: int, narrowed: Filter) -> list[ColumnElement[bool]]:
    conditions = [messages.c.organization_id == organization_id]
    if (before := narrowed.get("before")) is not None:
        conditions.append(messages.c.id < before)
    if statuses := narrowed.get("statuses"):
        conditions.append(messages.c.status.in_([int(status) for status in statuses]))
    conditions += [
        messages.c[name] == narrowed[name]
        for name in ("address_key", "campaign_id", "group_id")
        if narrowed.get(name) is not None
    ]
    if "ids" in narrowed:
        conditions.append(messages.c.id.in_(list(narrowed["ids"])))
    conditions += [messages.c[f"first_{mark}_at"].is_not(None) for mark in narrowed.get("has", ())]
    conditions += [messages.c[f"first_{mark}_at"].is_(None) for mark in narrowed.get("lacks", ())]
    return conditions


def attempts_of(tx: Tx, organization_id: int, message_id: RowId) -> list[Attempt]:
    rows = tx.execute(
        select(attempts)
        .where(attempts.c.organization_id == organization_id, attempts.c.message_id == message_id)
        .order_by(attempts.c.number)
        .limit(ATTEMPTS_MAX)
    )
    return [Attempt(**row._mapping) for row in rows]


def _content_row(content: Content) -> tuple[Any, ...]:
    return (
        content.organization_id, content.id, int(content.kind), content.from_header, content.from_address,
        content.subject, json.dumps(content.headers), json.dumps(content.tags) if content.tags else None,
        None if content.metadata is None else json.dumps(content.metadata),
        int(content.track_opens), int(content.track_clicks), int(content.unsubscribe_header),
        json.dumps(content.links) if content.links else None,
        json.dumps([_attachment_json(ref) for ref in content.attachments]) if content.attachments else None,
        content.size_bytes, content.messages, content.created_at, content.expires_at,
    )  # fmt: skip


def _attachment_json(ref: AttachmentRef) -> dict[str, Any]:
    return {
        "hash": ref.hash.hex(),
        "filename": ref.filename,
        "content_type": ref.content_type,
        "cid": ref.cid,
        "size_bytes": ref.size_bytes,
    }


def _content(
    organization_id: int,
    content_id: RowId,
    kind: int,
    from_header: str,
    from_address: str,
    subject: str,
    headers: str,
    tags: str | None,
    metadata: str | None,
    track_opens: int,
    track_clicks: int,
    unsubscribe_header: int,
    links: str | None,
    refs: str | None,
    *rest: int,
) -> Content:
    """A row of _CONTENT, its JSON still text."""
    size_bytes, count, created_at, expires_at = rest
    return Content(
        organization_id=organization_id,
        id=content_id,
        kind=ContentKind(kind),
        from_header=from_header,
        from_address=from_address,
        subject=subject,
        headers=json.loads(headers),
        track_opens=bool(track_opens),
        track_clicks=bool(track_clicks),
        unsubscribe_header=bool(unsubscribe_header),
        links=json.loads(links) if links else [],
        attachments=[
            AttachmentRef(bytes.fromhex(ref.pop("hash")), **ref) for ref in (json.loads(refs) if refs else [])
        ],
        size_bytes=size_bytes,
        messages=count,
        created_at=created_at,
        expires_at=expires_at,
        tags=json.loads(tags) if tags else [],
        metadata=json.loads(metadata) if metadata else None,
    )
