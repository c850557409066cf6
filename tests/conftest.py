"""Fixtures every test may ask for: a migrated store of each kind, and a whole node in this process."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from tests.factories import Running, lay_migrated, running_node

from postrider.db import migrate
from postrider.db.database import Database
from postrider.kit import clock

POSTGRESQL = os.environ.get("POSTRIDER_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/test")


def _reachable(url: str) -> bool:
    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg://"), connect_args={"connect_timeout": 2}
    )
    try:
        with engine.connect():
            return True
    except Exception:
        return False
    finally:
        engine.dispose()


HAS_POSTGRESQL = _reachable(POSTGRESQL)
if os.environ.get("CI") == "true" and not HAS_POSTGRESQL:
    raise pytest.UsageError(f"PostgreSQL must be reachable in CI: {POSTGRESQL}")

STORES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.skipif(not HAS_POSTGRESQL, reason="no PostgreSQL")),
]


@pytest.fixture(scope="session")
def template() -> Iterator[str]:
    """A migrated PostgreSQL database to be copied: a tenth of what migrating each anew takes."""
    name = f"postrider_{uuid.uuid4().hex[:12]}"
    _administer(f"CREATE DATABASE {name}")
    database = Database(_url_of(name))
    migrate.upgrade(database)
    database.close()
    yield name
    _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated store of each kind that holds nothing, gone after the test."""
    if request.param == "sqlite":
        lay_migrated(tmp_path / "postrider.db")
        yield f"sqlite:///{tmp_path / 'postrider.db'}"
        return
    name = f"postrider_{uuid.uuid4().hex[:12]}"
    _administer(f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('template')}")
    # No test outlives its server: what a commit waits for on a busy disk proves nothing.
    _administer(f"ALTER DATABASE {name} SET synchronous_commit TO off")
    yield _url_of(name)
    _administer(f"DROP DATABASE {name} WITH (FORCE)")


def _url_of(name: str) -> str:
    return make_url(POSTGRESQL).set(database=name).render_as_string(hide_password=False)


def _administer(statement: str) -> None:
    admin = create_engine(
        POSTGRESQL.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(text(statement))
    admin.dispose()


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    """A migrated store."""
    opened = Database(store_url)
    migrate.upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _system_clock() -> Iterator[None]:
    yield
    clock.set_source(None)


@pytest.fixture
async def node(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A whole Postrider in this process, in capture mode, with an account and a verified domain."""
    async with running_node(store_url, tmp_path / "data") as running:
        yield running
