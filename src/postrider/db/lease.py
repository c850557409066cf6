"""Who is alive. A heartbeat renews a worker's one row; what it holds bears its id and is free when that ends.

A node (one DATA_DIR) is locked by its process, so what an earlier process of the same node held is free at
once.
"""

from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update

from postrider.db.database import Tx
from postrider.db.tables import workers
from postrider.kit import clock

LEASE_MS = 60 * clock.SECOND
HEARTBEAT_MS = 20 * clock.SECOND


@dataclass(frozen=True, slots=True)
class Worker:
    id: str
    node: str


def register(tx: Tx, worker: Worker, roles: str) -> list[str]:
    """Enter this worker; answers the dead: the ids of this node's earlier processes and of ended leases."""
    now = clock.now_ms()
    dead = [row.id for row in tx.execute(select(workers.c.id).where(workers.c.node == worker.node))]
    dead += expired(tx)
    if dead:
        tx.execute(delete(workers).where(workers.c.id.in_(dead)))
    tx.execute(
        insert(workers).values(
            id=worker.id, node=worker.node, roles=roles, started_at=now, leased_until=now + LEASE_MS
        )
    )
    return sorted(set(dead))


def renew(tx: Tx, worker: Worker) -> bool:
    """One heartbeat. False: the lease had ended and others may hold what was ours."""
    now = clock.now_ms()
    renewed = tx.execute(
        update(workers)
        .where(workers.c.id == worker.id, workers.c.leased_until >= now)
        .values(leased_until=now + LEASE_MS)
    )
    return bool(renewed.rowcount)


def bury(tx: Tx) -> list[str]:
    """Strike out the workers whose leases ended; answers their ids."""
    dead = expired(tx)
    if dead:
        tx.execute(delete(workers).where(workers.c.id.in_(dead)))
    return dead


def expired(tx: Tx) -> list[str]:
    rows = tx.execute(select(workers.c.id).where(workers.c.leased_until < clock.now_ms()))
    return [row.id for row in rows]


def leave(tx: Tx, worker: Worker) -> None:
    tx.execute(delete(workers).where(workers.c.id == worker.id))


def ping(tx: Tx) -> int:
    """How many workers the store knows: it answers, so it is there."""
    return tx.execute(select(func.count()).select_from(workers)).scalar_one()
