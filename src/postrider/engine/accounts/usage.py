"""What an organization has used of its plan. Counting it up is `store.use`, within a submission."""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.principal import Principal

READ = "organization:read"


def usage_of(tx: Tx, principal: Principal, months: Sequence[int]) -> dict[int, int]:
    """Messages accepted in calendar months (UTC), given and answered as 202611; 0 where there were none."""
    principal.require(READ)
    used = store.usage_of(tx, principal.organization_id, months)
    return {month: used.get(month, 0) for month in months}
