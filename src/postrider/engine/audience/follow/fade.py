"""Scores of contacts who do nothing fall with time: gone through in slices, lowest first, so that what falls
is not met again.
"""

from postrider.db.database import Tx
from postrider.engine.audience.follow import store
from postrider.engine.audience.follow.follow import score_of
from postrider.kit import clock
from postrider.kit.ids import RowId

FADED_AT_ONCE = 300
Place = tuple[int, RowId]  # a score and a contact: how far a round has come
_LAST_OF_NONE = (0, b"\xff" * 16)  # who has no score has none to lose


def fade(tx: Tx, organization_id: int, after: Place | None) -> Place | None:
    """Bring the scores of FADED_AT_ONCE contacts up to date; where to go on, None where that were all."""
    found = store.scored(tx, organization_id, after or _LAST_OF_NONE, FADED_AT_ONCE)
    now = clock.now_ms()
    changed = [(each, value) for each in found if (value := score_of(each, now)) < each.score]
    if changed:
        store.set_scores(tx, [(organization_id, each.id, value) for each, value in changed])
    return (found[-1].score, found[-1].id) if len(found) == FADED_AT_ONCE else None
