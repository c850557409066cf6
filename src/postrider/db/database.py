"""Read and write. Repository functions are plain and synchronous: `await db.read(f, …)`, `db.write(f, …)`.

SQLite has one writer, a task of the event loop: it runs what waits, each write in its own SAVEPOINT, begins
no further one after 25 ms, has a thread commit once for all and only then answers (group commit). PostgreSQL
has a few writer threads, each write its own transaction. Reads have threads on both; nobody else commits. No
write may touch the network, nor be long: on SQLite the whole process waits for it.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, Row, create_engine, event
from sqlalchemy.exc import DBAPIError

Tx = Connection
AnyRow = Row[*tuple[Any, ...]]
P = ParamSpec("P")
T = TypeVar("T")

READER_THREADS = 3
WRITER_THREADS = 3  # PostgreSQL only
GROUP_MAX_WRITES = 64
GROUP_MAX_S = 0.025  # a write transaction takes no further work after this long
BUSY_TIMEOUT_MS = 2_000
BUSY_PAUSE_S = 0.01
CACHED_STATEMENTS = 512
PAGE_BYTES = 8_192  # of a file made anew; an older one keeps its own
CHECKPOINT_PAGES = 16_384  # 128 MB of WAL: hot pages are written to the file once and not at every thousand
PG_TRIES = 3  # for serialization failures and deadlocks: the write is run again from its start
PG_STATEMENT_TIMEOUT_MS = 30_000
DRIVER_ERRORS = (sqlite3.OperationalError, psycopg.OperationalError, psycopg.InterfaceError)
_PG_RETRYABLE = {"40001", "40P01"}
# SQLite's primary result codes for «not now»: busy, locked, out of memory, read-only, I/O, full, cannot open.
_SQLITE_NOT_NOW = {5, 6, 7, 8, 10, 13, 14}


class Unavailable(Exception):
    """The store cannot take this now (disk full, locked, server lost): nothing of it was kept."""


@dataclass(slots=True)
class _Write:
    function: Callable[[Tx], Any]
    future: asyncio.Future[Any]


class Database:
    """One store, of either kind, for one process."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._readers = ThreadPoolExecutor(READER_THREADS, "db-read")
        self._writer = _GroupWriter(self.engine) if self.is_sqlite else None
        self._writers = None if self.is_sqlite else ThreadPoolExecutor(WRITER_THREADS, "db-write")

    async def read(
        self, function: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function(tx, …)` on a consistent snapshot; what it writes is never kept."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self.read_now(function, *args, **kwargs))

    async def write(
        self, function: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function(tx, …)` in a transaction and answer when it is on disk. May run it more than once."""
        return await self._submit(lambda tx: function(tx, *args, **kwargs), urgent=False)

    async def write_first(
        self, function: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As write, ahead of the background's writes: somebody waits for this answer."""
        return await self._submit(lambda tx: function(tx, *args, **kwargs), urgent=True)

    def read_now(self, function: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As read, on the calling thread (command line, start-up)."""
        with _as_unavailable(), _opened(self.engine) as tx:
            return function(tx, *args, **kwargs)

    def snapshot_now(
        self, function: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As read_now, all its statements seeing the store as it was at the first: for long readings."""
        with _as_unavailable(), _opened(self.engine) as tx:
            if not self.is_sqlite:
                tx.execution_options(isolation_level="REPEATABLE READ")  # until the connection is given back
                return function(tx, *args, **kwargs)
            driver: Any = tx.connection.driver_connection
            driver.execute("BEGIN")
            try:
                return function(tx, *args, **kwargs)
            finally:
                driver.execute("ROLLBACK")

    def write_now(self, function: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As write, on the calling thread (command line, start-up)."""
        return _transact(self.engine, lambda tx: function(tx, *args, **kwargs), self.is_sqlite)

    def close(self) -> None:
        """Once every write has been answered; waits for the reads, and for PostgreSQL's writes."""
        self._readers.shutdown(wait=True)
        if self._writer is not None:
            self._writer.close()
        if self._writers is not None:
            self._writers.shutdown(wait=True)
        self.engine.dispose()

    async def _submit(self, function: Callable[[Tx], T], *, urgent: bool) -> T:
        loop = asyncio.get_running_loop()
        if self._writer is not None:
            future: asyncio.Future[T] = loop.create_future()
            self._writer.put(_Write(function, future), urgent=urgent)
            return await future
        assert self._writers is not None
        return await loop.run_in_executor(self._writers, lambda: _transact(self.engine, function, False))


class _GroupWriter:
    """The one writer of a SQLite file: a task of the event loop, there while writes wait.

    Only COMMIT, which waits for the disk, goes to a thread: statements in a thread of their own spent two
    thirds of their time waiting for the interpreter lock.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._urgent: deque[_Write] = deque()
        self._patient: deque[_Write] = deque()
        self._task: asyncio.Task[None] | None = None
        self._committer = ThreadPoolExecutor(1, "db-commit")

    def put(self, write: _Write, *, urgent: bool) -> None:
        (self._urgent if urgent else self._patient).append(write)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="db-write")

    def close(self) -> None:
        """After every write has been answered."""
        self._committer.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()

    async def _run(self) -> None:
        while self._urgent or self._patient:
            try:
                if self._connection is None:
                    self._connection = self._engine.connect()
                    # The loop must not stand still in the driver: `_begin` does the waiting.
                    self._connection.exec_driver_sql("PRAGMA busy_timeout=0")
                await self._run_group(self._connection)
            except (DBAPIError, sqlite3.Error) as error:
                self._refuse(Unavailable(str(_cause(error))))

    async def _run_group(self, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        await self._begin(driver)
        taken: list[tuple[_Write, Any, BaseException | None]] = []
        started = time.monotonic()
        while len(taken) < GROUP_MAX_WRITES and time.monotonic() - started < GROUP_MAX_S:
            write = self._next()
            if write is None:
                break
            taken.append((write, *_run_in_savepoint(connection, driver, write.function)))
        try:
            await asyncio.get_running_loop().run_in_executor(self._committer, driver.execute, "COMMIT")
        except sqlite3.Error as error:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            lost = Unavailable(str(error))
            taken = [(write, None, failure or lost) for write, _, failure in taken]
        for write, result, failure in taken:
            _answer(write, result, failure)

    async def _begin(self, driver: Any) -> None:
        """Raises sqlite3.OperationalError where another program holds the file past BUSY_TIMEOUT_MS."""
        give_up_at = time.monotonic() + BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                    raise
            await asyncio.sleep(BUSY_PAUSE_S)

    def _next(self) -> _Write | None:
        if self._urgent:
            return self._urgent.popleft()
        return self._patient.popleft() if self._patient else None

    def _refuse(self, failure: Unavailable) -> None:
        while (write := self._next()) is not None:
            _answer(write, None, failure)


def _answer(write: _Write, result: Any, failure: BaseException | None) -> None:
    if write.future.done():  # whoever asked has gone
        return
    if failure is None:
        write.future.set_result(result)
    else:
        write.future.set_exception(failure)


def _run_in_savepoint(
    connection: Connection, driver: Any, function: Callable[[Tx], Any]
) -> tuple[Any, BaseException | None]:
    try:
        driver.execute("SAVEPOINT w")
        result = function(connection)
        driver.execute("RELEASE w")
        return result, None
    except BaseException as error:
        failure = Unavailable(str(_cause(error))) if _is_not_now(error) else error
        if driver.in_transaction:  # a full disk may have rolled back the whole transaction already
            driver.execute("ROLLBACK TO w")
            driver.execute("RELEASE w")
        return None, failure


def _transact(engine: Engine, function: Callable[[Tx], T], is_sqlite: bool) -> T:
    for tries_left in reversed(range(PG_TRIES)):
        committing = False
        with _opened(engine) as tx:
            try:
                if is_sqlite:
                    return _transact_sqlite(tx, function)
                with tx.begin():
                    result = function(tx)
                    committing = True  # from here on it may have been kept although the answer is lost
                return result
            except Exception as error:
                if not _is_not_now(error):
                    raise
                if committing or not tries_left or not _may_run_again(tx, error):
                    raise Unavailable(str(_cause(error))) from error
    raise AssertionError("unreachable")


def _may_run_again(tx: Tx, error: Exception) -> bool:
    """A deadlock, a failed serialization, or a pooled connection that had died before this write."""
    state = getattr(_cause(error), "sqlstate", None)
    return state in _PG_RETRYABLE or (tx.invalidated and state is None)


def _transact_sqlite(tx: Tx, function: Callable[[Tx], T]) -> T:
    driver: Any = tx.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE")
    try:
        result = function(tx)
        driver.execute("COMMIT")
        return result
    except BaseException:
        if driver.in_transaction:
            driver.execute("ROLLBACK")
        raise


@contextmanager
def _opened(engine: Engine) -> Iterator[Tx]:
    """A connection; one that broke under the hot paths' direct statements is not given back to the pool."""
    with _as_unavailable():
        connection = engine.connect()
    with connection as tx:
        try:
            yield tx
        except DRIVER_ERRORS:
            if not tx.invalidated and getattr(tx.connection.driver_connection, "broken", False):
                tx.invalidate()
            raise


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not _is_not_now(error):
            raise
        raise Unavailable(str(_cause(error))) from error


def _cause(error: BaseException) -> BaseException:
    """The driver's own error: hot paths run statements without SQLAlchemy, so either kind may come."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _is_not_now(error: BaseException) -> bool:
    """Whether the store is to blame and may be back later, rather than the statement."""
    cause = _cause(error)
    if not isinstance(cause, DRIVER_ERRORS):
        return False
    code = getattr(cause, "sqlite_errorcode", None)
    return code is None or code & 0xFF in _SQLITE_NOT_NOW


def open_engine(url: str) -> Engine:
    """A SQLAlchemy engine for `sqlite:///path` or `postgresql://…`, set as the store needs it."""
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            isolation_level="AUTOCOMMIT",  # BEGIN IMMEDIATE and COMMIT are ours
            connect_args={"cached_statements": CACHED_STATEMENTS, "check_same_thread": False},
            pool_size=READER_THREADS + 2,
            max_overflow=4,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(
        url,
        pool_size=READER_THREADS + WRITER_THREADS + 2,
        max_overflow=4,
        pool_timeout=10,
        connect_args={
            "connect_timeout": 5,
            "options": f"-c statement_timeout={PG_STATEMENT_TIMEOUT_MS} -c timezone=UTC",
        },
    )


def _prepare_sqlite(driver: Any, _record: Any) -> None:
    for pragma in (
        f"page_size={PAGE_BYTES}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "temp_store=MEMORY",
        "cache_size=-16384",  # what is read is mapped: this holds what a transaction has changed
        "mmap_size=268435456",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        "journal_size_limit=67108864",
    ):
        driver.execute(f"PRAGMA {pragma}").close()
