"""`record`: append events, fold them into their messages, suppress, write the tail. Nobody else does."""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine import messages, suppression
from postrider.engine.journal import corrections, lifecycle, store
from postrider.engine.journal.model import Event, EventKind

SHARDS = 8
_SUPPRESSING = {EventKind.BOUNCED, EventKind.COMPLAINED, EventKind.UNSUBSCRIBED}


def record(tx: Tx, events: Sequence[Event]) -> list[Event]:
    """Write events in one transaction with what caused them; answers those that are new.

    A repeat (same organization and source_id) is left out whole: no second mark, suppression or tail row.
    """
    if not events:
        return []
    fresh = store.append(tx, corrections.mark_firsts(tx, events))
    messages.fold(
        tx,
        [
            (event.organization_id, event.message_id, event.at, marks)
            for event in fresh
            if event.message_id is not None and (marks := lifecycle.marks_of(event))
        ],
    )
    messages.move_first_humans(
        tx, [change for event in fresh if (change := lifecycle.first_human_of(event)) is not None]
    )
    _suppress(tx, [event for event in fresh if event.kind in _SUPPRESSING and event.message_id])
    store.append_tail(
        tx, [(shard_of(event.organization_id), event.id, event.organization_id) for event in fresh]
    )
    return fresh


def shard_of(organization_id: int) -> int:
    return organization_id % SHARDS


def _suppress(tx: Tx, events: Sequence[Event]) -> None:
    if not events:
        return
    known = messages.addresses(tx, [(event.organization_id, event.message_id or b"") for event in events])
    entries = []
    for event in events:
        address = known.get(event.message_id or b"")
        if address is None:
            continue
        domain_hex = address.domain_id.hex() if address.domain_id else None
        entry = lifecycle.suppression_of(event, address.address_key, domain_hex)
        if entry is not None:
            entries.append(entry)
    suppression.add(tx, entries)
