"""A batch of posts is loaded with one query a table, whoever it is for; logs are read by key."""

from typing import Any

import pytest
from sqlalchemy import text
from tests.factories import make_account, make_domain
from tests.unit.engine.insight.world import World

from postrider.app import FORMATS
from postrider.db.database import Database, Tx
from postrider.engine import messages, webhooks
from postrider.engine.journal import EventKind
from postrider.engine.webhooks import deliver
from postrider.engine.webhooks.deliver import Leased
from postrider.engine.webhooks.tables import webhook_attempts
from postrider.kit import clock, json
from postrider.kit.seal import MASTER_KEY_BYTES, Sealer

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
FORMAT = FORMATS["octeth"]


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(bytes(MASTER_KEY_BYTES))


def prepare(database: Database, sealer: Sealer, name: str) -> World:
    """An organization with a webhook for deliveries, and one delivery."""
    account = make_account(database, sealer, email=f"owner@{name}")
    domain = make_domain(database, sealer, account.organization_id, name)
    world = World(database, account.organization_id)
    told: dict[str, Any] = {"url": f"https://{name}/hook", "events": ["delivery"], "secret": "s3cret"}
    database.write_now(
        lambda tx: webhooks.create_endpoint(
            tx, world.principal, FORMAT, sealer=sealer, allow_private=False, **told
        )
    )
    now = clock.now_ms()
    mail = world.mail(now, recipient=f"ann@{name}", domain_id=domain.id)
    event = world.event(EventKind.DELIVERED, now, mail)
    world.record(event)
    database.write_now(webhooks.follower(FORMATS).apply, 0, [event])
    return world


def load(database: Database, seen: list[str]) -> list[Leased]:
    """What waits, loaded; `seen` gets the statements."""
    leased = database.write_now(deliver.lease, "worker", 10)

    def traced(tx: Tx) -> list[Leased]:
        driver: Any = tx.connection.driver_connection
        if tx.dialect.name == "sqlite":
            driver.set_trace_callback(seen.append)
        try:
            return deliver.load(tx, leased, FORMATS)
        finally:
            if tx.dialect.name == "sqlite":
                driver.set_trace_callback(None)

    return database.read_now(traced)


async def test_each_organizations_event_is_told_with_its_own_mail_and_domain(
    database: Database, sealer: Sealer
) -> None:
    names = [f"shop{number}.test" for number in range(3)]
    for name in names:
        prepare(database, sealer, name)
    loaded = load(database, [])
    said = []
    for each in loaded:
        (post,), unsayable = deliver.prepare(each, FORMAT)
        assert unsayable == []
        body = json.loads(post.rendered.body)
        said.append((body["Recipient"], body["Domain"], body["DomainID"], each.endpoint.url))
    assert sorted(said) == [(f"ann@{name}", name, 1, f"https://{name}/hook") for name in names]


@SQLITE
async def test_a_batch_asks_no_table_once_an_organization(database: Database, sealer: Sealer) -> None:
    tables = ("FROM messages", "JOIN events", "JOIN domains", "JOIN organizations")
    for number in range(4):
        prepare(database, sealer, f"shop{number}.test")
    seen: list[str] = []
    assert len(load(database, seen)) == 4
    assert {table: sum(table in statement for statement in seen) for table in tables} == dict.fromkeys(
        tables, 1
    )


async def test_messages_of_several_organizations_are_read_at_once_and_none_by_anothers_name(
    database: Database, sealer: Sealer
) -> None:
    worlds = [prepare(database, sealer, f"shop{number}.test") for number in range(2)]
    ids = [(world.organization_id, world.mail(clock.now_ms())) for world in worlds]
    found = database.read_now(messages.rows, ids)
    assert {row.organization_id: id_ for id_, row in found.items()} == dict(ids)
    strange = [(ids[0][0], ids[1][1]), (ids[1][0], ids[0][1])]
    assert database.read_now(messages.rows, strange) == {}
    assert database.read_now(messages.rows, []) == {}


async def test_an_event_whose_mail_is_gone_is_not_told(database: Database, sealer: Sealer) -> None:
    prepare(database, sealer, "shop.test")
    database.write_now(lambda tx: tx.execute(text("DELETE FROM messages")))
    (loaded,) = load(database, [])
    posts, unsayable = deliver.prepare(loaded, FORMAT)
    assert (posts, len(unsayable)) == ([], 1)


async def test_a_page_of_a_log_is_read_by_its_index(database: Database) -> None:
    def plan(tx: Tx) -> str:
        is_sqlite = tx.dialect.name == "sqlite"
        if not is_sqlite:
            tx.execute(text("SET LOCAL enable_seqscan = off"))  # the table is empty: a scan would be cheaper
        kind = "BLOB" if is_sqlite else "BYTEA"
        asked = (
            f"SELECT id FROM {webhook_attempts.name} WHERE organization_id = 1 "
            f"AND endpoint_id = CAST('x' AS {kind}) AND outcome = 1 AND id < CAST('y' AS {kind}) "
            "AND ('w' = '' OR word = 'w') ORDER BY id DESC LIMIT 21"
        )
        rows = tx.execute(text(("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + asked))
        return "\n".join(str(row) for row in rows)

    said = database.read_now(plan)
    assert "ix_webhook_attempts_outcome" in said
    assert "TEMP B-TREE" not in said
