"""The follower of the audience: what happened to a contact's mail is counted there, once, and written down.

Organizations without contacts cost it one look for a whole batch. What happened before an address was made a
contact is not counted; what happens to the same mail later is.
"""

from collections import Counter
from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine import journal, messages
from postrider.engine.audience.follow import store
from postrider.engine.audience.follow.rules import score
from postrider.engine.audience.follow.store import Counters, Engagement
from postrider.engine.audience.model import EngagementKind
from postrider.engine.journal import Event, EventKind, Whose
from postrider.engine.messages import traces
from postrider.engine.messages.traces import Trace
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor, id_time

LINK_MAX_CHARS = 2_000
SKEW_MS = clock.HOUR  # by how much the clocks of two nodes may differ
KINDS = {
    EventKind.SENT: EngagementKind.SENT,
    EventKind.OPENED: EngagementKind.OPENED,
    EventKind.CLICKED: EngagementKind.CLICKED,
}
_FOLLOWED = {*KINDS, EventKind.BOUNCED, EventKind.RECLASSIFIED}
_IS_HUMAN = {Whose.HUMAN: 1, Whose.SCANNER: 0}

Seen = tuple[Event, Trace, Counters]  # an event, its message, and the contact that is for


def _follow(tx: Tx, shard: int, events: Sequence[Event]) -> None:
    told = [(event, event.message_id) for event in events if event.kind in _FOLLOWED and event.message_id]
    if not told:
        return
    having = store.with_contacts(tx, {event.organization_id for event, _ in told})
    told = [(event, message_id) for event, message_id in told if event.organization_id in having]
    if not told:
        return
    traced = traces.of(tx, [(event.organization_id, message_id) for event, message_id in told])
    counted = store.hold(tx, [(each.organization_id, each.address_key) for each in traced.values()])
    if not counted:
        return
    seen: list[Seen] = [
        (event, trace, contact)
        for event, message_id in told
        if (trace := traced.get(message_id)) is not None
        and (contact := counted.get((trace.organization_id, trace.address_key))) is not None
    ]
    firsts = _first_mails(tx, shard, seen) | _first_hits(tx, seen)
    store.engage(tx, _engagements(tx, seen))
    for event, _, contact in seen:
        _count(contact, event, is_first=event.id in firsts)
    _correct(tx, seen)
    now = clock.now_ms()
    scores = {each.id: score_of(each, now) for each in counted.values()}
    store.write(tx, counted.values(), scores=scores)


follower = journal.Follower("audience", _follow)


def score_of(contact: Counters, now: int) -> int:
    return score(
        sent=contact.sent,
        opened=contact.opened,
        clicked=contact.clicked,
        last_activity_at=contact.last_activity_at,
        now=now,
    )


def _first_mails(tx: Tx, shard: int, seen: Sequence[Seen]) -> set[RowId]:
    """The events by which a message was sent, or bounced, for the first time."""
    firsts: dict[tuple[RowId, EventKind], Event] = {}
    for event, trace, _ in seen:
        at = {EventKind.SENT: trace.first_sent_at, EventKind.BOUNCED: trace.first_bounced_at}.get(event.kind)
        if at == event.at:
            firsts.setdefault((trace.id, event.kind), event)
    bounces = [event for (_, kind), event in firsts.items() if kind is EventKind.BOUNCED]
    for message_id in _bounced_before(tx, shard, bounces):
        del firsts[message_id, EventKind.BOUNCED]
    return {event.id for event in firsts.values()}


def _bounced_before(tx: Tx, shard: int, bounces: Sequence[Event]) -> set[RowId]:
    """The messages of which another bounce of the same moment was counted, with an earlier batch."""
    if not bounces:
        return set()
    here = {event.id for event in bounces}
    before: dict[int, dict[RowId, RowId]] = {}
    for event in journal.at_the_moment_of(tx, bounces):
        if event.id not in here and event.message_id is not None:
            before.setdefault(event.organization_id, {})[event.id] = event.message_id
    found: set[RowId] = set()
    for organization_id, tied in before.items():
        counted = tied.keys() - journal.not_followed(tx, shard, organization_id, among=tied)
        found.update(tied[event_id] for event_id in counted)
    return found


