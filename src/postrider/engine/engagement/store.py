"""The SQL of hits."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select

from postrider.db.database import Tx
from postrider.db.portable import Statement, insert_batch
from postrider.engine.engagement.model import Hit, HitKind
from postrider.engine.engagement.tables import hits
from postrider.kit.ids import RowId

_insert = insert_batch(
    hits, "id", "organization_id", "message_id", "kind", "link", "at", "ip", "user_agent", "method",
    tail="ON CONFLICT DO NOTHING",
)  # fmt: skip
_COLUMNS = "organization_id, message_id, kind, link, ip, user_agent, method, at, id"
_due = Statement(
    f"SELECT {_COLUMNS} FROM hits WHERE at <= :at ORDER BY at LIMIT :limit {{skip_locked}}"  # noqa: S608
)
_after = Statement(f"SELECT {_COLUMNS} FROM hits WHERE at > :at ORDER BY at LIMIT :limit")  # noqa: S608
_senders = Statement("SELECT user_agent, ip FROM hits WHERE at <= :at ORDER BY at LIMIT :limit")


def insert_hits(tx: Tx, new: Sequence[Hit]) -> None:
    _insert(
        tx,
        [
            (h.id, h.organization_id, h.message_id, int(h.kind), h.link, h.at, h.ip, h.user_agent, h.method)
            for h in new
        ],
    )


def due(tx: Tx, at: int, limit: int) -> list[Hit]:
    """The oldest hits that came in until `at`; those that another node is recording are passed over."""
    return [_hit(*row) for row in _due(tx, at=at, limit=limit)]


def after(tx: Tx, at: int, limit: int) -> list[Hit]:
    """The first hits that came in after `at`."""
    return [_hit(*row) for row in _after(tx, at=at, limit=limit)]


def senders_before(tx: Tx, at: int, limit: int) -> list[tuple[str, str]]:
    """(user agent, address) of the oldest hits that came in until `at`."""
    return [(row[0], row[1]) for row in _senders(tx, at=at, limit=limit)]


def delete_hits(tx: Tx, ids: Sequence[RowId]) -> None:
    tx.execute(delete(hits).where(hits.c.id.in_(list(ids))))


def waiting(tx: Tx) -> int:
    return tx.execute(select(func.count()).select_from(hits)).scalar_one()


def _hit(
    organization_id: int,
    message_id: RowId,
    kind: int,
    link: int | None,
    ip: str,
    user_agent: str,
    method: str,
    at: int,
    hit_id: RowId,
) -> Hit:
    """A row of _COLUMNS."""
    return Hit(organization_id, message_id, HitKind(kind), link, ip, user_agent, method, at, hit_id)
