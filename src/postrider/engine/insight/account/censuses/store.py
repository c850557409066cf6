"""The SQL of a census: contacts in the order of their ids, slice by slice; and what the last one found."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import select

from postrider.db.database import Tx
from postrider.db.portable import Batch, Statement
from postrider.engine.audience.model import EngagementKind
from postrider.engine.insight.account.tables import contact_censuses
from postrider.kit import json
from postrider.kit.ids import RowId, id_floor


class Counted(NamedTuple):
    """What a census asks of a contact."""

    id: RowId
    status: int
    source: str
    last_activity_at: int | None


_slice = Statement(
    """SELECT id, status, source, last_activity_at FROM contacts
       WHERE organization_id = :organization_id AND id > :after ORDER BY id LIMIT :limit"""
)
_past = Statement(
    "SELECT 1 FROM contacts WHERE organization_id = :organization_id ORDER BY id LIMIT 1 OFFSET :skipped"
)
_times = Batch(
    f"""SELECT v.contact_id, COUNT(*) FROM v JOIN engagements e ON e.organization_id = v.organization_id
          AND e.kind IN ({int(EngagementKind.OPENED)}, {int(EngagementKind.CLICKED)})
          AND e.contact_id = v.contact_id AND e.event_id >= v.first AND e.at >= v.since
        WHERE e.is_human IS NULL OR e.is_human <> 0 GROUP BY v.contact_id""",  # noqa: S608
    organization_id=int,
    contact_id=bytes,
    first=bytes,
    since=int,
)
_put = Statement(
    """INSERT INTO contact_censuses (organization_id, counts, taken_at)
       VALUES (:organization_id, :counts, :taken_at)
       ON CONFLICT (organization_id) DO UPDATE SET counts = excluded.counts, taken_at = excluded.taken_at"""
)


def part(tx: Tx, organization_id: int, after: RowId, limit: int) -> list[Counted]:
    rows = _slice(tx, organization_id=organization_id, after=after, limit=limit)
    return [Counted(*row) for row in rows]


def has_more_than(tx: Tx, organization_id: int, contacts: int) -> bool:
    return bool(_past(tx, organization_id=organization_id, skipped=contacts))


def times(
    tx: Tx, organization_id: int, contacts: Iterable[RowId], *, since: int, skew_ms: int
) -> dict[RowId, int]:
    """How often contacts opened or clicked since a time (ms), scanners' doings aside; never: no key."""
    first = id_floor(since - skew_ms)
    return dict(_times(tx, [(organization_id, each, first, since) for each in contacts]))


def put(tx: Tx, organization_id: int, counts: dict[str, Any], taken_at: int) -> None:
    _put(tx, organization_id=organization_id, counts=json.dumps(counts), taken_at=taken_at)


def last(tx: Tx, organization_id: int) -> tuple[dict[str, Any], int] | None:
    """The last one: what was counted, and when."""
    table = contact_censuses.c
    query = select(table.counts, table.taken_at).where(table.organization_id == organization_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else (row.counts, row.taken_at)
