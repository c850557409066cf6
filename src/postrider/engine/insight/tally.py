"""What a batch of events adds to the rollups: the one way of counting, for the follower and for a rebuild.

Both count alike in whatever portions they do it: a message's first times never change once they are set, and
of several events of such a moment one counts, whichever comes first.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.insight.model import Measure
from postrider.engine.insight.platforms import platform_of
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import facets
from postrider.engine.messages.facets import Facets
from postrider.kit import clock
from postrider.kit.ids import ID_BYTES, RowId

BUCKET_MS = 15 * clock.MINUTE
NO_DOMAIN = bytes(ID_BYTES)
TAGS_MAX = 50  # of one mail that are counted

Place = tuple[int, int, str, bytes, int]  # organization, bucket, measure, domain, stream
TagPlace = tuple[int, int, bytes, str, str]  # organization, bucket, domain, tag, measure


# (organization, events) -> those of them that were counted before this portion
Before = Callable[[int, Collection[RowId]], Collection[RowId]]


class Tally(NamedTuple):
    """How much to add where."""

    places: Counter[Place]
    tag_places: Counter[TagPlace]


def tally(tx: Tx, events: Sequence[Event], counted_before: Before) -> Tally:
    """Count events; what is of no message, or of one nobody knows, is not counted."""
    counted = [(event, event.message_id) for event in events if event.message_id and _is_counted(event)]
    found = Tally(Counter(), Counter())
    if not counted:
        return found
    known = facets.of(tx, [(event.organization_id, message_id) for event, message_id in counted])
    of_known = [(event, known[message_id]) for event, message_id in counted if message_id in known]
    firsts = _firsts(tx, of_known, counted_before)
    for event, its in of_known:
        bucket, domain = bucket_of(event.at), its.domain_id or NO_DOMAIN
        measures = [measure.value for measure in (*measures_of(event), *firsts.get(event.id, ()))]
        found.places.update(
            (event.organization_id, bucket, measure, domain, int(its.stream)) for measure in measures
        )
        found.tag_places.update(
            (event.organization_id, bucket, domain, tag, measure)
            for tag in _tags(its)
            for measure in measures
        )
    return found


def bucket_of(at: int) -> int:
    return at - at % BUCKET_MS


def measures_of(event: Event) -> Iterator[Measure]:
    """What an event counts as, each time."""
    data = event.data or {}
    if event.kind is EventKind.BOUNCED:
        yield _BOUNCES.get(str(data.get("class")), Measure.BOUNCED_SOFT)
        return
    if event.kind not in _MEASURES:
        return
    yield _MEASURES[event.kind]
    if event.kind in _BY_WHOM and (is_human := data.get("human")) is not None:
        yield _BY_WHOM[event.kind][0 if is_human else 1]
    if event.kind is EventKind.OPENED:
        yield platform_of(data.get("user_agent"))


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
    EventKind.OPENED: (Measure.OPENED_HUMAN, Measure.OPENED_SCANNER),
    EventKind.CLICKED: (Measure.CLICKED_HUMAN, Measure.CLICKED_SCANNER),
}
_UNIQUE = {
    Measure.OPENED: Measure.OPENED_UNIQUE,
    Measure.OPENED_HUMAN: Measure.OPENED_HUMAN_UNIQUE,
    Measure.CLICKED: Measure.CLICKED_UNIQUE,
    Measure.CLICKED_HUMAN: Measure.CLICKED_HUMAN_UNIQUE,
}


def _is_counted(event: Event) -> bool:
    return event.kind in _MEASURES or event.kind is EventKind.BOUNCED


def _tags(its: Facets) -> list[str]:
    return list(dict.fromkeys(its.tags))[:TAGS_MAX]


def _firsts(
    tx: Tx, events: Sequence[tuple[Event, Facets]], counted_before: Before
) -> dict[RowId, list[Measure]]:
    """The unique measures of the events that are their message's first, by event."""
    portion: dict[_First, RowId] = {}
    candidates = []
    for event, its in events:
        if places := list(_first_places(event, its)):
            candidates.append(event)
            for place in places:
                portion[place] = min(event.id, portion.get(place, event.id))
    if not candidates:
        return {}
    taken = _taken(tx, candidates, {event.message_id: its for event, its in events}, counted_before)
    firsts: dict[RowId, list[Measure]] = {}
    for place, event_id in portion.items():
        if place not in taken:
            firsts.setdefault(event_id, []).append(_UNIQUE[place[1]])
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
        for place in _first_places(others[event_id], its[others[event_id].message_id])
    }


def _first_places(event: Event, its: Facets) -> Iterator[_First]:
    for measure in measures_of(event):
        if measure in _UNIQUE and _first_at(measure, its) == event.at:
            yield event.message_id, measure


def _first_at(measure: Measure, its: Facets) -> int | None:
    match measure:
        case Measure.OPENED:
            return its.first_opened_at
        case Measure.OPENED_HUMAN:
            return its.first_human_opened_at
        case Measure.CLICKED:
            return its.first_clicked_at
        case Measure.CLICKED_HUMAN:
            return its.first_human_clicked_at
        case _:
            return None
