"""The people of an organization."""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.model import Member
from postrider.engine.principal import Principal

READ = "organization:read"


def list_users(tx: Tx, principal: Principal) -> list[Member]:
    """Those who belong to it, the first to join first."""
    principal.require(READ)
    return store.members(tx, principal.organization_id)


def members_in(tx: Tx, organization_id: int, roles: Sequence[str], limit: int) -> list[Member]:
    """Those who have one of the roles, the first to join first: for the platform itself."""
    return store.members_in(tx, organization_id, roles, limit)
