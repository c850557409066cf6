"""The SQL of a contact's time line: pages of events by the indexes of messages and of contacts."""

from collections.abc import Collection
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, func, select, union_all

from postrider.db.database import AnyRow, Tx
from postrider.engine import messages
from postrider.engine.journal import Event, EventKind
from postrider.engine.journal.tables import events
from postrider.kit.ids import RowId
from postrider.kit.record import record

COUNT_MAX = 100_000  # as far as a time line is counted

_COLUMNS = (
    events.c.organization_id, events.c.kind, events.c.at, events.c.message_id, events.c.contact_id,
    events.c.campaign_id, events.c.data, events.c.source_id, events.c.id,
)  # fmt: skip


@record
class Part:
    """Which part of a time line is asked for; `after`: the id of the last event seen."""

    kinds: Collection[EventKind]
    limit: int
    after: RowId | None = None
    is_newest_first: bool = False


def of_mail(tx: Tx, organization_id: int, address_key: str, part: Part, *, mails: int) -> list[Event]:
    """Events of the newest `mails` messages to an address, in the order they were recorded."""
    return _page(tx, organization_id, _of_mail(organization_id, address_key, mails), part)


def of_contact(tx: Tx, organization_id: int, contact_id: RowId, part: Part) -> list[Event]:
    """As of_mail, of what befell the contact itself."""
    return _page(tx, organization_id, _of_contact(contact_id), part)


def count(
    tx: Tx,
    organization_id: int,
    address_key: str,
    contact_id: RowId,
    *,
    kinds: Collection[EventKind],
    mails: int,
) -> int:
    """How many events there are in all parts, counted to COUNT_MAX."""
    ids = [
        _ids(organization_id, whose)
        for whose in (_of_mail(organization_id, address_key, mails), _of_contact(contact_id))
    ]
    found = select(events.c.id).where(
        events.c.organization_id == organization_id,
        events.c.id.in_(union_all(*ids)),
        events.c.kind.in_(sorted(int(kind) for kind in kinds)),
    )
    return tx.execute(select(func.count()).select_from(found.limit(COUNT_MAX).subquery())).scalar_one()


def _of_mail(organization_id: int, address_key: str, mails: int) -> ColumnElement[bool]:
    newest = messages.ids_of(organization_id, address_key=address_key)
    message_id: Any = events.c.message_id
    return cast(
        "ColumnElement[bool]",
        message_id.in_(newest.order_by(newest.selected_columns[0].desc()).limit(mails)),
    )


def _of_contact(contact_id: RowId) -> ColumnElement[bool]:
    return events.c.contact_id == contact_id


def _page(tx: Tx, organization_id: int, whose: ColumnElement[bool], part: Part) -> list[Event]:
    ids, own = _ids(organization_id, whose), events.c.id
    if part.after is not None:
        ids = ids.where(own < part.after if part.is_newest_first else own > part.after)
    query = select(*_COLUMNS).where(
        events.c.organization_id == organization_id,
        own.in_(ids),
        events.c.kind.in_(sorted(int(kind) for kind in part.kinds)),
    )
    order = own.desc() if part.is_newest_first else own
    return [_event(row) for row in tx.execute(query.order_by(order).limit(part.limit))]


def _ids(organization_id: int, whose: ColumnElement[bool]) -> Select[tuple[RowId]]:
    """By the index alone: else SQLite prefers the primary key, all of an organization."""
    return select(events.c.id).where(events.c.organization_id == organization_id, whose)


def _event(row: AnyRow) -> Event:
    return Event(row[0], EventKind(row[1]), *row[2:])
