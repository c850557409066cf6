"""The SQL of bounces and complaints. Both reach as far back as the journal is kept."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypedDict

from sqlalchemy import (
    ColumnElement,
    Select,
    SmallInteger,
    Subquery,
    Text,
    and_,
    func,
    literal_column,
    select,
    type_coerce,
    union_all,
)

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.engine import messages
from postrider.engine.journal.model import Event, EventKind
from postrider.engine.journal.tables import events
from postrider.engine.messages import LastOutcome
from postrider.kit import json
from postrider.kit.ids import RowId

COUNT_MAX = 100_000  # as far as the log is counted

Address = tuple[int, str]  # organization, address key


class Class(StrEnum):
    """What the log tells apart."""

    HARD = "hard"
    SOFT = "soft"
    BLOCK = "block"
    COMPLAINT = "complaint"


class Filter(TypedDict, total=False):
    """What the log may be narrowed to; times in ms, the end not included."""

    class_: Class | None
    address_key: str | None
    domain_id: RowId | None
    since: int | None
    until: int | None


_bounces_of = Batch(
    """SELECT e.organization_id, e.message_id, e.data FROM v
       JOIN events e ON e.organization_id = v.organization_id AND e.message_id = v.message_id
       WHERE e.kind = v.kind""",
    organization_id=int,
    message_id=bytes,
    kind=int,
)
_ends = Batch(
    f"""SELECT e.kind, e.at, e.message_id, e.data, e.id FROM v
        JOIN events m ON m.organization_id = v.organization_id AND m.message_id = v.message_id
        JOIN events e ON e.organization_id = m.organization_id AND e.id = m.id
        WHERE e.kind IN ({int(EventKind.BOUNCED)}, {int(EventKind.FAILED)})""",  # noqa: S608
    organization_id=int,
    message_id=bytes,
)


def ends(tx: Tx, organization_id: int, message_ids: Sequence[RowId]) -> dict[RowId, Event]:
    """Why messages did not arrive: the last event of each that says so, of a bounce or of giving up."""
    rows = _ends(tx, [(organization_id, message_id) for message_id in message_ids])
    found = {}
    for kind, at, message_id, data, event_id in sorted(rows, key=lambda row: row[4]):
        facts = json.loads(data) if data else None
        found[message_id] = Event(organization_id, EventKind(kind), at, message_id, data=facts, id=event_id)
    return found


def page(tx: Tx, organization_id: int, *, limit: int, offset: int, narrowed: Filter) -> list[Event]:
    """Events of bounces and complaints, those recorded last first."""
    columns = (events.c.id, events.c.kind, events.c.at, events.c.message_id, events.c.data)
    # Each kind by itself comes in the order of its index; together they would have to be sorted.
    found = []
    for kind in _kinds(narrowed):
        ids = _ids(organization_id, kind)
        some = _of(ids, columns).where(*_conditions(organization_id, narrowed))
        found.append(some.order_by(ids.c.id.desc()).limit(limit + offset).subquery())
    every = union_all(*(select(each) for each in found)).subquery()
    rows = tx.execute(select(every).order_by(every.c.id.desc()).limit(limit).offset(offset))
    return [
        Event(organization_id, EventKind(row.kind), row.at, row.message_id, data=row.data, id=row.id)
        for row in rows
    ]


def count(tx: Tx, organization_id: int, narrowed: Filter) -> int:
    """How many the log has, counted to COUNT_MAX."""
    conditions = _conditions(organization_id, narrowed)
    counted = 0
    for kind in _kinds(narrowed):
        ids = _ids(organization_id, kind)
        some = _of(ids, [events.c.id]).where(*conditions) if conditions else select(ids.c.id)
        found = some.limit(COUNT_MAX - counted).subquery()
        counted += tx.execute(select(func.count()).select_from(found)).scalar_one()
    return counted


def soft_in_a_row(tx: Tx, addresses: Sequence[Address], since: int, enough: int) -> set[Address]:
    """The addresses to which `enough` messages bounced softly since then, without a delivery between.

    A delivery that a bounce took back is none. An address's last messages are looked at, a hundred.
    """
    found: dict[Address, list[LastOutcome]] = defaultdict(list)
    for outcome in messages.last_outcomes(tx, addresses):
        found[outcome.organization_id, outcome.address_key].append(outcome)
    candidates = {
        (address[0], id_): address
        for address, outcomes in found.items()
        if len(ids := _bounced_last(outcomes, since)) >= enough
        for id_ in ids
    }
    if not candidates:
        return set()
    rows = _bounces_of(tx, [(*message, int(EventKind.BOUNCED)) for message in candidates])
    soft = {(row[0], row[1]) for row in rows if row[2] and json.loads(row[2]).get("class") == Class.SOFT}
    counts = Counter(candidates[message] for message in soft)
    return {address for address, times in counts.items() if times >= enough}


def _bounced_last(outcomes: Sequence[LastOutcome], since: int) -> list[RowId]:
    """The messages that bounced since then and after the last delivery."""
    delivered = [
        each.first_delivered_at
        for each in outcomes
        if each.first_delivered_at and (each.first_bounced_at or 0) < each.first_delivered_at
    ]
    after = max(since - 1, *delivered, 0)
    return [each.id for each in outcomes if (each.first_bounced_at or 0) > after]


def _ids(organization_id: int, kind: EventKind) -> Subquery:
    """The events of a kind by ids alone, newest first: so that SQLite too sees that the index has them."""
    ours = events.alias()
    is_ours = ours.c.organization_id == organization_id
    # As ix_events_bounces and ix_events_complaints say it: by a parameter nobody sees that they fit.
    is_kind = ours.c.kind == literal_column(str(int(kind)), SmallInteger)
    found = select(ours.c.organization_id, ours.c.id).where(is_ours, is_kind)
    return found.order_by(ours.c.id.desc()).subquery()


def _of(ids: Subquery, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    its_key = and_(events.c.organization_id == ids.c.organization_id, events.c.id == ids.c.id)
    return select(*columns).join_from(ids, events, its_key)


def _conditions(organization_id: int, narrowed: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    class_ = narrowed.get("class_")
    if class_ is not None and class_ is not Class.COMPLAINT:
        # Compact JSON of our own writing: within a text of it the quotes would be escaped.
        data: Any = type_coerce(events.c.data, Text)
        conditions.append(data.like(f'%"class":"{class_.value}"%'))
    facts = {name: narrowed.get(name) for name in ("address_key", "domain_id")}
    if any(fact is not None for fact in facts.values()):
        narrow: Any = facts
        conditions.append(events.c.message_id.in_(messages.ids_of(organization_id, **narrow)))
    if (since := narrowed.get("since")) is not None:
        conditions.append(events.c.at >= since)
    if (until := narrowed.get("until")) is not None:
        conditions.append(events.c.at < until)
    return conditions


def _kinds(narrowed: Filter) -> list[EventKind]:
    match narrowed.get("class_"):
        case None:
            return [EventKind.BOUNCED, EventKind.COMPLAINED]
        case Class.COMPLAINT:
            return [EventKind.COMPLAINED]
        case _:
            return [EventKind.BOUNCED]
