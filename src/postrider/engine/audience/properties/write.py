"""Keeping the values by which contacts are found in step with contacts' properties, a batch at a time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from postrider.db.database import Tx
from postrider.engine.audience.properties import store
from postrider.engine.audience.properties.compare import is_same
from postrider.engine.audience.properties.encode import encode_all
from postrider.kit.ids import RowId

Change = tuple[RowId, Mapping[str, Any], Mapping[str, Any]]  # a contact, its properties before and after


def write_values(tx: Tx, organization_id: int, changes: Sequence[Change]) -> None:
    """Index what changed and count it; at most five statements whatever the batch's size.

    `before` must be what was indexed last for the contact: {} for a new one. `after` is {} where it goes.
    """
    gone: list[tuple[str, bytes, RowId]] = []
    fresh: list[tuple[str, bytes, RowId]] = []
    counts: Counter[str] = Counter()
    for contact_id, before, after in changes:
        if not before:  # most of an import
            for key, has in encode_all(after).items():
                fresh.extend([(key, value, contact_id) for value in has])
                counts[key] += 1
            continue
        changed = {
            key for key in before.keys() | after.keys() if not is_same(before.get(key), after.get(key))
        }
        if not changed:
            continue
        old = encode_all({key: before[key] for key in changed if key in before})
        new = encode_all({key: after[key] for key in changed if key in after})
        for key in old.keys() | new.keys():
            had, has = old.get(key, []), new.get(key, [])
            gone.extend((key, value, contact_id) for value in had if value not in has)
            fresh.extend((key, value, contact_id) for value in has if value not in had)
            counts[key] += bool(has) - bool(had)
    if not gone and not fresh:
        return
    numbers = store.number_keys(tx, organization_id, sorted(counts))
    store.write(
        tx,
        organization_id,
        gone=sorted((organization_id, numbers[key], value, contact_id) for key, value, contact_id in gone),
        fresh=sorted((organization_id, numbers[key], value, contact_id) for key, value, contact_id in fresh),
        counts={numbers[key]: more for key, more in counts.items()},
    )
