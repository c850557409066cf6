"""What is asked of messages' events reads these events only, however long the organization's journal is."""

from collections.abc import Callable
from typing import Any

import pytest

from postrider.db.database import Database, Tx
from postrider.engine import journal
from postrider.engine.journal import Event, EventKind, store
from postrider.kit.ids import new_id

ID = new_id()
ASKED: dict[str, Callable[[Tx], Any]] = {
    "the timeline": lambda tx: store.of_messages(tx, 1, [ID, new_id()]),
    "ties": lambda tx: store.at_the_moment_of(tx, [Event(1, EventKind.OPENED, 5, ID)]),
    "hits": lambda tx: store.hits_since(tx, [(1, ID, bytes(16))]),
    "how often": lambda tx: store.times(tx, 1, ID, EventKind.OPENED),
    "what followers left": lambda tx: journal.not_followed(tx, 1, 1, among=[ID]),
}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ASKED)
def test_only_the_messages_own_events_are_read(database: Database, name: str) -> None:
    def plans(tx: Tx) -> list[str]:
        driver: Any = tx.connection.driver_connection
        statements: list[str] = []
        driver.set_trace_callback(statements.append)
        ASKED[name](tx)
        driver.set_trace_callback(None)
        rows = [row for each in statements for row in driver.execute(f"EXPLAIN QUERY PLAN {each}")]
        return [str(row[3]) for row in rows]

    said = database.read_now(plans)
    assert any("ix_events_message" in step or "id=?" in step for step in said), said
    assert not [step for step in said if step.endswith("(organization_id=?)") or step.startswith("SCAN e")], (
        said
    )
