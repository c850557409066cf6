"""The SQL of contacts: loaded and written in batches. What is searched stands in contact_search on SQLite."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import itemgetter
from typing import Any

from postrider.db.database import Tx
from postrider.db.portable import TAKEN, Batch, Statement, insert_batch
from postrider.engine.audience.model import Consent, Contact, Stage, Status
from postrider.engine.audience.tables import contacts
from postrider.engine.errors import Conflict
from postrider.kit import json
from postrider.kit.ids import RowId

COLUMNS = tuple(field.name for field in fields(Contact) if field.name not in ("tags", "lists"))
_HEAD = (
    "id", "email", "address_key", "first_name", "last_name", "company", "phone", "city", "country", "source",
)  # fmt: skip
_CODED = ("status", "stage", "properties", "consent")
_TAIL = ("search_text", "subscribed_at", "unsubscribed_at", "updated_at")
CHANGED = (*_HEAD, *_CODED, *_TAIL)
WRITTEN = (*CHANGED, "created_at")  # and the organization and search_row
EMPTY: Mapping[Any, Any] = {}
ROWS_BITS = 32  # a row of contact_search is numbered within its organization
_STATUS, _STAGE = {int(each): each for each in Status}, {int(each): each for each in Stage}
_PROPERTIES, _CONSENT = COLUMNS.index("properties"), COLUMNS.index("consent")
_STATUS_AT, _STAGE_AT = COLUMNS.index("status"), COLUMNS.index("stage")

_head, _tail = itemgetter(*_HEAD), itemgetter(*_TAIL)

_ALL = ", ".join(f"c.{name}" for name in COLUMNS)
_OF_KEY = (
    f"SELECT {_ALL}, c.search_row FROM v JOIN contacts c "  # noqa: S608
    "ON c.organization_id = v.organization_id AND c.address_key = v.address_key"
)
_OF_ID = (
    f"SELECT {_ALL}, c.search_row FROM v JOIN contacts c "  # noqa: S608
    "ON c.organization_id = v.organization_id AND c.id = v.id"
)
_HELD = " ORDER BY c.id {for_update}"
_by_key = Batch(_OF_KEY, organization_id=int, address_key=str)
_by_id = Batch(_OF_ID, organization_id=int, id=bytes)
_hold_by_key = Batch(_OF_KEY + _HELD, organization_id=int, address_key=str)
_hold_by_id = Batch(_OF_ID + _HELD, organization_id=int, id=bytes)
_insert = insert_batch(
    contacts, "organization_id", *WRITTEN, "search_row",
    tail="ON CONFLICT (organization_id, address_key) DO NOTHING RETURNING id",
)  # fmt: skip
_INTEGERS = ("status", "stage", "subscribed_at", "unsubscribed_at", "updated_at")
_TYPES: dict[str, type] = {"id": bytes, **dict.fromkeys(_INTEGERS, int)}
_update = Batch(
    f"UPDATE contacts SET {', '.join(f'{name} = v.{name}' for name in CHANGED if name != 'id')} FROM v "  # noqa: S608
    "WHERE contacts.organization_id = v.organization_id AND contacts.id = v.id",
    organization_id=int,
    **{name: _TYPES.get(name, str) for name in CHANGED},
)
# As kit.json writes a Consent; PostgreSQL's driver wants % doubled, and to SQLite two are as good as one.
_refusing_tracking = Batch(
    """SELECT c.organization_id, c.address_key FROM v JOIN contacts c
         ON c.organization_id = v.organization_id AND c.address_key = v.address_key
       WHERE c.consent LIKE '%%"tracking":false%%'""",
    organization_id=int,
    address_key=str,
)
_set_status = Statement(
    """UPDATE contacts SET status = :status, subscribed_at = :subscribed_at,
         unsubscribed_at = :unsubscribed_at, updated_at = :now
       WHERE organization_id = :organization_id AND id = :id"""
)
_delete = Statement("DELETE FROM contacts WHERE organization_id = :organization_id AND id = :id")
_leave_segments = Statement(
    """DELETE FROM segment_contacts WHERE organization_id = :organization_id AND contact_id = :id
       RETURNING segment_id"""
)
_count_segments = Batch(
    """UPDATE segments SET contacts = segments.contacts - 1 FROM v
       WHERE segments.organization_id = v.organization_id AND segments.id = v.id""",
    organization_id=int,
    id=bytes,
)
_segment = Statement("SELECT contacts FROM segments WHERE organization_id = :organization_id AND id = :id")
_forget = Statement(
    """DELETE FROM engagements WHERE (organization_id, kind, contact_id, event_id) IN (
         SELECT organization_id, kind, contact_id, event_id FROM engagements
         WHERE organization_id = :organization_id AND kind IN (1, 2, 3) AND contact_id = :id LIMIT :limit)
       RETURNING 1"""
)
_last_row = Statement(
    "SELECT rowid FROM contact_search WHERE rowid BETWEEN :low AND :high ORDER BY rowid DESC LIMIT 1"
)
_index = Batch(
    """INSERT INTO contact_search (rowid, body, organization_id, contact_id)
       SELECT v.number, v.body, v.organization_id, v.contact_id FROM v""",
    number=int,
    body=str,
    organization_id=int,
    contact_id=bytes,
)
_unindex = Batch("DELETE FROM contact_search WHERE rowid IN (SELECT number FROM v)", number=int)


def by_keys(tx: Tx, organization_id: int, keys: Iterable[str], *, held: bool = False) -> list[Contact]:
    """Without tags and lists; `held`: nobody else changes the rows before this transaction ends."""
    statement = _hold_by_key if held else _by_key
    return [contact_of(row) for row in statement(tx, [(organization_id, key) for key in sorted(set(keys))])]


def by_ids(
    tx: Tx,
    organization_id: int,
    ids: Iterable[RowId],
    *,
    held: bool = False,
    tags: Mapping[RowId, Sequence[str]] = EMPTY,
    lists: Mapping[RowId, Sequence[RowId]] = EMPTY,
) -> list[Contact]:
    """As by_keys, by ids; with the tags and lists that are given."""
    statement = _hold_by_id if held else _by_id
    rows = statement(tx, [(organization_id, each) for each in sorted(set(ids))])
    return [contact_of(row, tags.get(row[1], ()), lists.get(row[1], ())) for row in rows]


def refusing_tracking(tx: Tx, addresses: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Whose consent says no to being tracked; an agent's name cannot look so: JSON escapes quotes."""
    return {(row[0], row[1]) for row in _refusing_tracking(tx, sorted(set(addresses)))}


