"""Wakes workers on other nodes by PostgreSQL's NOTIFY. The tables are the truth: a lost one costs a pause."""

import asyncio
import threading
from collections.abc import Callable

import psycopg

from postrider.db.database import Database, Tx

CHANNEL = "postrider"
POLL_S = 1.0
RECONNECT_S = 2.0


def announce(tx: Tx) -> None:
    """Tell the other nodes, when this transaction commits, that mail is due; a lone SQLite node knows."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"NOTIFY {CHANNEL}")


class Listener:
    """A thread that calls `on_notice` on the loop for each notice, and connects again when it must."""

    def __init__(self, db: Database, on_notice: Callable[[], None]) -> None:
        self._url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._on_notice = on_notice
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="db-notices", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=5) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._hear(connection)
            except psycopg.Error:
                self._stopping.wait(RECONNECT_S)

    def _hear(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        while not self._stopping.is_set():
            for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                self._loop.call_soon_threadsafe(self._on_notice)
