"""From hits to events, a little later: evidence of scanners comes after the hit it belongs to.

What comes later still corrects what was recorded: a `reclassified` event moves an opening or click up (from
human to suspicious to scanner, never back). Each hit is one event and each correction one, by their
source_id: a kill between any two statements repeats and loses nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.audience import contacts
from postrider.engine.engagement import store
from postrider.engine.engagement.agents import AgentKind, agent_of
from postrider.engine.engagement.evidence import NEAR_MS, evidence_of
from postrider.engine.engagement.model import Hit, HitKind
from postrider.engine.engagement.score import Band, Evidence, Score, band_of, score
from postrider.engine.engagement.sources import Sources
from postrider.engine.journal import Event, EventKind, Whose
from postrider.engine.messages import facets
from postrider.engine.messages.facets import Standing
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor

WINDOW_MS = 2 * clock.SECOND
HITS_AT_ONCE = 128  # hits of one transaction: what stays under 25 ms
LATER_MAX = 500  # that are looked at before their own time has come
HITS_MAX = 200  # of one message, beyond which no evidence is looked for in its earlier ones
EARLIER_MS = NEAR_MS + clock.MINUTE  # how long after a hit its event is recorded, and what is near it
_KINDS = {HitKind.OPEN: EventKind.OPENED, HitKind.CLICK: EventKind.CLICKED}
_HITS = {kind: hit for hit, kind in _KINDS.items()}
_WHOSE = {Band.HUMAN: Whose.HUMAN, Band.SUSPICIOUS: Whose.SUSPICIOUS, Band.SCANNER: Whose.SCANNER}
_HUMAN = {Band.HUMAN: True, Band.SCANNER: False}


def due_hits(tx: Tx, sources: Sources) -> bool:
    """Whether there are any; who they come from is looked up here, for it may take long."""
    senders = store.senders_before(tx, clock.now_ms() - WINDOW_MS, HITS_AT_ONCE)
    for user_agent, ip in senders:
        agent_of(user_agent)
        sources.place_of(ip)
    return bool(senders)


def record_hits(tx: Tx, sources: Sources) -> int:
    """Record the hits whose window is over, HITS_AT_ONCE at most, and drop their rows; answers how many."""
    before = clock.now_ms() - WINDOW_MS
    due = store.due(tx, before, HITS_AT_ONCE)
    if not due:
        return 0
    standing = _tracked(tx, facets.standing(tx, [(hit.organization_id, hit.message_id) for hit in due]))
    earlier = _earlier(tx, due, standing)
    hits = [*due, *(hit for hit in store.after(tx, before, LATER_MAX) if hit.message_id in standing)]
    scores = _scores(tx, hits, earlier, standing, sources)
    journal.record(tx, _corrections(tx, earlier, scores, standing))
    known = [hit for hit in due if hit.message_id in standing]
    journal.record(tx, [_event(hit, scores.get(hit.id), sources) for hit in known])
    store.delete_hits(tx, [hit.id for hit in due])
    return len(due)


def _tracked(tx: Tx, standing: dict[RowId, Standing]) -> dict[RowId, Standing]:
    """Without the messages to those who refuse to be tracked: nothing is recorded of what they open."""
    its = {message_id: (each.organization_id, each.address_key) for message_id, each in standing.items()}
    refusing = contacts.refusing_tracking(tx, its.values())
    return {message_id: standing[message_id] for message_id, pair in its.items() if pair not in refusing}


def _earlier(tx: Tx, due: Sequence[Hit], standing: dict[RowId, Standing]) -> list[Event]:
    """What was recorded of the same messages shortly before, corrections too, by id."""
    began: dict[RowId, int] = {}
    for hit in due:
        its = standing.get(hit.message_id)
        if its is not None and its.hits <= HITS_MAX:
            began[hit.message_id] = min(hit.at, began.get(hit.message_id, hit.at))
    return journal.hits_since(
        tx,
        [
            (standing[message_id].organization_id, message_id, id_floor(max(at - EARLIER_MS, 0)))
            for message_id, at in began.items()
        ],
    )


def _scores(
    tx: Tx,
    hits: Iterable[Hit],
    earlier: Sequence[Event],
    standing: dict[RowId, Standing],
    sources: Sources,
) -> dict[RowId, Score]:
    """By the id of a hit, or of the event that one has become."""
    together: dict[RowId, list[Hit]] = {}
    for hit in (*hits, *(hit for event in earlier if (hit := _hit(event)) is not None)):
        if hit.message_id in standing:
            together.setdefault(hit.message_id, []).append(hit)
    clicked = [
        standing[message_id]
        for message_id, its in together.items()
        if any(hit.kind is HitKind.CLICK for hit in its)
    ]
    links = facets.link_counts(tx, [(its.organization_id, its.content_id) for its in clicked])
    found: dict[RowId, Evidence] = {}
    for message_id, its in together.items():
        of_message = standing[message_id]
        found |= evidence_of(
            its, sources, sent_at=of_message.sent_at, links=links.get(of_message.content_id, 0)
        )
    return {hit_id: score(evidence) for hit_id, evidence in found.items()}


def _hit(event: Event) -> Hit | None:
    """The hit that an event was; None for a correction."""
    data = event.data or {}
    if event.message_id is None or (event.kind is EventKind.RECLASSIFIED and "hidden" not in data):
        return None
    return Hit(
        event.organization_id,
        event.message_id,
        _HITS.get(event.kind, HitKind.HIDDEN),
        data.get("link"),
        data.get("ip") or "",
        data.get("user_agent") or "",
        data.get("method") or "",
        event.at,
        event.id,
    )


def _corrections(
    tx: Tx, earlier: Sequence[Event], scores: dict[RowId, Score], standing: dict[RowId, Standing]
) -> list[Event]:
    """A correction of each event that is now in a higher band than it was."""
    moved = [
        event
        for event in journal.corrected(earlier, earlier)
        if event.id in scores
        and "scanner" in (event.data or {})
        and scores[event.id].band > band_of((event.data or {})["scanner"]["score"])
    ]
    if not moved:
        return []
    firsts = _firsts_after(tx, moved, scores, standing)
    now = clock.now_ms()
    return [
        journal.correct(
            event,
            _WHOSE[scores[event.id].band],
            at=now,
            scanner={**(event.data or {})["scanner"], **_told(scores[event.id])},
            first=firsts.pop((event.message_id or b"", event.kind), None),
        )
        for event in moved
    ]


def _firsts_after(
    tx: Tx, moved: Sequence[Event], scores: dict[RowId, Score], standing: dict[RowId, Standing]
) -> dict[tuple[RowId, EventKind], tuple[int | None, int | None]]:
    """The first human times, by message and kind, that end with these events: before and after."""
    lost = {
        (event.message_id or b"", event.kind)
        for event in moved
        if (event.data or {}).get("human") is True
        and event.at == standing[event.message_id or b""].first_human(clicked=event.kind is EventKind.CLICKED)
    }
    if not lost:
        return {}
    ids = {message_id for message_id, _ in lost}
    every = journal.hits_since(tx, [(standing[each].organization_id, each, b"") for each in ids])
    left: dict[tuple[RowId, EventKind], int] = {}
    for event in journal.corrected(every, every):
        key = (event.message_id or b"", event.kind)
        is_moved = event.id in scores and scores[event.id].band > Band.HUMAN
        if key in lost and (event.data or {}).get("human") is True and not is_moved:
            left[key] = min(event.at, left.get(key, event.at))
    return {
        key: (standing[key[0]].first_human(clicked=key[1] is EventKind.CLICKED), left.get(key))
        for key in lost
    }


def _event(hit: Hit, verdict: Score | None, sources: Sources) -> Event:
    data: dict[str, Any] = {"ip": hit.ip, "user_agent": hit.user_agent, "method": hit.method}
    if hit.kind is HitKind.HIDDEN:
        data["hidden"] = True
    else:
        assert verdict is not None
        data |= _judged(hit, verdict, sources)
    return Event(
        organization_id=hit.organization_id,
        kind=_KINDS.get(hit.kind, EventKind.RECLASSIFIED),
        at=hit.at,
        message_id=hit.message_id,
        data=data,
        source_id=f"hit:{hit.id.hex()}",
    )


def _judged(hit: Hit, verdict: Score, sources: Sources) -> dict[str, Any]:
    """What an opening's or click's data holds beside the hit itself; what is not known is absent."""
    agent = agent_of(hit.user_agent)
    scanner = _told(verdict)
    if (name := sources.range_of(hit.ip) or agent.name) is not None:
        scanner["name"] = name
    data: dict[str, Any] = {"scanner": scanner}
    if (human := _HUMAN.get(verdict.band)) is not None:
        data["human"] = human
    if hit.link is not None:
        data["link"] = hit.link
    if agent.device is not None:
        data["device"] = agent.device
    if agent.kind is AgentKind.PROXY:
        data["prefetched"] = True
    if (place := sources.place_of(hit.ip)) is not None:
        data["place"] = place
    return data


def _told(verdict: Score) -> dict[str, Any]:
    return {"score": verdict.points, "reasons": [reason.value for reason in verdict.reasons]}
