"""The SQL of one person's events. Nothing else ever changes an event; what is counted stays as it was."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.engine.journal.model import Event, EventKind
from postrider.engine.journal.tables import events
from postrider.kit import json
from postrider.kit.ids import RowId

EVENTS_MAX = 10_000  # of the messages of one call
PERSONAL = frozenset({"ip", "user_agent", "place", "reply", "feedback", "lists", "email", "recipient"})
# What a person wrote; elsewhere a reason is a word of ours.
_WORDS = {EventKind.UNSUBSCRIBED: "reason", EventKind.CONTACT_SUBSCRIBED: "reason"}
_COLUMNS = tuple(
    events.c[name]
    for name in (
        "organization_id", "kind", "at", "message_id", "contact_id", "campaign_id", "data", "source_id", "id",
    )
)  # fmt: skip
_forget = Batch(
    """UPDATE events SET data = v.data, contact_id = NULL FROM v
       WHERE events.organization_id = v.organization_id AND events.id = v.id""",
    organization_id=int,
    id=bytes,
    data=str,
)


class Walked(NamedTuple):
    """What a stretch of the journal held; `last` is where the next one begins, None at the end."""

    found: list[Event]
    last: RowId | None


def of_messages(tx: Tx, organization_id: int, message_ids: Sequence[RowId]) -> list[Event]:
    """As they were recorded, oldest first, EVENTS_MAX at most."""
    table = events.c
    ids = select(table.id).where(
        table.organization_id == organization_id, table.message_id.in_(list(message_ids))
    )
    query = select(*_COLUMNS).where(table.organization_id == organization_id, table.id.in_(ids))
    return [_event(row) for row in tx.execute(query.order_by(table.id).limit(EVENTS_MAX))]


def of_contact(tx: Tx, organization_id: int, contact_id: RowId, *, after: RowId, stretch: int) -> Walked:
    """Events that name a contact, among the next `stretch` of its organization past the id `after`."""
    table = events.c
    query = (
        select(table.id, table.contact_id)
        .where(table.organization_id == organization_id, table.id > after)
        .order_by(table.id)
        .limit(stretch)
    )
    rows = tx.execute(query).fetchall()
    ids = [row.id for row in rows if row.contact_id == contact_id]
    last = rows[-1].id if len(rows) == stretch else None
    if not ids:
        return Walked([], last)
    whole = select(*_COLUMNS).where(table.organization_id == organization_id, table.id.in_(ids))
    return Walked([_event(row) for row in tx.execute(whole.order_by(table.id))], last)


def anonymise(tx: Tx, organization_id: int, given: Sequence[Event]) -> None:
    """What happened, when, and what it is counted by stays; who it was goes."""
    if given:
        _forget(tx, [(organization_id, event.id, json.dumps(_kept(event))) for event in given])


def _kept(event: Event) -> Mapping[str, Any]:
    gone = PERSONAL | {_WORDS.get(event.kind, "")}
    return {name: value for name, value in (event.data or {}).items() if name not in gone}


def _event(row: Any) -> Event:
    return Event(row[0], EventKind(row[1]), *row[2:])
