"""The SQL of checks that are counted."""

from sqlalchemy import select

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.engine.deliverability.tables import checks_used

_add_month = Batch(
    """INSERT INTO checks_used (organization_id, month, kind, used)
       SELECT v.organization_id, v.month, v.kind, 0 FROM v WHERE true ON CONFLICT DO NOTHING""",
    organization_id=int,
    month=int,
    kind=str,
)
_use = Batch(
    """UPDATE checks_used SET used = checks_used.used + v.amount FROM v
       WHERE checks_used.organization_id = v.organization_id AND checks_used.month = v.month
         AND checks_used.kind = v.kind AND checks_used.used + v.amount <= v.allowed
       RETURNING checks_used.used""",
    organization_id=int,
    month=int,
    kind=str,
    amount=int,
    allowed=int,
)


def use(tx: Tx, organization_id: int, month: int, kind: str, *, amount: int, allowed: int) -> int | None:
    """Count them; how many are used then, or None where the month has no room for all of them.

    One update with the limit in its WHERE: requests at one time cannot pass it together.
    """
    row = (organization_id, month, kind)
    used = _use(tx, [(*row, amount, allowed)])
    if not used:
        _add_month(tx, [row])
        used = _use(tx, [(*row, amount, allowed)])
    return int(used[0][0]) if used else None


def used(tx: Tx, organization_id: int, month: int, kind: str) -> int:
    table = checks_used.c
    found = tx.execute(
        select(table.used).where(
            table.organization_id == organization_id, table.month == month, table.kind == kind
        )
    ).scalar()
    return found or 0