def insert(tx: Tx, organization_id: int, rows: Sequence[Mapping[str, Any]]) -> set[RowId]:
    """Rows with the columns of WRITTEN; answers the ids that are kept.

    The others' addresses have become contacts meanwhile.
    """
    is_searched = tx.dialect.name == "sqlite"
    first = _next_row(tx, organization_id) if is_searched else None
    numbers = [None] * len(rows) if first is None else range(first, first + len(rows))
    values = [
        (*_values(organization_id, row), row["created_at"], number)
        for number, row in zip(numbers, rows, strict=True)
    ]
    kept = {row[0] for row in _insert(tx, values)}
    if is_searched:
        _index(
            tx,
            [
                (number, row["search_text"], organization_id, row["id"])
                for number, row in zip(numbers, rows, strict=True)
                if row["id"] in kept
            ],
        )
    return kept


def update(tx: Tx, organization_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the columns of CHANGED. Raises Conflict where another contact has an address meanwhile."""
    try:
        _update(tx, [_values(organization_id, row) for row in rows])
    except TAKEN:
        raise Conflict(noun="contact") from None


def index(tx: Tx, organization_id: int, texts: Mapping[RowId, str]) -> None:
    """What is found of some contacts from now on; their rows have it already."""
    if tx.dialect.name != "sqlite" or not texts:
        return
    rows = _by_id(tx, [(organization_id, each) for each in texts])
    numbers = [(row[-1], row[COLUMNS.index("id")]) for row in rows]
    _unindex(tx, [(number,) for number, _ in numbers])
    _index(tx, [(number, texts[row_id], organization_id, row_id) for number, row_id in numbers])


def set_status(tx: Tx, contact: Contact, status: Status, now: int) -> None:
    """Move a contact; to subscribe clears when it left, to leave keeps when it came."""
    is_in = status is Status.SUBSCRIBED
    _set_status(
        tx, organization_id=contact.organization_id, id=contact.id, status=int(status), now=now,
        subscribed_at=now if is_in else contact.subscribed_at,
        unsubscribed_at=now if status is Status.UNSUBSCRIBED else None if is_in else contact.unsubscribed_at,
    )  # fmt: skip


def delete(tx: Tx, contact: Contact) -> None:
    """The row, what is found by it, and its places in segments."""
    facts = {"organization_id": contact.organization_id, "id": contact.id}
    if tx.dialect.name == "sqlite":
        rows = _by_id(tx, [(contact.organization_id, contact.id)])
        _unindex(tx, [(row[-1],) for row in rows])
    left = _leave_segments(tx, **facts)
    _count_segments(tx, [(contact.organization_id, row[0]) for row in left])
    _delete(tx, **facts)


def forget(tx: Tx, organization_id: int, contact_id: RowId, *, limit: int) -> int:
    """Delete so many rows of what a contact did; answers how many there were."""
    return len(_forget(tx, organization_id=organization_id, id=contact_id, limit=limit))


def segment_size(tx: Tx, organization_id: int, segment_id: RowId) -> int | None:
    """How many contacts a segment has; None where there is no such segment."""
    rows = _segment(tx, organization_id=organization_id, id=segment_id)
    return rows[0][0] if rows else None


def row_range(organization_id: int) -> tuple[int, int]:
    """The first and last number that a row of contact_search may have."""
    low = organization_id << ROWS_BITS
    return low, low + (1 << ROWS_BITS) - 1


def contact_of(row: Sequence[Any], tags: Sequence[str] = (), lists: Sequence[RowId] = ()) -> Contact:
    """A row of COLUMNS, its JSON still text."""
    facts = dict(zip(COLUMNS, row, strict=False))
    facts["status"], facts["stage"] = _STATUS[row[_STATUS_AT]], _STAGE[row[_STAGE_AT]]
    facts["properties"] = json.loads(row[_PROPERTIES]) if row[_PROPERTIES] else {}
    facts["consent"] = Consent(**json.loads(row[_CONSENT])) if row[_CONSENT] else None
    return Contact(**facts, tags=tags, lists=lists)


def _values(organization_id: int, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The organization, and the columns of CHANGED as the driver takes them."""
    kept, consent = row["properties"], row["consent"]
    return (
        organization_id,
        *_head(row),
        int(row["status"]),
        int(row["stage"]),
        json.dumps(kept) if kept else None,
        None if consent is None else json.dumps(consent),
        *_tail(row),
    )


def _next_row(tx: Tx, organization_id: int) -> int:
    low, high = row_range(organization_id)
    last = _last_row(tx, low=low, high=high)
    return int(last[0][0]) + 1 if last else low
