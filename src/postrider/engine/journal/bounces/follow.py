"""The follower of soft bounces: several in a row to one address suppress it.

It follows what is committed, for bounces that are settled at the same time do not see each other: `record`
would miss the last of them.
"""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine import messages, suppression
from postrider.engine.journal import lifecycle
from postrider.engine.journal.bounces import store
from postrider.engine.journal.model import Event
from postrider.kit import clock

SOFT_BOUNCES_MAX = 3  # messages to one address in a row, within:
SOFT_BOUNCES_WITHIN_MS = 30 * clock.DAY


def suppress_soft(tx: Tx, shard: int, events: Sequence[Event]) -> None:
    """Suppress each address of a batch to which too many messages bounced softly, no delivery between."""
    soft = [event for event in events if event.message_id is not None and lifecycle.is_soft_bounce(event)]
    if not soft:
        return
    known = messages.addresses(tx, [(event.organization_id, event.message_id or b"") for event in soft])
    last: dict[store.Address, Event] = {}
    for event in soft:
        if (address := known.get(event.message_id or b"")) is not None:
            last[event.organization_id, address.address_key] = event
    since = min(event.at for event in soft) - SOFT_BOUNCES_WITHIN_MS
    found = store.soft_in_a_row(tx, list(last), since, SOFT_BOUNCES_MAX)
    suppression.add(tx, [lifecycle.soft_bounces(last[address], address[1]) for address in found])
