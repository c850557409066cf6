"""Migrations, shipped in the package and run at start under a lock."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from postrider.db.database import Database

LOCK_NUMBER = 7_077_001  # of PostgreSQL's advisory lock
LOCK_TIMEOUT_MS = 30_000


def config(connection: Connection | None = None) -> Config:
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    found.attributes["connection"] = connection
    return found


def upgrade(db: Database) -> None:
    """Bring the store to this program's revision; a second node waits for the first."""
    with db.engine.connect() as connection:
        if db.is_sqlite:
            connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
            command.upgrade(config(connection), "head")
            return
        connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
        connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": LOCK_NUMBER})
        connection.commit()
        try:
            command.upgrade(config(connection), "head")
            connection.commit()
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": LOCK_NUMBER})
            connection.commit()


def is_current(db: Database) -> bool:
    """Whether the store has been migrated at all."""
    return inspect(db.engine).has_table("alembic_version")
