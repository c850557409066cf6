"""Changes of mind about openings and clicks: a `reclassified` event corrects an earlier one, which stays.

Two facts are kept in the data of events, so that whoever counts needs nothing but the journal: `first_human`
of an opening or click says that it gave its message that time; of a correction, what the time was before and
is after it. The marks must be right whichever node writes next, so the messages are held meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

from postrider.db.database import Tx
from postrider.engine.journal.model import Event, EventKind
from postrider.engine.messages import facets
from postrider.kit.ids import RowId
from postrider.kit.record import record

HITS = (EventKind.OPENED, EventKind.CLICKED)
FIRST = "first_human"
SOURCE = "reclassified"  # begins the source_id of a correction; the event's id follows, then the verdict


class Whose(Enum):
    """Whose an opening or click is; unknown: it was never looked at."""

    HUMAN = "human"
    SUSPICIOUS = "suspicious"
    SCANNER = "scanner"
    UNKNOWN = "unknown"


@record
class Correction:
    """What a `reclassified` event says of the event `event_id`, of `kind` and time `at`.

    `first`: the message's first human time of that kind before and after it; None where it stays.
    """

    event_id: RowId
    kind: EventKind
    at: int
    was: Whose
    now: Whose
    scanner: dict[str, Any]
    first: tuple[int | None, int | None] | None = None


def whose(data: Mapping[str, Any]) -> Whose:
    match data.get("human"):
        case True:
            return Whose.HUMAN
        case False:
            return Whose.SCANNER
        case _:
            return Whose.SUSPICIOUS if "scanner" in data else Whose.UNKNOWN


def human_of(who: Whose) -> bool | None:
    """As data.human has it: a suspicious one is neither."""
    return {Whose.HUMAN: True, Whose.SCANNER: False}.get(who)


def correct(
    event: Event, now: Whose, *, at: int, scanner: dict[str, Any], first: tuple[int | None, int | None] | None
) -> Event:
    """The event that corrects another. It is one for each event and verdict, however often it is made."""
    data: dict[str, Any] = {
        "event": event.id.hex(),
        "kind": int(event.kind),
        "at": event.at,
        "was": whose(event.data or {}).value,
        "now": now.value,
        "scanner": scanner,
    }
    if first is not None:
        data[FIRST] = list(first)
    return Event(
        organization_id=event.organization_id,
        kind=EventKind.RECLASSIFIED,
        at=at,
        message_id=event.message_id,
        data=data,
        source_id=f"{SOURCE}:{event.id.hex()}:{now.value}",
    )


def correction_of(event: Event) -> Correction | None:
    """None for what corrects nothing: a hidden link that was followed is told by the same kind."""
    data = event.data or {}
    if event.kind is not EventKind.RECLASSIFIED or "event" not in data:
        return None
    first = data.get(FIRST)
    return Correction(
        bytes.fromhex(data["event"]),
        EventKind(data["kind"]),
        data["at"],
        Whose(data["was"]),
        Whose(data["now"]),
        data["scanner"],
        None if first is None else (first[0], first[1]),
    )


def corrected(events: Sequence[Event], corrections: Iterable[Event]) -> list[Event]:
    """The events as they are seen after their corrections, which are given in the order of their ids."""
    found = (correction_of(event) for event in corrections)
    last = {correction.event_id: correction for correction in found if correction is not None}
    return [
        _seen_now(event, last[event.id]) if event.kind in HITS and event.id in last else event
        for event in events
    ]


def mark_firsts(tx: Tx, events: Sequence[Event]) -> Sequence[Event]:
    """The same events; the human ones that are their message's first of their kind say so."""
    human = [event for event in events if event.kind in HITS and event.message_id and _is_human(event)]
    if not human:
        return events
    standing = facets.standing(tx, [(event.organization_id, event.message_id or b"") for event in human])
    firsts: dict[tuple[RowId | None, EventKind], Event] = {}
    for event in human:
        its = standing.get(event.message_id or b"")
        if its is None or its.first_human(clicked=event.kind is EventKind.CLICKED) is not None:
            continue
        key = (event.message_id, event.kind)
        if key not in firsts or event.at < firsts[key].at:
            firsts[key] = event
    marked = {event.id for event in firsts.values()}
    return [
        replace(event, data={**(event.data or {}), FIRST: True}) if event.id in marked else event
        for event in events
    ]


def _is_human(event: Event) -> bool:
    return whose(event.data or {}) is Whose.HUMAN


def _seen_now(event: Event, correction: Correction) -> Event:
    data = {**(event.data or {}), "scanner": correction.scanner}
    data.pop("human", None)
    if (human := human_of(correction.now)) is not None:
        data["human"] = human
    return replace(event, data=data)
