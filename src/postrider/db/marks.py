"""What an installation knows of itself, by name: written once, the same for all its nodes."""

from sqlalchemy import insert, select

from postrider.db.database import Tx
from postrider.db.tables import installation


def remember(tx: Tx, key: str, value: str) -> str:
    """The value kept under `key`, which is `value` where there was none."""
    kept = tx.execute(select(installation.c.value).where(installation.c.key == key)).scalar_one_or_none()
    if kept is not None:
        return str(kept)
    tx.execute(insert(installation).values(key=key, value=value))
    return value
