"""The few statements that differ between SQLite and PostgreSQL.

`Batch` is the one set-based statement: a list of rows becomes the table `v` of an INSERT, UPDATE, DELETE or
SELECT, as VALUES on SQLite and as unnested arrays on PostgreSQL. One statement a batch matters twice: it is
one prepared statement, and Python's sqlite3 hands the interpreter lock over only once per statement. All here
but `lock_rows` goes straight to the driver, whose own errors come out of it.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import psycopg
from sqlalchemy import ColumnElement, Table, func, text
from sqlalchemy.dialects import postgresql

from postrider.db.database import Tx

SQLITE_MAX_PARAMETERS = 30_000
# Few shapes, so that the driver finds its prepared statements again; small batches fit exactly.
CHUNK_SIZES = (128, 96, 64, 48, 40, 32, 28, 24, 20, 16, 14, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1)
PG_CHUNK = 2_000
# What Batch and Statement raise where a unique index has such a row: the transaction cannot go on.
TAKEN = (sqlite3.IntegrityError, psycopg.errors.UniqueViolation)
_PG: Any = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
_NAMED = re.compile(r"(?<!:):([a-z_]+)")
_SQL_TYPES = {int: "bigint", bytes: "bytea", str: "text", float: "float8"}


class Batch:
    """A statement over rows `v`; `columns`: v's columns and their Python types (int, str, bytes, float).

    `{for_update}` ends a SELECT that holds its rows; SQLite's one writer needs none.
    """

    def __init__(self, statement: str, **columns: type) -> None:
        self._statement = statement.replace("{for_update}", "")
        self._columns = columns
        names = ", ".join(columns)
        arrays = ", ".join(f"%b::{_SQL_TYPES[kind]}[]" for kind in columns.values())
        locking = statement.replace("{for_update}", "FOR UPDATE")
        self._postgresql = f"WITH v({names}) AS (SELECT * FROM unnest({arrays})) {locking}"  # noqa: S608
        self._sqlite = {size: self._for_sqlite(size) for size in CHUNK_SIZES}

    def __call__(self, tx: Tx, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """Run it, values as the driver takes them (JSON as text); the tuples it RETURNs or SELECTs."""
        found: list[Any] = []
        for statement, parameters in self._portions(tx, rows):
            found.extend(run(tx, statement, parameters))
        return found

    def _portions(self, tx: Tx, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
        if tx.dialect.name == "postgresql":
            for start in range(0, len(rows), PG_CHUNK):
                portion = rows[start : start + PG_CHUNK]
                yield self._postgresql, tuple([list(column) for column in zip(*portion, strict=True)])
            return
        start = 0
        while start < len(rows):
            left = len(rows) - start
            size = next(size for size in CHUNK_SIZES if size <= left)
            yield self._sqlite[size], tuple(chain.from_iterable(rows[start : start + size]))
            start += size

    def _for_sqlite(self, size: int) -> str:
        row = "(" + ",".join("?" * len(self._columns)) + ")"
        values = ",".join([row] * size)
        return f"WITH v({', '.join(self._columns)}) AS (VALUES {values}) {self._statement}"


def run(tx: Tx, statement: str, parameters: Any = ()) -> list[Any]:
    """One statement straight through the driver: a tenth of what SQLAlchemy's own execution costs."""
    driver: Any = tx.connection.driver_connection
    cursor = driver.execute(statement, parameters)
    return cursor.fetchall() if cursor.description is not None else []


class Statement:
    """A statement with named parameters (`:name`) for a hot path.

    `{skip_locked}` stands where a claim passes over rows that another node holds.
    """

    def __init__(self, statement: str) -> None:
        self._sqlite = statement.replace("{skip_locked}", "")
        locking = statement.replace("{skip_locked}", "FOR UPDATE SKIP LOCKED")
        self._postgresql = _NAMED.sub(r"%(\1)s", locking)

    def __call__(self, tx: Tx, **facts: Any) -> list[Any]:
        return run(tx, self._postgresql if tx.dialect.name == "postgresql" else self._sqlite, facts)


def insert_batch(table: Table, *names: str, tail: str = "") -> Batch:
    """INSERT of rows into the named columns; `tail` is what follows, such as ON CONFLICT DO NOTHING."""
    columns = {name: _python_type(table, name) for name in names}
    listed = ", ".join(f'"{name}"' for name in names)
    chosen = ", ".join(f'v."{name}"' for name in names)
    # WHERE true keeps SQLite from reading ON CONFLICT as a join condition.
    statement = f"INSERT INTO {table.name} ({listed}) SELECT {chosen} FROM v WHERE true {tail}"  # noqa: S608
    return Batch(statement, **{f'"{name}"': kind for name, kind in columns.items()})


def lock_rows(tx: Tx, table: str, ids: Sequence[int], *, shared: bool) -> None:
    """Hold rows, by their integer ids, against those who would park them; SQLite's one writer needs none."""
    if tx.dialect.name == "postgresql":
        strength = "KEY SHARE" if shared else "UPDATE"
        tx.execute(
            text(f"SELECT id FROM {table} WHERE id = ANY(:ids) ORDER BY id FOR {strength}"),  # noqa: S608
            {"ids": list(ids)},
        ).fetchall()


def _python_type(table: Table, name: str) -> type:
    compiled = table.c[name].type.compile(_PG).upper()
    if compiled == "BYTEA":
        return bytes
    if compiled.startswith(("INT", "BIGINT", "SMALLINT")):
        return int
    return float if compiled.startswith(("FLOAT", "DOUBLE")) else str


def hex_of(tx: Tx, column: ColumnElement[bytes]) -> ColumnElement[str]:
    """A column's octets as bytes.hex() writes them."""
    return func.encode(column, "hex") if tx.dialect.name == "postgresql" else func.lower(func.hex(column))


class PerRow:
    """A SELECT run for each row, its parameters named `:column`: a loop on SQLite, LATERAL on PostgreSQL."""

    def __init__(self, statement: str, *, locking: str = "", **columns: type) -> None:
        self._sqlite = statement
        self._columns = tuple(columns)
        inner = statement
        for name in columns:
            inner = inner.replace(f":{name}", f"v.{name}")
        arrays = ", ".join(f"%b::{_SQL_TYPES[kind]}[]" for kind in columns.values())
        self._postgresql = (
            f"SELECT f.* FROM unnest({arrays}) AS v({', '.join(columns)}) "  # noqa: S608
            f"CROSS JOIN LATERAL ({inner} {locking}) f"
        )

    def __call__(self, tx: Tx, rows: Sequence[Sequence[Any]]) -> list[Any]:
        if not rows:
            return []
        if tx.dialect.name == "postgresql":
            return run(tx, self._postgresql, tuple([list(column) for column in zip(*rows, strict=True)]))
        found: list[Any] = []
        for row in rows:
            found.extend(run(tx, self._sqlite, dict(zip(self._columns, row, strict=True))))
        return found
