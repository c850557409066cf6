"""The SQL of hits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import insert_batch
from postrider.engine.engagement.tables import hits
from postrider.kit.ids import RowId

if TYPE_CHECKING:
    from postrider.engine.engagement.intake import Hit

_insert = insert_batch(
    hits, "id", "organization_id", "message_id", "kind", "link", "at", "ip", "user_agent", "method",
    tail="ON CONFLICT DO NOTHING",
)  # fmt: skip


def insert_hits(tx: Tx, new: "Sequence[Hit]") -> None:
    _insert(
        tx,
        [
            (h.id, h.organization_id, h.message_id, int(h.kind), h.link, h.at, h.ip, h.user_agent, h.method)
            for h in new
        ],
    )


def hits_before(tx: Tx, at: int, limit: int) -> list[AnyRow]:
    """The oldest hits that came in before `at`."""
    return list(tx.execute(select(hits).where(hits.c.at <= at).order_by(hits.c.at).limit(limit)))


def delete_hits(tx: Tx, ids: Sequence[RowId]) -> None:
    tx.execute(delete(hits).where(hits.c.id.in_(list(ids))))


def waiting(tx: Tx) -> int:
    return tx.execute(select(func.count()).select_from(hits)).scalar_one()
