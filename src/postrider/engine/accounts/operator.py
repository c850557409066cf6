"""Who runs the installation: its first live organization, until settings name another."""

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.errors import Forbidden
from postrider.engine.principal import Principal

READ, WRITE = "operator:read", "operator:write"


def require_operator(tx: Tx, principal: Principal, scope: str) -> None:
    """Raises Forbidden for a credential of another organization, whatever its scopes, or without `scope`."""
    principal.require(scope)
    first = store.first_live(tx)
    if first is None or first.id != principal.organization_id:
        raise Forbidden(scope=scope)
