"""The SQL of one campaign's messages in the queue, read in windows along its index: laid aside while it is
paused, found again when it goes on or is called off, watched until the last has been tried.

Laid aside means open, without a time, held by nobody: no claim finds it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.engine.messages.model import Claimed, Status
from postrider.engine.messages.tables import messages
from postrider.kit.ids import RowId
from postrider.kit.record import record

WINDOW = 2_000  # messages looked at in one statement

_OPEN = (int(Status.QUEUED), int(Status.DEFERRED))
_lay_aside = Batch(
    """UPDATE messages SET owner = NULL, due_at = NULL FROM v
       WHERE messages.organization_id = v.organization_id AND messages.id = v.id
         AND messages.owner = v.owner""",
    organization_id=int,
    id=bytes,
    owner=str,
)


@record
class Window:
    """What stands in a window: ids that are wanted, and the last id looked at; None at the end."""

    ids: list[RowId]
    last: RowId | None


def lay_aside(tx: Tx, claimed: Sequence[Claimed], owner: str) -> None:
    """Claimed messages, untried: nobody claims them before they are given a time again."""
    if claimed:
        _lay_aside(tx, [(each.organization_id, each.id, owner) for each in claimed])


def laid_aside(tx: Tx, organization_id: int, campaign_id: RowId, after: RowId) -> Window:
    """Those laid aside among the next WINDOW messages past an id."""
    return _window(tx, organization_id, campaign_id, after, is_aside=True)


def waiting(tx: Tx, organization_id: int, campaign_id: RowId, after: RowId) -> Window:
    """Those that have not ended and nobody holds, laid aside or not, among the next WINDOW past an id."""
    return _window(tx, organization_id, campaign_id, after, is_aside=False)


def first_untried(tx: Tx, organization_id: int, campaign_id: RowId, after: RowId) -> Window:
    """The first message that nobody has tried yet among the next WINDOW past an id, if there is one."""
    rows = tx.execute(_seen(organization_id, campaign_id, after)).all()
    untried = [row.id for row in rows if row.status == Status.QUEUED][:1]
    return Window(untried, rows[-1].id if rows else None)


def _seen(organization_id: int, campaign_id: RowId, after: RowId) -> Select[Any]:
    own = messages.c
    return (
        select(own.id, own.status, own.due_at, own.owner)
        .where(own.organization_id == organization_id, own.campaign_id == campaign_id, own.id > after)
        .order_by(own.id)
        .limit(WINDOW)
    )


def _window(tx: Tx, organization_id: int, campaign_id: RowId, after: RowId, *, is_aside: bool) -> Window:
    rows = tx.execute(_seen(organization_id, campaign_id, after)).all()
    ids = [
        row.id
        for row in rows
        if row.status in _OPEN and row.owner is None and (row.due_at is None or not is_aside)
    ]
    return Window(ids, rows[-1].id if rows else None)
