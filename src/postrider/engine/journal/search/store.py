"""The SQL of searching the journal. A search looks at the messages of EXAMINED_MAX events, the newest ones.

Ids tell when an event was recorded, which is soon after it happened: so times bound the part of the key that
is read, and no index by time is kept beside it.
"""

from collections.abc import Collection
from typing import Any, TypedDict, Unpack

from sqlalchemy import ColumnElement, func, select

from postrider.db.database import Tx
from postrider.engine.journal.model import Event, EventKind
from postrider.engine.journal.tables import events
from postrider.engine.messages import facets
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor

COUNT_MAX = 100_000  # as far as a search is counted
EXAMINED_MAX = 500_000  # events whose messages one search looks at: some seconds
EARLY_MS = clock.HOUR  # clocks of nodes differ by less
LATE_MS = 7 * clock.DAY  # an event is recorded within, even after a long failure


class Filter(TypedDict, total=False):
    """What events may be narrowed to; times in ms, the end not included; empty collections match nothing."""

    kinds: Collection[EventKind]
    since: int | None
    until: int | None
    message_ids: Collection[RowId] | None
    mail: facets.Filter


def page(
    tx: Tx,
    organization_id: int,
    *,
    limit: int,
    before: RowId | None = None,
    offset: int = 0,
    **narrowed: Unpack[Filter],
) -> list[Event]:
    """Events, those recorded last first; `before` is the id of the last one seen."""
    conditions = _conditions(tx, organization_id, narrowed)
    if before is not None:
        conditions.append(events.c.id < before)
    query = select(*_COLUMNS).where(*conditions).order_by(events.c.id.desc()).limit(limit).offset(offset)
    return [
        Event(
            organization_id,
            EventKind(row.kind),
            row.at,
            row.message_id,
            campaign_id=row.campaign_id,
            data=row.data,
            id=row.id,
        )
        for row in tx.execute(query)
    ]


def count(tx: Tx, organization_id: int, **narrowed: Unpack[Filter]) -> int:
    """How many there are, counted to COUNT_MAX."""
    return sum(count_by_kind(tx, organization_id, **narrowed).values())


def count_by_kind(tx: Tx, organization_id: int, **narrowed: Unpack[Filter]) -> dict[EventKind, int]:
    """How many of each kind are among the newest COUNT_MAX."""
    found = (
        select(events.c.kind)
        .where(*_conditions(tx, organization_id, narrowed))
        .order_by(events.c.id.desc())
        .limit(COUNT_MAX)
        .subquery()
    )
    rows = tx.execute(select(found.c.kind, func.count()).group_by(found.c.kind).order_by(found.c.kind))
    return {EventKind(kind): number for kind, number in rows}


_COLUMNS = (
    events.c.id, events.c.kind, events.c.at, events.c.message_id, events.c.campaign_id, events.c.data,
)  # fmt: skip


def _conditions(tx: Tx, organization_id: int, narrowed: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [events.c.organization_id == organization_id]
    if (ids := narrowed.get("message_ids")) is not None:
        conditions.append(events.c.message_id.in_(list(ids)))
    if (since := narrowed.get("since")) is not None:
        conditions += [events.c.at >= since, events.c.id >= id_floor(since - EARLY_MS)]
    if (until := narrowed.get("until")) is not None:
        conditions += [events.c.at < until, events.c.id < id_floor(until + LATE_MS)]
    if "kinds" in narrowed:
        conditions.append(events.c.kind.in_(sorted(int(kind) for kind in narrowed["kinds"])))
    if mail := narrowed.get("mail"):
        if (floor := _floor(tx, conditions)) is not None:
            conditions.append(events.c.id > floor)
        message_id: Any = events.c.message_id
        conditions.append(facets.match(organization_id, message_id, mail))
    return conditions


def _floor(tx: Tx, conditions: list[ColumnElement[bool]]) -> RowId | None:
    """The id past which a search does not look, where there are more than EXAMINED_MAX."""
    beyond = select(events.c.id).where(*conditions).order_by(events.c.id.desc()).offset(EXAMINED_MAX).limit(1)
    return tx.scalars(beyond).one_or_none()
