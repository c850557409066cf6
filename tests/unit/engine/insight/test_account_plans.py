"""Reports on an account and credit for a conversion read the rows of their time, by key."""

from collections.abc import Callable
from typing import Any

import pytest

from postrider.db.database import Database, Tx
from postrider.engine.audience.model import EngagementKind
from postrider.engine.insight.account import store
from postrider.engine.insight.account.censuses import store as censuses
from postrider.engine.insight.account.model import Trait
from postrider.engine.insight.coarse import pieces_of
from postrider.engine.insight.conversions import store as orders
from postrider.engine.insight.conversions.model import Kind
from postrider.kit import clock
from postrider.kit.ids import new_id

ID = new_id()
PIECES = list(pieces_of(15 * clock.MINUTE, 400 * clock.DAY + clock.HOUR, store.STEPS))
TRAITS = list(pieces_of(15 * clock.MINUTE, 400 * clock.DAY + clock.HOUR, store.TRAIT_STEPS))
ASKED: dict[str, Callable[[Tx], Any]] = {
    "mail": lambda tx: store.mail(tx, 1, PIECES),
    "hours": lambda tx: store.mail_by_hour(tx, 1, [(0, 400 * clock.DAY, 0)]),
    "traits": lambda tx: store.traits(tx, 1, Trait.CITY, TRAITS),
    "changes": lambda tx: store.changes(tx, 1, PIECES),
    "campaigns": lambda tx: store.campaigns_begun(tx, 1, since=0, until=clock.DAY),
    "a part of a census": lambda tx: censuses.part(tx, 1, ID, 1_000),
    "who did much": lambda tx: censuses.times(tx, 1, [ID, new_id()], since=5, skew_ms=1),
    "the last click": lambda tx: orders.touched(tx, 1, ID, EngagementKind.CLICKED, since=5, until=9),
    "revenue": lambda tx: orders.by_span(tx, 1, PIECES, "USD"),
    "revenue of campaigns": lambda tx: orders.by_campaign(tx, 1, PIECES, "USD"),
    "totals": lambda tx: orders.totals(tx, 1, [ID, new_id()], "USD"),
    "an order": lambda tx: orders.of_campaign(tx, 1, ID, PIECES, "USD").get(Kind.ORDER),
    "who is gone": lambda tx: orders.forget(tx, [(1, ID)]),
}
WHOLE = ("(organization_id=?)", "(organization_id=? AND step_ms=?)", "(organization_id=? AND kind=?)")


OF_THE_STATEMENT = ("SCAN v", "SCAN r", "SCAN CONSTANT ROW", "SCAN 2 CONSTANT ROWS")  # and no table's


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ASKED)
def test_only_the_rows_of_the_time_are_read(database: Database, name: str) -> None:
    def plans(tx: Tx) -> list[str]:
        driver: Any = tx.connection.driver_connection
        statements: list[str] = []
        driver.set_trace_callback(statements.append)
        ASKED[name](tx)
        driver.set_trace_callback(None)
        asked = [each for each in statements if each.lstrip().startswith(("SELECT", "WITH"))]
        rows = [row for each in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {each}")]
        return [str(row[3]) for row in rows]

    said = database.write_now(plans)
    assert any("SEARCH" in step for step in said), said
    tables = [step for step in said if step.startswith("SEARCH")]
    assert not [step for step in tables if step.endswith(WHOLE)], said
    assert not [step for step in said if step.startswith("SCAN") and not step.startswith(OF_THE_STATEMENT)], (
        said
    )
