"""What events add to the counts of an account as a whole; contacts that are gone ordered nothing."""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine.insight import conversions
from postrider.engine.insight.account import store
from postrider.engine.insight.account.tally import tally
from postrider.engine.insight.tally import Firsts, Told
from postrider.engine.journal import Event, EventKind


def count(tx: Tx, events: Sequence[Event], told: Sequence[Told], firsts: Firsts) -> None:
    """Add a batch of one shard."""
    store.add(tx, tally(tx, events, told, firsts))
    conversions.forget(
        tx,
        [
            (event.organization_id, event.contact_id)
            for event in events
            if event.kind is EventKind.CONTACT_DELETED and event.contact_id is not None
        ],
    )
