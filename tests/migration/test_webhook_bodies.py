"""What waited, and what was logged, before bodies were kept apart is there afterwards; and back again."""

from typing import Any

from alembic import command
from sqlalchemy import Connection, text

from postrider.db import migrate
from postrider.db.database import Database
from postrider.engine.webhooks import Outcome
from postrider.kit.ids import id_time

STARTED = 1_795_000_000_000
# (number, status, next_at): taken, to be tried again, given up, never answered
ATTEMPTS = {1: (204, None), 2: (500, STARTED + 5), 3: (500, None), 4: (None, None)}
OUTCOMES = {1: Outcome.TAKEN, 2: Outcome.TRIED_AGAIN, 3: Outcome.GIVEN_UP, 4: Outcome.GIVEN_UP}


def test_the_queue_and_the_log_of_before_are_kept(database: Database) -> None:
    with database.engine.connect() as connection:
        command.downgrade(migrate.config(connection), "0005")
        fill(connection)
        connection.commit()
    migrate.upgrade(database)
    with database.engine.connect() as connection:
        bodies = ask(connection, "SELECT event_id, headers, body FROM webhook_bodies")
        assert [tuple(row) for row in bodies] == [(b"frozen", '{"X-A": "b"}', b"{}")]
        rows = ask(connection, "SELECT number, outcome, id, status, next_at FROM webhook_attempts")
        assert {row.number: Outcome(row.outcome) for row in rows} == OUTCOMES
        assert {row.number: (row.status, row.next_at) for row in rows} == ATTEMPTS
        assert {id_time(row.id) for row in rows} == {STARTED}
        assert len({row.id for row in rows}) == len(ATTEMPTS)
        command.downgrade(migrate.config(connection), "0005")
        queued = ask(connection, "SELECT event_id, body FROM webhook_queue ORDER BY event_id")
        assert [tuple(row) for row in queued] == [(b"frozen", b"{}"), (b"waits", None)]
        assert len(ask(connection, "SELECT number FROM webhook_attempts")) == len(ATTEMPTS)
        connection.commit()


def fill(connection: Connection) -> None:
    for event_id, headers, body in ((b"frozen", '{"X-A": "b"}', b"{}"), (b"waits", None, None)):
        connection.execute(
            text(
                "INSERT INTO webhook_queue (organization_id, endpoint_id, event_id, word, due_at, attempts, "
                "headers, body) VALUES (1, :endpoint, :event, 'made', 5, 0, :headers, :body)"
            ),
            {"endpoint": b"e", "event": event_id, "headers": headers, "body": body},
        )
    for number, (status, next_at) in ATTEMPTS.items():
        connection.execute(
            text(
                "INSERT INTO webhook_attempts (organization_id, endpoint_id, event_id, word, number, "
                "started_at, duration_ms, status, next_at) "
                "VALUES (1, :endpoint, :event, 'made', :number, :at, 1, :status, :next_at)"
            ),
            {
                "endpoint": b"e", "event": b"v", "number": number, "at": STARTED, "status": status,
                "next_at": next_at,
            },
        )  # fmt: skip


def ask(connection: Connection, query: str) -> list[Any]:
    return list(connection.execute(text(query)))
