"""The migrations make what the tables say, on both databases, and can be taken back."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from postrider.db import migrate
from postrider.db.database import Database
from postrider.engine.tables import metadata

ALEMBICS_OWN = {"alembic_version"}
SEARCH = ("contact_search", "ix_contacts_search")  # what only one database has stands in no metadata


def test_the_migrated_store_is_what_the_tables_say(database: Database) -> None:
    with database.engine.connect() as connection:
        options = {"compare_type": True, "include_name": lambda name, *_: not _is_search(name)}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_every_index_is_there_by_name(database: Database) -> None:
    found = inspect(database.engine)
    for table in metadata.sorted_tables:
        kept = {index["name"] for index in found.get_indexes(table.name)}
        assert {name for name in kept if not _is_search(name)} == {index.name for index in table.indexes}, (
            table.name
        )


def test_partial_indexes_are_partial(database: Database) -> None:
    """Autogenerate does not compare what an index leaves out, and the queue's would grow without it."""
    partial = {
        str(index.name)
        for table in metadata.sorted_tables
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    with database.engine.connect() as connection:
        assert {name for name, text in _index_texts(connection) if " WHERE " in text} == partial


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_tables_without_rowid_are_so_on_sqlite(database: Database) -> None:
    wanted = {
        table.name for table in metadata.sorted_tables if not table.dialect_options["sqlite"]["with_rowid"]
    }
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        assert {name for name, text in rows if "WITHOUT ROWID" in text and not _is_search(name)} == wanted


def test_migrating_twice_changes_nothing(database: Database) -> None:
    before = _tables(database)
    migrate.upgrade(database)
    assert _tables(database) == before


def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_it_back(database: Database) -> None:
    made = _tables(database)
    with database.engine.connect() as connection:
        command.downgrade(migrate.config(connection), "base")
        connection.commit()
    assert _tables(database) <= ALEMBICS_OWN
    migrate.upgrade(database)
    assert _tables(database) == made


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(migrate.config()).get_heads()) == 1


def _is_search(name: str | None) -> bool:
    return name is not None and name.startswith(SEARCH)


def _tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def _index_texts(connection: Connection) -> list[tuple[str, str]]:
    texts = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    }
    return [(row[0], row[1]) for row in connection.exec_driver_sql(texts[connection.dialect.name])]
