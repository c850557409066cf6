"""A store of each kind for the session, and a fresh organization for each test."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url
from tests.conftest import POSTGRESQL, STORES
from tests.unit.engine.domains.world import World

from postrider.db.database import Database
from postrider.db.schema import metadata
from postrider.engine.accounts import tables as _accounts  # noqa: F401
from postrider.engine.domains import keys
from postrider.engine.domains.model import Algorithm, NewKey
from postrider.engine.principal import Principal
from postrider.kit import ids
from postrider.kit.seal import Sealer

_organizations = itertools.count(1)


@pytest.fixture(scope="session", params=STORES)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "sqlite":
        yield from _opened(_sqlite_url(tmp_path_factory.mktemp("store")))
        return
    url = make_url(POSTGRESQL)
    name = f"test_{ids.random_text(12)}"
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield from _opened(url.set(database=name).render_as_string(hide_password=False))
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def sealer() -> Sealer:
    return Sealer(b"k" * 32)


@pytest.fixture
def world(database: Database, sealer: Sealer) -> World:
    return World(database, sealer, Principal(next(_organizations)))


@pytest.fixture
def new_key(sealer: Sealer) -> NewKey:
    return keys.generate(sealer, Algorithm.ED25519)


def _sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'postrider.db'}"


def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    metadata.create_all(database.engine)
    yield database
    database.close()
