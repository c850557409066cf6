"""A send to many looked up, of whichever kind: what reports are asked about."""

from postrider.db.database import Tx
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.engine.sending.campaigns import store
from postrider.kit.ids import RowId
from postrider.kit.record import record

READ = "campaigns:read"


@record
class Found:
    """What all kinds of campaigns have."""

    organization_id: int
    id: RowId
    kind: str  # campaign, bulk, segment, session, step
    name: str
    status: str
    total: int
    accepted: int
    skipped: int
    created_at: int


def find_campaign(tx: Tx, principal: Principal, campaign_id: RowId) -> Found:
    """Raises NotFound, also for another organization's."""
    principal.require(READ)
    row = store.one(tx, principal.organization_id, campaign_id)
    if row is None:
        raise NotFound(noun="campaign")
    return Found(
        row.organization_id, row.id, row.kind, row.name, row.status, row.total, row.accepted, row.skipped,
        row.created_at,
    )  # fmt: skip
