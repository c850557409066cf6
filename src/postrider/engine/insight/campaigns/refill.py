"""Hits that are missing, taken up from the journal: of what happened before they were kept at all.

A row that holds less than the journal is written anew; one that holds more is older than the journal, and
stays. Messages of which followers have not taken everything yet are left for them, and for the next time.
"""

from collections.abc import Sequence

from postrider.db.database import Database, Tx
from postrider.engine import journal
from postrider.engine.insight.campaigns import store
from postrider.engine.insight.campaigns.follow import WHO, keys_of, numbers_of
from postrider.engine.insight.campaigns.model import HITS, Key, Seen
from postrider.engine.insight.campaigns.store import Hits
from postrider.engine.insight.model import Who
from postrider.engine.insight.tally import Told
from postrider.engine.journal.record import shard_of
from postrider.engine.messages import facets
from postrider.kit.ids import RowId

PAGE_EVENTS = 1_000
MESSAGES_AT_ONCE = 20  # of one write: what stays under 25 ms


def refill(db: Database, organization_id: int) -> int:
    """Go through the journal of an organization; answers how many rows were missing something."""
    after, wrong = b"", 0
    while page := db.read_now(journal.page_after, organization_id, after, PAGE_EVENTS):
        hit = {event.message_id: None for event in page if event.kind in HITS}
        ids = [message_id for message_id in hit if message_id is not None]
        lacking = [
            some
            for start in range(0, len(ids), MESSAGES_AT_ONCE)
            if db.read_now(_is_lacking, organization_id, some := ids[start : start + MESSAGES_AT_ONCE])
        ]
        wrong += sum(db.write_now(_write, organization_id, some) for some in lacking)
        after = page[-1].id
    return wrong


def _is_lacking(tx: Tx, organization_id: int, message_ids: Sequence[RowId]) -> bool:
    """Whether these have more openings, clicks and the like than are kept: a look that writes nothing."""
    told = _told(tx, organization_id, message_ids)
    keys = {key for event, its in told for key in keys_of(event, its.campaign_id or b"", b"", {})}
    have = store.hits(tx, keys)
    times: dict[Key, int] = dict.fromkeys(keys, 0)
    for event, its in told:
        for key in keys_of(event, its.campaign_id or b"", b"", {}):
            times[key] += 1
    return any(times[key] > have.get(key, {}).get(Who.ALL, Seen()).times for key in keys)


def _write(tx: Tx, organization_id: int, message_ids: Sequence[RowId]) -> int:
    told = _told(tx, organization_id, message_ids)
    numbers = numbers_of(tx, told, {})
    want: dict[tuple[Key, int], Hits] = {}
    for event, its in told:
        whose = WHO.get(journal.whose(event.data or {})) if event.kind in journal.HITS else None
        for key in keys_of(event, its.campaign_id or b"", its.content_id, numbers):
            hits = want.setdefault((key, its.variant), {})
            for who in (Who.ALL, *((whose,) if whose else ())):
                hits.setdefault(who, Seen()).add(event.at)
    have = store.hits(tx, [key for key, _ in want])
    lacking = {
        place: hits
        for place, hits in want.items()
        if hits[Who.ALL].times > have.get(place[0], {}).get(Who.ALL, Seen()).times
    }
    store.put_hits(tx, lacking)
    return len(lacking)


def _told(tx: Tx, organization_id: int, message_ids: Sequence[RowId]) -> list[Told]:
    """What happened to those that are of campaigns, as it is seen now; to those of which all was followed."""
    of_campaigns = {
        message_id: its
        for message_id, its in facets.of(tx, [(organization_id, each) for each in message_ids]).items()
        if its.campaign_id is not None
    }
    if not of_campaigns:
        return []
    events = journal.of_messages(tx, organization_id, list(of_campaigns))
    among = {event.id: event.message_id for event in events}
    waiting = journal.not_followed(tx, shard_of(organization_id), organization_id, among=among)
    left = {among[event_id] for event_id in waiting}
    return [
        (event, of_campaigns[event.message_id or b""])
        for event in events
        if event.kind in HITS and event.message_id not in left
    ]
