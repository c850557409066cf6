"""The follower that counts: a batch of events becomes additions to the rollups, in one transaction."""

from collections.abc import Collection, Sequence

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.insight import coarse, store
from postrider.engine.insight.account import follow as account
from postrider.engine.insight.campaigns import follow as campaigns
from postrider.engine.insight.tally import firsts_of, tally, told_of
from postrider.engine.journal import Event
from postrider.kit.ids import RowId


def count(tx: Tx, shard: int, events: Sequence[Event]) -> None:
    """Add a batch of one shard to the rollups, one row for each distinct place."""

    def counted_before(organization_id: int, ids: Collection[RowId]) -> Collection[RowId]:
        return set(ids) - journal.not_followed(tx, shard, organization_id, among=ids)

    told = told_of(tx, events)
    firsts = firsts_of(tx, told, counted_before)
    found = tally(told, firsts)
    store.add(tx, shard, found)
    coarse.add(tx, found)
    campaigns.count(tx, told, counted_before)
    account.count(tx, events, told, firsts)
