"""A world with one organization on each kind of store."""

import pytest
from tests.factories import make_account
from tests.unit.engine.insight.world import World

from postrider.db.database import Database
from postrider.kit.seal import Sealer


@pytest.fixture
def world(database: Database) -> World:
    account = make_account(database, Sealer(b"k" * 32))
    return World(database, account.organization_id)
