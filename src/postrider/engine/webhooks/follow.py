"""The follower that queues events for the endpoints that asked for them: one query for a whole batch."""

from collections import defaultdict
from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine import journal, messages
from postrider.engine.journal import Event
from postrider.engine.webhooks import store
from postrider.engine.webhooks.model import Formats
from postrider.kit import clock
from postrider.kit.ids import RowId

FIRST_MS = 1  # how much sooner endpoints of chosen domains are due than those of all domains


def follower(formats: Formats) -> journal.Follower:
    """As the composition root lists it."""

    def enqueue(tx: Tx, shard: int, events: Sequence[Event]) -> None:
        said = {kind for format_ in formats.values() for kind in format_.words}
        queue(tx, formats, [event for event in events if event.kind in said])

    return journal.Follower("webhooks", enqueue)


def queue(tx: Tx, formats: Formats, events: Sequence[Event]) -> None:
    """A row for each event, endpoint and word that was subscribed to; a repeat adds nothing."""
    if not events:
        return
    found = store.subscriptions(tx, sorted({event.organization_id for event in events}))
    of_organization: dict[int, list[store.Subscription]] = defaultdict(list)
    for each in found:
        if each.format in formats:
            of_organization[each.organization_id].append(each)
    if not of_organization:
        return
    domain_of = _domains(tx, [event for event in events if event.organization_id in of_organization], found)
    now = clock.now_ms()
    rows = []
    for event in events:
        for to in of_organization.get(event.organization_id, ()):
            if to.domain_ids is not None and domain_of.get(event.message_id or b"") not in to.domain_ids:
                continue
            due_at = now if to.domain_ids is None else now - FIRST_MS
            for word in formats[to.format].words.get(event.kind, ()):
                if word in to.events:
                    rows.append((event.organization_id, to.id, event.id, word, due_at))
    store.enqueue(tx, rows)


def _domains(
    tx: Tx, events: Sequence[Event], subscriptions: Sequence[store.Subscription]
) -> dict[RowId, str]:
    """The sending domain of each event's message, hexadecimal, where it is still there.

    Not asked where nobody chose domains.
    """
    if all(each.domain_ids is None for each in subscriptions):
        return {}
    known = messages.addresses(
        tx, [(event.organization_id, event.message_id) for event in events if event.message_id is not None]
    )
    pairs = {
        event.message_id: (event.organization_id, known[event.message_id].domain_id)
        for event in events
        if event.message_id in known
    }
    there = store.domains(
        tx, [(organization, id_) for organization, id_ in pairs.values() if id_ is not None]
    )
    return {
        message_id: domain_id.hex()
        for message_id, (_, domain_id) in pairs.items()
        if domain_id is not None and domain_id in there
    }
