"""What a batch of events adds to the rollups: the one way of counting, for the follower and for a rebuild.

Both count alike in whatever portions they do it: a message's first times never change once they are set, and
of several events of such a moment one counts, whichever comes first. Human first times do change, with a
`reclassified` event: so what they count as stands in the events themselves.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.insight.model import Measure
from postrider.engine.insight.platforms import platform_of
from postrider.engine.journal import Event, EventKind, Whose
from postrider.engine.messages import Stream, facets
from postrider.engine.messages.facets import Facets
from postrider.kit import clock
from postrider.kit.ids import ID_BYTES, RowId

BUCKET_MS = 15 * clock.MINUTE
NO_DOMAIN = bytes(ID_BYTES)
TAGS_MAX = 50  # of one mail that are counted

Place = tuple[int, int, str, bytes, int]  # organization, bucket, measure, domain, stream
TagPlace = tuple[int, int, bytes, str, str]  # organization, bucket, domain, tag, measure


_Alike = tuple[int, int, Measure, tuple[bytes, Stream, tuple[str, ...]]]  # the last: domain, stream, tags

# (organization, events) -> those of them that were counted before this portion
Before = Callable[[int, Collection[RowId]], Collection[RowId]]


class Tally(NamedTuple):
    """How much to add where: less than nothing where an event corrects another."""

    places: Counter[Place]
    tag_places: Counter[TagPlace]


Told = tuple[Event, Facets]  # an event that is counted, and its message


def told_of(tx: Tx, events: Sequence[Event]) -> list[Told]:
    """Those events that are counted; what is of no message, or of one nobody knows, is not."""
    counted = [(event, event.message_id) for event in events if event.message_id and _is_counted(event)]
    if not counted:
        return []
    known = facets.of(tx, [(event.organization_id, message_id) for event, message_id in counted])
    return [(event, known[message_id]) for event, message_id in counted if message_id in known]


def tally(told: Sequence[Told], firsts: "Firsts") -> Tally:
    """Count events, and what of them was the first of its message."""
    found = Tally(Counter(), Counter())
    alike: dict[_Alike, int] = defaultdict(int)  # many events of a batch are: their tags are told apart once
    for event, its in told:
        mail = its.domain_id or NO_DOMAIN, its.stream, tuple(its.tags)
        for at, measure, amount in (*changes_of(event), *firsts.get(event.id, ())):
            alike[event.organization_id, bucket_of(at), measure, mail] += amount
    for (organization_id, bucket, measure, (domain, stream, tags)), amount in alike.items():
        found.places[organization_id, bucket, measure.value, domain, int(stream)] += amount
        for tag in list(dict.fromkeys(tags))[:TAGS_MAX]:
            found.tag_places[organization_id, bucket, domain, tag, measure.value] += amount
    return found


def bucket_of(at: int) -> int:
    return at - at % BUCKET_MS


Change = tuple[int, Measure, int]  # a time, and how much more is counted of what happened then


def changes_of(event: Event) -> Iterator[Change]:
    """What an event adds by itself; a correction takes back what the event it corrects added."""
    correction = journal.correction_of(event) if event.kind is EventKind.RECLASSIFIED else None
    if correction is None:
        for measure in measures_of(event):
            yield event.at, measure, 1
        return
    by_whom, unique = _BY_WHOM[correction.kind], _HUMAN_UNIQUE[correction.kind]
    if correction.was in by_whom:
        yield correction.at, by_whom[correction.was], -1
    if correction.now in by_whom:
        yield correction.at, by_whom[correction.now], 1
    before, after = correction.first or (None, None)
    if before is not None:
        yield before, unique, -1
    if after is not None:
        yield after, unique, 1


def measures_of(event: Event) -> Iterator[Measure]:
    """What an event counts as, each time; a message's first opening and click aside."""
    data = event.data or {}
    if event.kind is EventKind.BOUNCED:
        yield _BOUNCES.get(str(data.get("class")), Measure.BOUNCED_SOFT)
        return
    if event.kind not in _MEASURES:
        return
    yield _MEASURES[event.kind]
    if event.kind in _BY_WHOM and (by_whom := _BY_WHOM[event.kind].get(journal.whose(data))) is not None:
        yield by_whom
        if data.get("first_human"):
            yield _HUMAN_UNIQUE[event.kind]
    if event.kind is EventKind.OPENED:
        yield platform_of(data)


