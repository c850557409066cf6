"""The people of an organization."""

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.model import Member
from postrider.engine.principal import Principal

READ = "organization:read"


def list_users(tx: Tx, principal: Principal) -> list[Member]:
    """Those who belong to it, the first to join first."""
    principal.require(READ)
    return store.members(tx, principal.organization_id)
