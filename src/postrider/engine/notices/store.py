"""The SQL of notices that were sent."""

from sqlalchemy import delete, select, tuple_

from postrider.db.database import Tx
from postrider.db.portable import insert_batch
from postrider.engine.notices.model import Kind
from postrider.engine.notices.tables import notices
from postrider.kit import clock

DROPPED_AT_ONCE = 500

_remember = insert_batch(
    notices, "organization_id", "source_id", "kind", "created_at",
    tail="ON CONFLICT DO NOTHING RETURNING source_id",
)  # fmt: skip


def remember(tx: Tx, organization_id: int, source_id: str, kind: Kind) -> bool:
    """Whether nobody had written about this cause before."""
    return bool(_remember(tx, [(organization_id, source_id, kind.value, clock.now_ms())]))


def drop_old(tx: Tx, before: int) -> int:
    """Forget causes from before `before`, DROPPED_AT_ONCE at most; answers how many."""
    table = notices.c
    key = (table.organization_id, table.source_id)
    old = select(*key).where(table.created_at < before).order_by(table.created_at).limit(DROPPED_AT_ONCE)
    return tx.execute(delete(notices).where(tuple_(*key).in_(old))).rowcount
