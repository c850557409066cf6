"""What becomes of a stream that is complained about: marked, judged, paused, resumed. Others count, tell."""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.errors import NotAllowedNow
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Stream, facets, queue
from postrider.engine.principal import Principal
from postrider.engine.sending.guards import store
from postrider.engine.sending.guards.rules import Judged, Verdict
from postrider.engine.sending.guards.store import Watched
from postrider.kit import clock

READ, WRITE = "queues:read", "queues:write"
JUDGED_AFTER_MS = 5 * clock.SECOND  # a crowd of complaints is judged once, when it has been counted
JUDGED_AT_ONCE = 50
REASON = "complaints"


def watch(tx: Tx, shard: int, events: Sequence[Event]) -> None:
    """The follower: a stream somebody complained about is to be judged."""
    mails = [
        (event.organization_id, event.message_id)
        for event in events
        if event.kind is EventKind.COMPLAINED and event.message_id is not None
    ]
    if not mails:
        return
    known = facets.of(tx, mails)
    found = {(organization_id, known[id_].stream) for organization_id, id_ in mails if id_ in known}
    store.mark(tx, sorted(found), clock.now_ms() + JUDGED_AFTER_MS)


follower = journal.Follower("guards", watch)


def due(tx: Tx) -> list[Watched]:
    """Streams that are to be judged now, JUDGED_AT_ONCE at most."""
    return store.due(tx, clock.now_ms(), JUDGED_AT_ONCE)


def settle(tx: Tx, watched: Watched, judged: Judged) -> Verdict:
    """Carry the verdict out; answers what is new: FINE where another node was first, or it was paused."""
    if not store.take(tx, watched):
        return Verdict.FINE
    if judged.verdict is Verdict.PAUSE:
        is_new = queue.pause_stream(tx, watched.organization_id, watched.stream, REASON)
        return Verdict.PAUSE if is_new else Verdict.FINE
    return judged.verdict


def streams_of(tx: Tx, principal: Principal) -> list[queue.PausedStream]:
    """The organization's streams that are paused."""
    principal.require(READ)
    return queue.paused_of(tx, principal.organization_id)


def resume(tx: Tx, principal: Principal, stream: Stream) -> None:
    """Let its mail go out; what happened so far counts no more. NotAllowedNow: it is not paused."""
    principal.require(WRITE)
    if not queue.resume_stream(tx, principal.organization_id, stream):
        raise NotAllowedNow(message="The stream is not paused")
    store.mark_resumed(tx, principal.organization_id, stream, clock.now_ms())
