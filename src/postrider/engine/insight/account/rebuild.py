"""An account's counts of openings and clicks made anew from the journal, while followers go on counting.

As other rollups: differences alone are written, as additions; what is older than the journal is sealed, in
the quarter of an hour in which it begins the larger count stays. How an audience grew is not made anew: who
was a contact then, nobody knows now. What was read is counted where nothing is kept: an opening that was told
before its delivery is one that followers could not place.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from itertools import islice
from typing import TypeVar

from postrider.db.database import Database, Tx
from postrider.engine import journal
from postrider.engine.insight.account import store
from postrider.engine.insight.account.tally import Tally, tally
from postrider.engine.insight.tally import bucket_of, firsts_of, told_of
from postrider.engine.journal.record import shard_of
from postrider.kit.ids import RowId

PAGE_EVENTS = 1_000
PLACES_AT_ONCE = 64  # of one write: what stays under 25 ms

P = TypeVar("P", bound=Hashable)


def mend(db: Database, organization_id: int) -> int:
    """Correct an organization's counts; answers how many were wrong. Killed: begin anew."""
    wrong = db.snapshot_now(compare, organization_id)
    traits, mail = iter(wrong.traits.items()), iter(wrong.mail.items())
    while part := dict(islice(traits, PLACES_AT_ONCE)):
        db.write_now(store.add, Tally(Counter(part), Counter(), Counter()))
    while rest := dict(islice(mail, PLACES_AT_ONCE)):
        db.write_now(store.add, Tally(Counter(), Counter(rest), Counter()))
    return len(wrong.traits) + len(wrong.mail)


def compare(tx: Tx, organization_id: int) -> Tally:
    """What is to be added, some of it negative; events that followers have not taken are not counted."""
    oldest = journal.oldest(tx, organization_id)
    if oldest is None:
        return Tally(Counter(), Counter(), Counter())
    begins = bucket_of(oldest)
    counted = _count(tx, organization_id)
    traits = _differences(store.kept_traits(tx, organization_id, begins), counted.traits, begins, at=2)
    kept = store.kept_mail(tx, organization_id, begins)
    mail = _differences(kept, counted.mail, begins, at=1)
    known = {place[:2] for place in kept}
    told = {place: count for place, count in mail.items() if place[2] != "read" or place[:2] not in known}
    return Tally(traits, Counter(told), Counter())


def _count(tx: Tx, organization_id: int) -> Tally:
    left_out = journal.not_followed(tx, shard_of(organization_id), organization_id)
    total = Tally(Counter(), Counter(), Counter())
    after = b""

    def counted_before(_organization_id: int, ids: Collection[RowId]) -> Collection[RowId]:
        return {event_id for event_id in ids if event_id <= after} - left_out

    while page := journal.page_after(tx, organization_id, after, PAGE_EVENTS):
        events = [event for event in page if event.id not in left_out]
        told = told_of(tx, events)
        found = tally(tx, events, told, firsts_of(tx, told, counted_before))
        total.traits.update(found.traits)
        total.mail.update(found.mail)
        after = page[-1].id
    return total


def _differences(kept: Mapping[P, int], counted: Mapping[P, int], begins: int, *, at: int) -> Counter[P]:
    """By place, whose bucket stands `at` a position in it."""
    changes: Counter[P] = Counter()
    for place in kept.keys() | counted.keys():
        assert isinstance(place, tuple)
        have, want = kept.get(place, 0), counted.get(place, 0)
        if place[at] < begins:
            continue
        changes[place] = (max(have, want) if place[at] == begins else want) - have
    return Counter({place: change for place, change in changes.items() if change})
