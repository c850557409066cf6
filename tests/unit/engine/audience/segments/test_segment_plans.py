"""No segment is found by reading other organizations' contacts or what belongs to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import insert
from tests.unit.engine.audience.segments.population import CAMPAIGNS, LINKS, LISTS, NOW

from postrider.db.database import Database, Tx
from postrider.engine.audience import segments
from postrider.engine.audience.segments import parse
from postrider.engine.audience.tables import (
    contact_tags,
    contacts,
    engagements,
    list_contacts,
    property_values,
    segment_contacts,
)
from postrider.engine.principal import Principal
from postrider.kit.ids import new_id

ROWS, ORGANIZATIONS = 20_000, 50
TABLES = (contacts, contact_tags, list_contacts, property_values, engagements, segment_contacts)
ASKED: tuple[dict[str, Any], ...] = (
    {"field": "status", "op": "equals", "value": "subscribed"},
    {"field": "city", "op": "contains", "value": "a"},
    {"field": "email", "op": "equals", "value": "ann@example.com"},
    {"field": "score", "op": "greater", "value": 50},
    {"field": "tags", "op": "in", "value": ["vip"]},
    {"field": "tags", "op": "not_contains", "value": ["vi"]},
    {"field": "lists", "op": "not_in", "value": [LISTS[0].hex()]},
    {"field": "segments", "op": "in", "value": [LISTS[0].hex()]},
    {"field": "property", "key": "plan", "op": "equals", "value": "pro"},
    {"field": "property", "key": "plan", "op": "less", "value": 5},
    {"field": "property", "key": "plan", "op": "contains", "value": "r"},
    {"field": "property", "key": "plan", "op": "not_exists"},
    {"field": "opened", "op": "at_least", "value": 1, "days": 7, "humans_only": True},
    {"field": "opened", "op": "at_least", "value": 2, "days": 90},
    {"field": "sent", "op": "exactly", "value": 0, "campaigns": [CAMPAIGNS[0].hex()]},
    {"field": "clicked", "op": "at_least", "value": 1, "link": LINKS[0]},
)


def fill(tx: Tx) -> None:
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for number in range(ROWS):
        organization_id, contact_id, other_id = 100 + number % ORGANIZATIONS, new_id(), new_id()
        owned = {"organization_id": organization_id, "contact_id": contact_id}
        email = f"r{number}@example.com"
        rows[contacts].append(
            {
                "organization_id": organization_id, "id": contact_id, "email": email, "address_key": email,
                "source": "api", "status": 1, "score": number % 100, "search_text": "", "created_at": NOW,
                "updated_at": NOW,
            }
        )  # fmt: skip
        rows[contact_tags].append({**owned, "tag_id": other_id, "created_at": NOW})
        rows[list_contacts].append({**owned, "list_id": other_id, "created_at": NOW})
        rows[segment_contacts].append({**owned, "segment_id": other_id})
        rows[property_values].append({**owned, "key_number": 1, "value": b" pro"})
        rows[engagements].append(
            {
                **owned, "kind": 1 + number % 3, "event_id": new_id(), "at": NOW - number,
                "message_id": other_id, "campaign_id": other_id, "link": LINKS[0],
            }
        )  # fmt: skip
    for table, its in rows.items():
        tx.execute(insert(table), its)


@contextmanager
def plans(database: Database) -> Iterator[list[str]]:
    """Those of the SELECTs that are asked meanwhile."""
    found = list[str]()

    def listen(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            asked = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
            rows = connection.connection.driver_connection.execute(asked + statement, parameters).fetchall()
            found.append("\n".join(str(row) for row in rows))

    sqlalchemy_event.listen(database.engine, "before_cursor_execute", listen)
    yield found
    sqlalchemy_event.remove(database.engine, "before_cursor_execute", listen)


async def test_no_segment_is_found_by_a_scan(database: Database) -> None:
    principal = Principal(100)
    database.write_now(fill)
    with database.engine.connect() as tx:
        tx.exec_driver_sql("ANALYZE")
        tx.commit()
    with plans(database) as found:
        for condition in ASKED:
            criteria = parse({"items": [condition]})
            database.read_now(segments.count, principal, criteria)
            database.read_now(segments.matching, principal.organization_id, criteria, limit=1_000)
        segment = database.write_now(segments.create, principal, "All", parse({"items": list(ASKED)}))
        await segments.refresh(database, principal, segment.id)
        database.read_now(segments.members, principal, segment.id, limit=10)
    assert len(found) >= 2 * len(ASKED) + 3
    for plan in found:
        for table in TABLES:
            assert f"SCAN {table.name}" not in plan, plan
            assert f"Seq Scan on {table.name}" not in plan, plan


def test_a_list_that_was_filled_a_moment_ago_is_not_compared_one_by_one(database: Database) -> None:
    """Nobody has counted its rows yet: to a planner that takes two tables for empty all ways are short."""
    criteria = parse(
        {
            "items": [
                {"field": "status", "op": "equals", "value": "subscribed"},
                {"field": "lists", "op": "in", "value": [LISTS[0].hex()]},
            ]
        }
    )
    with plans(database) as found:
        database.read_now(segments.count, Principal(100), criteria)
        database.read_now(segments.matching, 100, criteria, limit=1_000)
    assert len(found) == 2
    assert not [plan for plan in found if "Nested Loop" in plan]