_MEASURES = {
    EventKind.ACCEPTED: Measure.ACCEPTED,
    EventKind.SENT: Measure.SENT,
    EventKind.DELIVERED: Measure.DELIVERED,
    EventKind.DEFERRED: Measure.DEFERRED,
    EventKind.FAILED: Measure.FAILED,
    EventKind.SUPPRESSED: Measure.SUPPRESSED,
    EventKind.CANCELLED: Measure.CANCELLED,
    EventKind.OPENED: Measure.OPENED,
    EventKind.CLICKED: Measure.CLICKED,
    EventKind.COMPLAINED: Measure.COMPLAINED,
    EventKind.UNSUBSCRIBED: Measure.UNSUBSCRIBED,
}
_BOUNCES = {"hard": Measure.BOUNCED_HARD, "block": Measure.BOUNCED_BLOCK}
_BY_WHOM = {
    EventKind.OPENED: {
        Whose.HUMAN: Measure.OPENED_HUMAN,
        Whose.SUSPICIOUS: Measure.OPENED_SUSPICIOUS,
        Whose.SCANNER: Measure.OPENED_SCANNER,
    },
    EventKind.CLICKED: {
        Whose.HUMAN: Measure.CLICKED_HUMAN,
        Whose.SUSPICIOUS: Measure.CLICKED_SUSPICIOUS,
        Whose.SCANNER: Measure.CLICKED_SCANNER,
    },
}
_HUMAN_UNIQUE = {
    EventKind.OPENED: Measure.OPENED_HUMAN_UNIQUE,
    EventKind.CLICKED: Measure.CLICKED_HUMAN_UNIQUE,
}
_UNIQUE = {
    Measure.OPENED: Measure.OPENED_UNIQUE,
    Measure.CLICKED: Measure.CLICKED_UNIQUE,
}


Firsts = Mapping[RowId, Sequence[Change]]  # by event


def _is_counted(event: Event) -> bool:
    if event.kind is EventKind.RECLASSIFIED:
        return journal.correction_of(event) is not None
    return event.kind in _MEASURES or event.kind is EventKind.BOUNCED


def firsts_of(tx: Tx, events: Sequence[Told], counted_before: Before) -> dict[RowId, list[Change]]:
    """The unique measures of the events that are their message's first, by event."""
    portion: dict[_First, Event] = {}
    candidates = []
    for event, its in events:
        if (place := _first_place(event, its)) is not None:
            candidates.append(event)
            if place not in portion or event.id < portion[place].id:
                portion[place] = event
    if not candidates:
        return {}
    taken = _taken(tx, candidates, {event.message_id: its for event, its in events}, counted_before)
    firsts: dict[RowId, list[Change]] = {}
    for place, event in portion.items():
        if place not in taken:
            firsts.setdefault(event.id, []).append((event.at, _UNIQUE[place[1]], 1))
    return firsts


_First = tuple[RowId | None, Measure]  # a message, and what it was for the first time


def _taken(
    tx: Tx, candidates: Sequence[Event], its: dict[RowId | None, Facets], counted_before: Before
) -> set[_First]:
    """The firsts that another event of the same moment was counted as, in an earlier portion."""
    here = {event.id for event in candidates}
    tied: dict[int, dict[RowId, Event]] = {}
    for event in journal.at_the_moment_of(tx, candidates):
        if event.id not in here:
            tied.setdefault(event.organization_id, {})[event.id] = event
    return {
        place
        for organization_id, others in tied.items()
        for event_id in counted_before(organization_id, others.keys())
        if (place := _first_place(others[event_id], its[others[event_id].message_id])) is not None
    }


def _first_place(event: Event, its: Facets) -> _First | None:
    match event.kind:
        case EventKind.OPENED if its.first_opened_at == event.at:
            return event.message_id, Measure.OPENED
        case EventKind.CLICKED if its.first_clicked_at == event.at:
            return event.message_id, Measure.CLICKED
        case _:
            return None
