"""The SQL of traces: by message id, for whole batches."""

from collections.abc import Iterable

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.kit.ids import RowId
from postrider.kit.record import record


@record
class Trace:
    """Whom a message is for, of what it was made, and when what happened to it for the first time (ms)."""

    organization_id: int
    id: RowId
    address_key: str
    campaign_id: RowId | None
    content_id: RowId
    first_sent_at: int | None
    first_bounced_at: int | None
    first_opened_at: int | None
    first_clicked_at: int | None
    opens: int
    clicks: int
    first_delivered_at: int | None


_of = Batch(
    """SELECT m.organization_id, m.id, m.address_key, m.campaign_id, m.content_id, m.first_sent_at,
         m.first_bounced_at, m.first_opened_at, m.first_clicked_at, m.opens, m.clicks,
         m.first_delivered_at
       FROM v JOIN messages m ON m.organization_id = v.organization_id AND m.id = v.id""",
    organization_id=int,
    id=bytes,
)


def of(tx: Tx, ids: Iterable[tuple[int, RowId]]) -> dict[RowId, Trace]:
    """Traces by message id, of (organization, message) pairs."""
    return {row[1]: Trace(*row) for row in _of(tx, sorted(set(ids)))}
