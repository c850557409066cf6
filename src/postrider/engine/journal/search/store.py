"""The SQL of searching the journal. A search looks at the messages of EXAMINED_MAX events, the newest ones.

Ids tell when an event was recorded, which is soon after it happened: so times bound the part of the key that
is read, and no index by time is kept beside it.
"""

from collections.abc import Collection, Sequence
from typing import Any, TypedDict, Unpack

from sqlalchemy import ColumnElement, Text, func, literal, or_, select, type_coerce

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import hex_of
from postrider.engine.journal.corrections import HITS, SOURCE, Whose, corrected
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
    """What events may be narrowed to; times in ms, the end not included; empty collections match nothing.

    `whose`: human leaves out openings and clicks that are not known to be; a scanner's are all that is left.
    """

    kinds: Collection[EventKind]
    since: int | None
    until: int | None
    message_ids: Collection[RowId] | None
    mail: facets.Filter
    whose: Whose | None


def page(
    tx: Tx,
    organization_id: int,
    *,
    limit: int,
    before: RowId | None = None,
    offset: int = 0,
    **narrowed: Unpack[Filter],
) -> list[Event]:
    """Events, those recorded last first, hits as judged now; `before` is the id of the last one seen."""
    conditions = _conditions(tx, organization_id, narrowed)
    if before is not None:
        conditions.append(events.c.id < before)
    query = select(*_COLUMNS).where(*conditions).order_by(events.c.id.desc()).limit(limit).offset(offset)
    found = [_event(organization_id, row) for row in tx.execute(query)]
    return corrected(found, _corrections(tx, organization_id, found))


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


def _event(organization_id: int, row: AnyRow) -> Event:
    return Event(
        organization_id,
        EventKind(row.kind),
        row.at,
        row.message_id,
        campaign_id=row.campaign_id,
        data=row.data,
        id=row.id,
    )


def _corrections(tx: Tx, organization_id: int, found: Sequence[Event]) -> list[Event]:
    ids = {event.message_id for event in found if event.kind in HITS and event.message_id is not None}
    if not ids:
        return []
    query = select(*_COLUMNS).where(
        events.c.organization_id == organization_id,
        events.c.message_id.in_(list(ids)),
        events.c.kind == int(EventKind.RECLASSIFIED),
    )
    return [_event(organization_id, row) for row in tx.execute(query.order_by(events.c.id))]


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
    mail, who = narrowed.get("mail"), narrowed.get("whose")
    if (mail or who is not None) and (floor := _floor(tx, conditions)) is not None:
        conditions.append(events.c.id > floor)
    if who is not None:
        conditions.append(_is_of(tx, organization_id, who))
    if mail:
        message_id: Any = events.c.message_id
        conditions.append(facets.match(organization_id, message_id, mail))
    return conditions


def _is_of(tx: Tx, organization_id: int, who: Whose) -> ColumnElement[bool]:
    """Told from the event's own words, unless a correction is there: its source_id has the event's id."""
    is_hit = events.c.kind.in_([int(kind) for kind in HITS])
    said = type_coerce(events.c.data, Text)
    event_id: Any = events.c.id
    source_id = literal(f"{SOURCE}:") + hex_of(tx, event_id) + ":"
    if who is Whose.HUMAN:
        moved = or_(*(_exists(organization_id, source_id + now.value) for now in _MOVED))
        return or_(~is_hit, said.contains(_SAYS[who]) & ~moved)
    return is_hit & or_(said.contains(_SAYS[who]), _exists(organization_id, source_id + who.value))


_MOVED = (Whose.SUSPICIOUS, Whose.SCANNER)
_SAYS = {Whose.HUMAN: '"human":true', Whose.SCANNER: '"human":false'}


def _exists(organization_id: int, source_id: ColumnElement[str]) -> ColumnElement[bool]:
    other = events.alias()
    query = select(other.c.id).where(
        other.c.organization_id == organization_id, other.c.source_id == source_id
    )
    return query.exists()


def _floor(tx: Tx, conditions: list[ColumnElement[bool]]) -> RowId | None:
    """The id past which a search does not look, where there are more than EXAMINED_MAX."""
    beyond = select(events.c.id).where(*conditions).order_by(events.c.id.desc()).offset(EXAMINED_MAX).limit(1)
    return tx.scalars(beyond).one_or_none()
