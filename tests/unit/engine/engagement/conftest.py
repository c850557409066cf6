"""A world with one organization on each kind of store, whose mail may be hit."""

from collections.abc import Iterator

import pytest
from tests.factories import make_account
from tests.unit.engine.engagement.world import Watched

from postrider.db.database import Database
from postrider.kit import clock
from postrider.kit.seal import Sealer


@pytest.fixture
def watched(database: Database) -> Iterator[Watched]:
    account = make_account(database, Sealer(b"k" * 32))
    world = Watched(database, account.organization_id)
    clock.set_source(lambda: world.now)
    yield world
    clock.set_source(None)
