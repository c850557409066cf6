"""What events of a campaign's messages add to its counts and hits, in the transaction of the other counts.

Whatever the portions and the order in which events come, the counts come to the same: a message's first
opening is the earliest, and where an earlier one is told late, or the first turns out to be a scanner's, the
count moves.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.engagement.agents import device_of
from postrider.engine.insight.campaigns import store
from postrider.engine.insight.campaigns.model import (
    CAMPAIGN,
    CLICKS,
    DEVICES,
    FIRSTS,
    HITS,
    TIMED,
    UNIQUE,
    HitKind,
    Key,
    Place,
    Seen,
    Sum,
)
from postrider.engine.insight.campaigns.store import Hits
from postrider.engine.insight.model import Measure, Who
from postrider.engine.insight.tally import Before, Told, bucket_of, changes_of
from postrider.engine.journal import Event, EventKind, Whose
from postrider.engine.messages import facets, reports
from postrider.kit.ids import RowId

_FOLLOWED = int(HitKind.FOLLOWED)
_UNIQUE = {
    int(kind): {who: measure for (of_kind, who), measure in UNIQUE.items() if of_kind is kind}
    for kind in HitKind
}
WHO = {Whose.HUMAN: Who.HUMAN, Whose.SCANNER: Who.SCANNER}


class Hit(NamedTuple):
    """One hit more (or, after a correction, less) of somebody."""

    key: Key
    variant: int
    who: Who
    at: int
    amount: int


class Counted(NamedTuple):
    """How much to add where: of campaigns by time, and of their links."""

    times: dict[Place, Seen]
    links: dict[Sum, Seen]

    @property
    def places(self) -> dict[Place, int]:
        return {place: seen.times for place, seen in self.times.items()}

    @property
    def sums(self) -> dict[Sum, Seen]:
        """Of links and of whole campaigns; first and last times only of what is never taken back."""
        found: defaultdict[Sum, Seen] = defaultdict(Seen, self.links)
        for (organization_id, campaign_id, measure, _, variant), seen in self.times.items():
            total = found[Sum(organization_id, campaign_id, CAMPAIGN, variant, measure)]
            total.times += seen.times
            if measure in TIMED and seen.first_at is not None and seen.last_at is not None:
                total.add(seen.first_at, 0)
                total.add(seen.last_at, 0)
        return found


def nothing() -> Counted:
    return Counted(defaultdict(Seen), defaultdict(Seen))


def count(tx: Tx, told: Sequence[Told], counted_before: Before) -> None:
    """Add a batch of one shard."""
    of_campaigns = [each for each in told if each[1].campaign_id is not None]
    if not of_campaigns:
        return
    counted = nothing()
    each_time(of_campaigns, counted)
    _count_hits(tx, of_campaigns, counted_before, counted)
    store.add(tx, counted.places, counted.sums)


def each_time(told: Sequence[Told], counted: Counted) -> None:
    """Count events as often as they happened: what needs nothing but the events."""
    for event, its in told:
        campaign_id = its.campaign_id
        if campaign_id is None:
            continue
        organization_id, variant = event.organization_id, its.variant
        for at, measure, amount in changes_of(event):
            if measure not in FIRSTS:
                place = Place(organization_id, campaign_id, measure, bucket_of(at), variant)
                counted.times[place].add(at, amount)
        if event.kind is EventKind.OPENED:
            device = device_of(event.data or {})["type"]
            measure = DEVICES.get(device or "", Measure.OPENED_ON_UNKNOWN)
            place = Place(organization_id, campaign_id, measure, bucket_of(event.at), variant)
            counted.times[place].add(event.at)


def _count_hits(tx: Tx, told: Sequence[Told], counted_before: Before, counted: Counted) -> None:
    history = _history(tx, told, counted_before)
    numbers = numbers_of(tx, told, history)
    changes = [hit for event, its in told for hit in _hits_of(event, its, history, numbers)]
    if not changes:
        return
    before = store.hits(tx, [hit.key for hit in changes])
    after: dict[tuple[Key, int], Hits] = {}
    lessened: dict[RowId, set[tuple[Key, int, Who]]] = defaultdict(set)
    for hit in changes:
        its = after.setdefault((hit.key, hit.variant), _copy(before.get(hit.key, {})))
        seen = its.setdefault(hit.who, Seen())
        if hit.amount > 0:
            seen.add(hit.at)
        else:
            seen.times += hit.amount
            lessened[hit.key.message_id].add((hit.key, hit.variant, hit.who))
        if hit.key.kind == _FOLLOWED:
            organization_id, campaign_id, _, link, _ = hit.key
            place = Sum(organization_id, campaign_id, link, hit.variant, CLICKS[hit.who])
            if hit.who is Who.ALL:
                counted.links[place].add(hit.at)
            else:
                counted.links[place].times += hit.amount
    for message_id, places in lessened.items():
        for key, variant, who in places:
            _bound(after[key, variant][who], _times(history[message_id], key, who, numbers))
    for (key, variant), its in after.items():
        was = before.get(key)
        for who, seen in its.items():
            first = was[who].first_at if was else None
            if first != seen.first_at:
                _move(counted, key, variant, who, first, seen.first_at)
    store.put_hits(tx, after)


def _copy(hits: Hits) -> Hits:
    return {who: Seen(seen.times, seen.first_at, seen.last_at) for who, seen in hits.items()}


class History(NamedTuple):
    """The openings and clicks of a message that were corrected, as recorded and as they are seen now."""

    recorded: dict[RowId, Event]
    now: Sequence[Event]
    content_id: RowId
    campaign: tuple[int, RowId]


def _history(tx: Tx, told: Sequence[Told], counted_before: Before) -> dict[RowId, History]:
    """Of the messages with a correction in this batch: all that was followed so far, with this batch."""
    moved = {
        event.message_id or b"": (event.organization_id, its)
        for event, its in told
        if event.kind is EventKind.RECLASSIFIED
    }
    if not moved:
        return {}
    every = journal.hits_since(tx, [(of[0], message_id, b"") for message_id, of in moved.items()])
    here = {event.id for event, _ in told}
    by_message: dict[RowId, list[Event]] = {message_id: [] for message_id in moved}
    for event in every:
        by_message[event.message_id or b""].append(event)
    found = {}
    for message_id, (organization_id, its) in moved.items():
        others = [event.id for event in by_message[message_id] if event.id not in here]
        known = here | set(counted_before(organization_id, others)) if others else here
        followed = [event for event in by_message[message_id] if event.id in known]
        found[message_id] = History(
            {event.id: event for event in followed},
            [event for event in journal.corrected(followed, followed) if event.kind in HITS],
            its.content_id,
            (organization_id, its.campaign_id or b""),
        )
    return found


Numbers = dict[tuple[int, RowId, RowId, int], int]  # organization, campaign, content, index of a link


def numbers_of(tx: Tx, told: Sequence[Told], history: dict[RowId, History]) -> Numbers:
    """The numbers of the links that were followed; a link that is new to its campaign gets the next one."""
    followed = {
        (event.organization_id, its.campaign_id or b"", its.content_id, link)
        for event, its in told
        if (link := _link(event)) is not None
    }
    followed |= {
        (*of.campaign, of.content_id, link)
        for of in history.values()
        for event in of.now
        if (link := _link(event)) is not None
    }
    if not followed:
        return {}
    hrefs = reports.links_of(tx, [(organization_id, content) for organization_id, _, content, _ in followed])
    known = store.links(tx, [(organization_id, campaign) for organization_id, campaign, _, _ in followed])
    numbers: Numbers = {}
    new = []
    for place in sorted(followed):
        organization_id, campaign_id, content_id, link = place
        its = hrefs.get(content_id, ())
        if link >= len(its):
            continue
        of_campaign = known.setdefault((organization_id, campaign_id), {})
        number = of_campaign.get(its[link])
        if number is None:
            if len(of_campaign) >= store.LINKS_MAX:
                continue
            number = of_campaign[its[link]] = len(of_campaign) + 1
            new.append((organization_id, campaign_id, number, its[link]))
        numbers[place] = number
    store.add_links(tx, new)
    return numbers


def _link(event: Event) -> int | None:
    link = (event.data or {}).get("link") if event.kind is EventKind.CLICKED else None
    return link if isinstance(link, int) and link >= 0 else None


def _hits_of(
    event: Event, its: facets.Facets, history: dict[RowId, History], numbers: Numbers
) -> Iterator[Hit]:
    """What an event does to the hits of its message, whoever they are told of."""
    message_id = event.message_id or b""
    if event.kind is not EventKind.RECLASSIFIED:
        changes = [(Who.ALL, 1)]
        if event.kind in journal.HITS and (who := WHO.get(journal.whose(event.data or {}))) is not None:
            changes.append((who, 1))
        corrected, at = event, event.at
    else:
        correction = journal.correction_of(event)
        if correction is None:
            return
        changes = [
            (WHO[whose], amount)
            for whose, amount in ((correction.was, -1), (correction.now, 1))
            if whose in WHO
        ]
        recorded = history[message_id].recorded.get(correction.event_id)
        corrected = recorded or Event(event.organization_id, correction.kind, correction.at, message_id)
        at = correction.at
    if corrected.kind not in HITS:
        return
    for key in keys_of(corrected, its.campaign_id or b"", its.content_id, numbers):
        for who, amount in changes:
            yield Hit(key, its.variant, who, at, amount)


def keys_of(event: Event, campaign_id: RowId, content_id: RowId, numbers: Numbers) -> Iterator[Key]:
    organization_id, message_id = event.organization_id, event.message_id or b""
    yield Key(organization_id, campaign_id, HITS[event.kind], CAMPAIGN, message_id)
    link = _link(event)
    if link is None:
        return
    number = numbers.get((organization_id, campaign_id, content_id, link))
    if number is not None:
        yield Key(organization_id, campaign_id, _FOLLOWED, number, message_id)


def _times(history: History, key: Key, who: Who, numbers: Numbers) -> list[int]:
    """When what a row counts happened, as it is seen now."""
    return [
        event.at
        for event in history.now
        if WHO.get(journal.whose(event.data or {})) is who
        and key in keys_of(event, key.campaign_id, history.content_id, numbers)
    ]


def _bound(seen: Seen, times: Sequence[int]) -> None:
    """First and last once more, after something was taken back; what the journal has dropped stays."""
    if seen.times <= 0:
        seen.times, seen.first_at, seen.last_at = 0, None, None
    elif len(times) >= seen.times:
        seen.first_at, seen.last_at = min(times), max(times)


def _move(counted: Counted, key: Key, variant: int, who: Who, was: int | None, now: int | None) -> None:
    """A first that came, went or is another one."""
    organization_id, campaign_id, kind, link, _ = key
    if kind == _FOLLOWED:
        place = Sum(organization_id, campaign_id, link, variant, UNIQUE[HitKind.CLICKED, who])
        counted.links[place].times += (now is not None) - (was is not None)
        return
    measure = _UNIQUE.get(kind, {}).get(who)
    if measure is None:
        return
    for at, amount in ((was, -1), (now, 1)):
        if at is not None:
            place_of = Place(organization_id, campaign_id, measure, bucket_of(at), variant)
            counted.times[place_of].add(at, amount)
