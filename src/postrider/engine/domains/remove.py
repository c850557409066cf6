"""Removing a sending domain, its keys and its credentials: nothing is signed for it from then on."""

from postrider.db.database import Tx
from postrider.engine import accounts
from postrider.engine.domains import store
from postrider.engine.domains.add import WRITE
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId


def remove(tx: Tx, principal: Principal, domain_id: RowId) -> None:
    """Credentials bound to it go too. Raises NotFound. The number is not given to another domain."""
    principal.require(WRITE)
    if not store.remove(tx, principal.organization_id, domain_id):
        raise NotFound(noun="domain")
    accounts.delete_of_domain(tx, principal.organization_id, domain_id)
