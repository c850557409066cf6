"""Ways to take a store from a running program, and to give it back: context managers over its URL."""

import os
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url
from tests.conftest import POSTGRESQL

BLOCK_BYTES = 65_536
FILE_MAX_BYTES = 4_096  # no page after the first can be written


@contextmanager
def locked(store_url: str) -> Iterator[None]:
    """Another program holds the write lock of a SQLite file."""
    holder = sqlite3.connect(file_of(store_url), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Something else has filled the disk that `folder` is on."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(BLOCK_BYTES)) == BLOCK_BYTES:
            continue
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def unable_to_write(pid: int) -> Iterator[None]:
    """Every write of the process to a file fails, as on a disk that breaks."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (FILE_MAX_BYTES, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def lost(store_url: str) -> Iterator[None]:
    """The PostgreSQL server ends every connection to the database, and takes no new ones."""
    name = make_url(store_url).database
    with psycopg.connect(POSTGRESQL, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            admin.execute(_CUT, [name])
            yield
        finally:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def cut(store_url: str) -> None:
    """The PostgreSQL server ends every connection to the database."""
    with psycopg.connect(POSTGRESQL, autocommit=True) as admin:
        admin.execute(_CUT, [make_url(store_url).database])


@contextmanager
def unreadable(store_url: str, table: str) -> Iterator[Callable[[], int]]:
    """A PostgreSQL table that all wait for; call what is given to end those who do: it answers how many."""
    with psycopg.connect(store_url) as holder, psycopg.connect(POSTGRESQL, autocommit=True) as admin:
        holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        name = make_url(store_url).database
        yield lambda: admin.execute(_CUT + " AND wait_event_type = 'Lock'", [name]).rowcount


_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of its own at `folder`; the test is skipped where none may be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def file_of(store_url: str) -> str:
    return store_url.removeprefix("sqlite:///")
