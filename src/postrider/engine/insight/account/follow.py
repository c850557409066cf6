"""The follower that counts an account as a whole; of contacts that are gone it forgets what they ordered."""

from collections.abc import Collection, Sequence

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.insight import conversions
from postrider.engine.insight.account import store
from postrider.engine.insight.account.tally import tally
from postrider.engine.journal import Event, EventKind
from postrider.kit.ids import RowId


def _follow(tx: Tx, shard: int, events: Sequence[Event]) -> None:
    def counted_before(organization_id: int, ids: Collection[RowId]) -> Collection[RowId]:
        return set(ids) - journal.not_followed(tx, shard, organization_id, among=ids)

    store.add(tx, tally(tx, events, counted_before))
    conversions.forget(
        tx,
        [
            (event.organization_id, event.contact_id)
            for event in events
            if event.kind is EventKind.CONTACT_DELETED and event.contact_id is not None
        ],
    )


follower = journal.Follower("account", _follow)
