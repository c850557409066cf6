"""Contacts as tests make them, and what is looked at afterwards."""

from typing import Any

from sqlalchemy import text

from postrider.db.database import Database
from postrider.engine.audience import contacts
from postrider.engine.audience.model import Contact, ContactInput, OnKnown, Saved
from postrider.engine.principal import Principal
from postrider.kit import json
from postrider.kit.ids import RowId

OURS, THEIRS = Principal(1), Principal(2)
READER = Principal(1, scopes=frozenset({"contacts:read"}))


def save(
    database: Database,
    *given: ContactInput | str,
    on_known: OnKnown = OnKnown.UPDATE,
    by: Principal = OURS,
    **more: Any,
) -> list[Saved]:
    inputs = [ContactInput(email=each) if isinstance(each, str) else each for each in given]
    return database.write_now(
        lambda tx: contacts.save(tx, by, inputs, on_known=on_known, **{"source": "api", **more})
    )


def make(database: Database, email: str = "ann@example.com", *, by: Principal = OURS, **said: Any) -> RowId:
    (saved,) = save(database, ContactInput(email=email, **said), by=by)
    assert saved.contact_id is not None, saved.faults
    return saved.contact_id


def get(database: Database, contact_id: RowId, by: Principal = OURS) -> Contact:
    return database.read_now(contacts.get, by, contact_id)


def rows(database: Database, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """A table as it stands."""
    return database.read_now(
        lambda tx: [tuple(row) for row in tx.execute(text(f"SELECT {columns} FROM {table}"))]
    )


def told(database: Database) -> list[tuple[int, dict[str, Any]]]:
    """The events so far: kind and data."""
    found = database.read_now(
        lambda tx: tx.execute(
            text("SELECT kind, data FROM events WHERE contact_id IS NOT NULL ORDER BY id")
        ).all()
    )
    return [(kind, json.loads(data) if data else {}) for kind, data in found]