def _first_hits(tx: Tx, seen: Sequence[Seen]) -> set[RowId]:
    """The events by which a contact opened a message, or clicked in it, for the first time as a contact.

    The message knows when that was, and whether it was the only time; where it was before the contact was
    made, or at a moment with several, what is written decides.
    """
    hits = [each for each in seen if each[0].kind in journal.HITS]
    together = Counter((trace.id, event.kind) for event, trace, _ in hits)
    firsts: dict[tuple[RowId, EventKind], Event] = {}
    doubtful: dict[tuple[RowId, EventKind], tuple[int, int, RowId, RowId, RowId]] = {}
    for event, trace, contact in hits:
        is_click = event.kind is EventKind.CLICKED
        at, times = (
            (trace.first_clicked_at, trace.clicks) if is_click else (trace.first_opened_at, trace.opens)
        )
        key = (trace.id, event.kind)
        if key in firsts or (at != event.at and at is not None and at >= contact.created_at):
            continue
        firsts[key] = event
        if times > together[key]:
            since = id_floor(id_time(trace.id) - SKEW_MS)
            doubtful[key] = (event.organization_id, KINDS[event.kind].value, contact.id, trace.id, since)
    known = store.known(tx, list(doubtful.values())) if doubtful else set()
    for key, asked in doubtful.items():
        if asked[:4] in known:
            del firsts[key]
    return {event.id for event in firsts.values()}


def _engagements(tx: Tx, seen: Sequence[Seen]) -> list[Engagement]:
    clicked = [(event.organization_id, trace.content_id) for event, trace, _ in seen if _link_at(event) >= 0]
    contents = messages.contents(tx, clicked) if clicked else {}
    links = {content_id: content.links for content_id, content in contents.items()}
    return [
        Engagement(
            event.organization_id, KINDS[event.kind].value, contact.id, event.id, event.at, trace.id,
            trace.campaign_id, _is_human(event), _link_of(event, links.get(trace.content_id, ())),
        )
        for event, trace, contact in seen
        if event.kind in KINDS
    ]  # fmt: skip


def _count(contact: Counters, event: Event, *, is_first: bool) -> None:
    match event.kind:
        case EventKind.SENT:
            contact.sent += is_first
            contact.last_sent_at = _later(contact.last_sent_at, event.at)
        case EventKind.BOUNCED:
            contact.bounced += is_first
        case EventKind.OPENED:
            contact.opened += is_first
            contact.last_opened_at = _later(contact.last_opened_at, event.at)
        case EventKind.CLICKED:
            contact.clicked += is_first
            contact.last_clicked_at = _later(contact.last_clicked_at, event.at)
    if event.kind in journal.HITS and _is_human(event) != 0:
        contact.last_activity_at = _later(contact.last_activity_at, event.at)


def _correct(tx: Tx, seen: Sequence[Seen]) -> None:
    """What turned out to be a scanner's, or a human's, is so where it is written; and who was active when."""
    judged: dict[RowId, tuple[int, int, RowId, RowId, int | None]] = {}
    corrected: dict[RowId, Counters] = {}
    for event, _, contact in seen:
        correction = journal.correction_of(event)
        if correction is None:
            continue
        corrected[contact.id] = contact
        judged[correction.event_id] = (
            contact.organization_id, KINDS[correction.kind].value, contact.id, correction.event_id,
            _IS_HUMAN.get(correction.now),
        )  # fmt: skip
    if not judged:
        return
    store.judge(tx, list(judged.values()))
    active = store.last_active(tx, [(each.organization_id, each.id) for each in corrected.values()])
    for contact_id, contact in corrected.items():
        contact.last_activity_at = active.get(contact_id)


def _is_human(event: Event) -> int | None:
    return _IS_HUMAN.get(journal.whose(event.data or {})) if event.kind in journal.HITS else None


def _link_at(event: Event) -> int:
    """Which of the content's links was followed; -1: none of them."""
    at = (event.data or {}).get("link") if event.kind is EventKind.CLICKED else None
    return at if isinstance(at, int) else -1


def _link_of(event: Event, links: Sequence[str]) -> str | None:
    at = _link_at(event)
    return links[at][:LINK_MAX_CHARS] if 0 <= at < len(links) else None


def _later(known: int | None, at: int) -> int:
    return at if known is None else max(known, at)
