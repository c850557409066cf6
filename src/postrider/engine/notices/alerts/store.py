"""The SQL of alerts."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, select, update

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import insert_batch
from postrider.engine.notices.alerts.model import Alert, AlertKind, Look
from postrider.engine.notices.tables import alerts
from postrider.kit import clock, json
from postrider.kit.ids import RowId, new_id

PAGE_MAX = 200
OPEN_MAX = 1_000  # at one time: what is beyond is raised when others are over
DROPPED_AT_ONCE = 500
KEPT_MS = 90 * clock.DAY  # after it was over

_raise = insert_batch(
    alerts, "organization_id", "id", "kind", "scope", "subject", "facts", "raised_at", "seen_at",
    tail="ON CONFLICT (organization_id, kind, scope, subject) WHERE cleared_at IS NULL DO NOTHING "
    "RETURNING id",
)  # fmt: skip


def open_alerts(tx: Tx, organization_id: int) -> list[Alert]:
    query = _select(organization_id).where(alerts.c.cleared_at.is_(None))
    return [_alert(row) for row in tx.execute(query.order_by(alerts.c.id).limit(OPEN_MAX))]


def raise_(tx: Tx, organization_id: int, looks: Sequence[Look], now: int) -> list[Alert]:
    """Those of all sights that were not open yet; another node may raise the same at this moment."""
    new = [
        Alert(organization_id, new_id(), look.kind, look.scope, sight.subject, sight.facts, now, now, None)
        for look in looks
        for sight in look.sights
    ]
    rows = [
        (
            each.organization_id, each.id, each.kind.value, each.scope, each.subject,
            json.dumps(each.facts), now, now,
        )
        for each in new
    ]  # fmt: skip
    made = {row[0] for row in _raise(tx, rows)} if rows else set()
    return [each for each in new if each.id in made]


def mark_seen(tx: Tx, organization_id: int, ids: Sequence[RowId], now: int) -> None:
    tx.execute(update(alerts).where(*_these(organization_id, ids)).values(seen_at=now))


def clear(tx: Tx, organization_id: int, ids: Sequence[RowId], now: int) -> set[RowId]:
    """Answers those that were open still."""
    ended = update(alerts).where(*_these(organization_id, ids), alerts.c.cleared_at.is_(None))
    return set(tx.execute(ended.values(cleared_at=now).returning(alerts.c.id)).scalars())


def page(
    tx: Tx, organization_id: int, *, is_open: bool | None, before: RowId | None, limit: int
) -> list[Alert]:
    """Those raised last first."""
    query = _select(organization_id)
    if is_open is not None:
        cleared_at = alerts.c.cleared_at
        query = query.where(cleared_at.is_(None) if is_open else cleared_at.is_not(None))
    if before is not None:
        query = query.where(alerts.c.id < before)
    return [_alert(row) for row in tx.execute(query.order_by(alerts.c.id.desc()).limit(limit))]


def open_by_kind(tx: Tx) -> dict[AlertKind, int]:
    """How many alerts are open, of every kind."""
    table = alerts.c
    rows = tx.execute(select(table.kind, func.count()).where(table.cleared_at.is_(None)).group_by(table.kind))
    found = {str(row[0]): int(row[1]) for row in rows}
    return {kind: found.get(kind.value, 0) for kind in AlertKind}


def drop_old(tx: Tx, organization_id: int) -> int:
    """Alerts that were over long ago, DROPPED_AT_ONCE at most; answers how many."""
    table = alerts.c
    ours = and_(table.organization_id == organization_id, table.cleared_at < clock.now_ms() - KEPT_MS)
    old = select(table.id).where(ours).limit(DROPPED_AT_ONCE)
    return tx.execute(
        delete(alerts).where(table.organization_id == organization_id, table.id.in_(old))
    ).rowcount


def _these(organization_id: int, ids: Sequence[RowId]) -> tuple[ColumnElement[bool], ...]:
    return alerts.c.organization_id == organization_id, alerts.c.id.in_(list(ids))


def _select(organization_id: int) -> Select[Any]:
    return select(alerts).where(alerts.c.organization_id == organization_id)


def _alert(row: AnyRow) -> Alert:
    return Alert(
        row.organization_id, row.id, AlertKind(row.kind), row.scope, row.subject, row.facts or {},
        row.raised_at, row.seen_at, row.cleared_at,
    )  # fmt: skip
