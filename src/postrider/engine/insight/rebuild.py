"""Rollups counted anew from the journal, while followers go on counting.

What is kept and what the journal says are compared on one snapshot; only the differences are written, as
additions, which agree with whatever a follower adds meanwhile. Buckets from before the journal's beginning
are sealed: what they hold can no longer be counted. In the one in which it begins the larger count stays.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from postrider.db.database import Database, Tx
from postrider.engine import accounts, journal
from postrider.engine.insight import coarse, store
from postrider.engine.insight.account import rebuild as account
from postrider.engine.insight.campaigns import follow as of_campaigns
from postrider.engine.insight.campaigns import rebuild as campaigns
from postrider.engine.insight.campaigns.follow import Counted
from postrider.engine.insight.campaigns.model import Seen, Sum
from postrider.engine.insight.campaigns.refill import refill
from postrider.engine.insight.campaigns.store import Row as CampaignRow
from postrider.engine.insight.tally import Tally, bucket_of, firsts_of, tally, told_of
from postrider.engine.journal.record import shard_of
from postrider.kit.ids import RowId

PAGE_EVENTS = 1_000
ROWS_AT_ONCE = 128  # of one write: what stays under 25 ms
ORGANIZATIONS_AT_ONCE = 200

P = TypeVar("P", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Correction:
    """What must be added to the rollups of an organization, some of it negative.

    `sums`: what the journal says of its campaigns as a whole.
    """

    rows: Sequence[store.Row]
    tag_rows: Sequence[store.TagRow]
    campaign_rows: Sequence[CampaignRow]
    sums: Mapping[Sum, Seen]

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.tag_rows) + len(self.campaign_rows)


def rebuild(db: Database) -> int:
    """Correct the rollups of all organizations; answers how many rows were wrong. Killed: begin anew."""
    wrong, last = 0, 0
    while ids := db.read_now(accounts.organization_ids, last, ORGANIZATIONS_AT_ONCE):
        for organization_id in ids:
            wrong += refill(db, organization_id)
            correction = db.snapshot_now(compare, organization_id)
            apply(db, correction)
            wrong += correction.size + coarse.mend(db, organization_id)
            wrong += campaigns.mend(db, organization_id, correction.sums)
            wrong += account.mend(db, organization_id)
        last = ids[-1]
    return wrong


def compare(tx: Tx, organization_id: int) -> Correction:
    """What the rollups lack, on one snapshot; events that followers have not taken are not counted."""
    oldest = journal.oldest(tx, organization_id)
    if oldest is None:
        return Correction([], [], [], {})
    begins = bucket_of(oldest)
    counted, by_campaign = _count(tx, organization_id)
    shard = shard_of(organization_id)
    rows = _differences(store.kept(tx, organization_id, begins), counted.places, shard, begins)
    tag_rows = _differences(store.kept_tags(tx, organization_id, begins), counted.tag_places, shard, begins)
    return Correction(
        [(*place, of_shard, count) for (place, of_shard), count in rows],
        [(*place, of_shard, count) for (place, of_shard), count in tag_rows],
        campaigns.differences(tx, organization_id, by_campaign.places, begins),
        by_campaign.sums,
    )


def _count(tx: Tx, organization_id: int) -> tuple[Tally, Counted]:
    """The journal of an organization, page by page."""
    left_out = journal.not_followed(tx, shard_of(organization_id), organization_id)
    total, by_campaign = Tally(Counter(), Counter()), of_campaigns.nothing()
    after = b""

    def counted_before(_organization_id: int, ids: Collection[RowId]) -> Collection[RowId]:
        return {event_id for event_id in ids if event_id <= after} - left_out

    while page := journal.page_after(tx, organization_id, after, PAGE_EVENTS):
        told = told_of(tx, [event for event in page if event.id not in left_out])
        found = tally(told, firsts_of(tx, told, counted_before))
        of_campaigns.each_time(told, by_campaign)
        total.places.update(found.places)
        total.tag_places.update(found.tag_places)
        after = page[-1].id
    return total, by_campaign


def _differences(
    kept: Mapping[tuple[P, int], int], counted: Mapping[P, int], shard: int, begins: int
) -> list[tuple[tuple[P, int], int]]:
    """(place and shard, what to add), in the order in which followers write too."""
    wanted = {(place, shard): count for place, count in counted.items() if _bucket(place) >= begins}
    changes = []
    for key in sorted(kept.keys() | wanted.keys()):
        have, want = kept.get(key, 0), wanted.get(key, 0)
        if _bucket(key[0]) == begins:
            want = max(have, want)
        if have != want:
            changes.append((key, want - have))
    return changes


def _bucket(place: Hashable) -> int:
    assert isinstance(place, tuple)
    return int(place[1])


def apply(db: Database, correction: Correction) -> None:
    """Write what compare found, in short writes."""
    for start in range(0, len(correction.rows), ROWS_AT_ONCE):
        db.write_now(_correct, correction.rows[start : start + ROWS_AT_ONCE])
    for start in range(0, len(correction.tag_rows), ROWS_AT_ONCE):
        db.write_now(_correct_tags, correction.tag_rows[start : start + ROWS_AT_ONCE])
    campaigns.apply(db, correction.campaign_rows)


def _correct(tx: Tx, rows: Sequence[store.Row]) -> None:
    store.add_rows(tx, rows)
    store.drop_empty(tx, rows)


def _correct_tags(tx: Tx, rows: Sequence[store.TagRow]) -> None:
    store.add_tag_rows(tx, rows)
    store.drop_empty_tags(tx, rows)
