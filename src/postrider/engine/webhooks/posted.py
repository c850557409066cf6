"""An endpoint's log with what was posted, read by pages that stay where they are while it grows."""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine.principal import Principal
from postrider.engine.webhooks import store as endpoints
from postrider.engine.webhooks.endpoints import get_endpoint
from postrider.engine.webhooks.log import store as log
from postrider.engine.webhooks.model import Attempt, Format, Outcome
from postrider.engine.webhooks.store import Place
from postrider.kit.ids import RowId
from postrider.kit.record import record
from postrider.kit.seal import Sealer

_ANY = tuple(Outcome)
_OUTCOMES = {True: (Outcome.TAKEN,), False: (Outcome.TRIED_AGAIN, Outcome.GIVEN_UP), None: _ANY}


@record
class Posted:
    """An attempt and what it sent; None where that is kept no longer."""

    attempt: Attempt
    headers: dict[str, str] | None
    body: bytes | None


def page(
    tx: Tx,
    principal: Principal,
    format_: Format,
    endpoint_id: RowId,
    *,
    limit: int,
    after: RowId | None = None,
    oldest_first: bool = False,
    succeeded: bool | None = None,
    word: str | None = None,
) -> tuple[list[Attempt], int]:
    """Attempts past `after`, newest first, and how many there are in all (COUNT_MAX at most).

    `succeeded` None: whatever came of them; `word` None: of all events. Raises NotFound.
    """
    get_endpoint(tx, principal, format_, endpoint_id)
    place, outcomes = (principal.organization_id, endpoint_id), _OUTCOMES[succeeded]
    found = log.page(
        tx, place[0], [endpoint_id], outcomes, word=word, limit=limit, after=after, oldest_first=oldest_first
    )
    return found, log.count(tx, place, outcomes, word=word)


def posted(
    tx: Tx, place: Place, format_: Format, sealer: Sealer, attempts: Sequence[Attempt]
) -> list[Posted]:
    """What attempts at the endpoint of `place` sent, signed with the secret of today."""
    sealed = endpoints.secret(tx, *place)
    if sealed is None:
        return [Posted(each, None, None) for each in attempts]
    secret, bodies = sealer.unseal(sealed, place[1]), log.bodies(tx, attempts)
    told = []
    for each in attempts:
        rendered = bodies.get((each.event_id, each.word))
        if rendered is None:
            told.append(Posted(each, None, None))
        else:
            told.append(Posted(each, format_.headers(secret, rendered, each.id), rendered.body))
    return told
