"""The log of posts over all of an organization's endpoints; and posting again, with the same bytes.

A replay is one more attempt, numbered on; where it fails, what is left of the schedule follows.
"""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine.errors import NotAllowedNow, NotFound
from postrider.engine.principal import Principal
from postrider.engine.webhooks import store
from postrider.engine.webhooks.endpoints import NOUN, READ, WRITE
from postrider.engine.webhooks.log import store as log
from postrider.engine.webhooks.model import Attempt, Endpoint, EndpointState, Outcome, Rendered
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor
from postrider.kit.record import record

ATTEMPT_NOUN = "webhook attempt"
FAILED = (Outcome.TRIED_AGAIN, Outcome.GIVEN_UP)


@record
class Replayed:
    """How many deliveries wait again, and after which line of the log to go on; None: there are no more."""

    count: int
    next: RowId | None


def endpoints_of(tx: Tx, principal: Principal) -> list[Endpoint]:
    """An organization's endpoints of every format, by number."""
    principal.require(READ)
    return store.endpoints(tx, principal.organization_id)


def browse(
    tx: Tx,
    principal: Principal,
    *,
    limit: int,
    before: RowId | None = None,
    endpoint_id: RowId | None = None,
    event_id: RowId | None = None,
    outcomes: Sequence[Outcome] = (),
) -> list[Attempt]:
    """Attempts of the endpoints that are not deleted, newest first; an unknown endpoint or event has none."""
    ids = [each.id for each in endpoints_of(tx, principal) if endpoint_id in (None, each.id)]
    if event_id is not None:
        return log.attempts_at(
            tx, principal.organization_id, ids, event_id, limit=limit, before=before, outcomes=outcomes
        )
    return log.page(tx, principal.organization_id, ids, outcomes or Outcome, limit=limit, after=before)


def attempt_of(tx: Tx, principal: Principal, attempt_id: RowId) -> tuple[Attempt, Endpoint, Rendered | None]:
    """One attempt, where it went and what it sent, None where that is kept no longer. Raises NotFound."""
    endpoints = {each.id: each for each in endpoints_of(tx, principal)}
    found = log.attempt(tx, principal.organization_id, list(endpoints), attempt_id)
    if found is None:
        raise NotFound(noun=ATTEMPT_NOUN)
    body = log.bodies(tx, [found]).get((found.event_id, found.word))
    return found, endpoints[found.endpoint_id], body


def replay(tx: Tx, principal: Principal, attempt_id: RowId) -> Attempt:
    """Post once more, now, what an attempt sent; what waits already is brought forward.

    Answers the attempt as it was. Raises NotFound, and NotAllowedNow where the endpoint is not active or the
    body is kept no longer.
    """
    principal.require(WRITE)
    found, endpoint, rendered = attempt_of(tx, _reader(principal), attempt_id)
    _require_active(endpoint)
    if rendered is None:
        raise NotAllowedNow(message="What was posted then is kept no longer")
    log.queue_again(tx, [_row(found)], clock.now_ms())
    return found


def replay_failed(
    tx: Tx, principal: Principal, endpoint_id: RowId, *, since: int, after: RowId | None = None
) -> Replayed:
    """Post once more what failed at an endpoint since a time (ms) and does not wait any more.

    It looks at log.REPLAYED_AT_ONCE failed attempts, oldest first; `after` goes on where the last call
    ended. Raises NotFound, and NotAllowedNow where the endpoint is not active.
    """
    principal.require(WRITE)
    endpoint = store.endpoint(tx, principal.organization_id, endpoint_id)
    if endpoint is None or endpoint.state is EndpointState.DELETED:
        raise NotFound(noun=NOUN)
    _require_active(endpoint)
    start = max(id_floor(since), after or b"")
    looked_at, lost = log.failed_since(tx, principal.organization_id, endpoint_id, FAILED, start)
    log.queue_again(tx, lost, clock.now_ms())
    return Replayed(len(lost), looked_at)


def _require_active(endpoint: Endpoint) -> None:
    if not endpoint.is_active:
        raise NotAllowedNow(message="The webhook is switched off or disabled; switch it on first")


def _reader(principal: Principal) -> Principal:
    """The same organization: who may write needs no scope of its own to look."""
    return Principal(principal.organization_id)


def _row(of: Attempt) -> store.Row:
    return of.organization_id, of.endpoint_id, of.event_id, of.word
