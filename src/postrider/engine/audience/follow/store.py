"""The SQL of what contacts did: read and written for whole batches of events, of any organizations."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import NamedTuple

from postrider.db.database import Tx
from postrider.db.portable import Batch, Statement, insert_batch
from postrider.engine.audience.model import EngagementKind, Status
from postrider.engine.audience.tables import engagements
from postrider.kit.ids import RowId


@dataclass(slots=True)
class Counters:
    """What is counted of a contact; changed as events are gone through, then written."""

    organization_id: int
    id: RowId
    address_key: str
    created_at: int
    score: int
    sent: int
    opened: int
    clicked: int
    bounced: int
    last_sent_at: int | None
    last_opened_at: int | None
    last_clicked_at: int | None
    last_activity_at: int | None


class Engagement(NamedTuple):
    """A row of engagements."""

    organization_id: int
    kind: int
    contact_id: RowId
    event_id: RowId
    at: int
    message_id: RowId
    campaign_id: RowId | None
    is_human: int | None
    link: str | None


Known = tuple[int, int, RowId, RowId]  # organization, kind, contact, message

_COUNTERS = tuple(Counters.__dataclass_fields__)
_WRITTEN = [name for name in _COUNTERS if name not in ("organization_id", "id", "address_key", "created_at")]
_ENGAGED = itemgetter(slice(4))
_NOT_A_SCANNERS = "(e.is_human IS NULL OR e.is_human <> 0)"

_with_contacts = Batch(
    """SELECT v.organization_id FROM v
       WHERE EXISTS (SELECT 1 FROM contacts c WHERE c.organization_id = v.organization_id)""",
    organization_id=int,
)
_hold = Batch(
    f"""SELECT {", ".join(f"c.{name}" for name in _COUNTERS)} FROM v
        JOIN contacts c ON c.organization_id = v.organization_id
          AND c.address_key = v.address_key
        ORDER BY c.id {{for_update}}""",  # noqa: S608
    organization_id=int,
    address_key=str,
)


class _Writing:
    """Sets some columns of contacts. An index is written wherever a column of it is named, changed or not."""

    def __init__(self, *names: str) -> None:
        self._values = attrgetter("organization_id", "id", *names)
        self._statement = Batch(
            f"""UPDATE contacts SET {", ".join(f"{name} = v.{name}" for name in names)} FROM v
                WHERE contacts.organization_id = v.organization_id AND contacts.id = v.id""",  # noqa: S608
            organization_id=int,
            id=bytes,
            **dict.fromkeys(names, int),
        )

    def __call__(self, tx: Tx, changed: Iterable[Counters]) -> None:
        self._statement(tx, [self._values(each) for each in changed])


_write_all = _Writing(*_WRITTEN)
_write_but_score = _Writing(*(name for name in _WRITTEN if name != "score"))
_engage = insert_batch(engagements, *Engagement._fields, tail="ON CONFLICT DO NOTHING")
# The rows of one contact in the order of their events, from the time of the message on.
_known = Batch(
    """SELECT v.organization_id, v.kind, v.contact_id, v.message_id FROM v
       WHERE EXISTS (SELECT 1 FROM engagements e WHERE e.organization_id = v.organization_id
         AND e.kind = v.kind AND e.contact_id = v.contact_id AND e.event_id >= v.since
         AND e.message_id = v.message_id)""",
    organization_id=int,
    kind=int,
    contact_id=bytes,
    message_id=bytes,
    since=bytes,
)
_judge = Batch(
    """UPDATE engagements SET is_human = v.is_human FROM v
       WHERE engagements.organization_id = v.organization_id AND engagements.kind = v.kind
         AND engagements.contact_id = v.contact_id AND engagements.event_id = v.event_id""",
    organization_id=int,
    kind=int,
    contact_id=bytes,
    event_id=bytes,
    is_human=int,
)
_last_active = Batch(
    f"""SELECT v.id, MAX(e.at) FROM v JOIN engagements e ON e.organization_id = v.organization_id
          AND e.kind IN ({EngagementKind.OPENED.value}, {EngagementKind.CLICKED.value})
          AND e.contact_id = v.id
        WHERE {_NOT_A_SCANNERS} GROUP BY v.id""",  # noqa: S608
    organization_id=int,
    id=bytes,
)
_scored = Statement(
    f"""SELECT {", ".join(_COUNTERS)} FROM contacts
        WHERE organization_id = :organization_id AND (score, id) > (:score, :id)
        ORDER BY score, id LIMIT :limit {{skip_locked}}"""  # noqa: S608
)
_set_scores = Batch(
    """UPDATE contacts SET score = v.score FROM v
       WHERE contacts.organization_id = v.organization_id AND contacts.id = v.id""",
    organization_id=int,
    id=bytes,
    score=int,
)
_statuses = Batch(
    """SELECT c.organization_id, c.id, c.address_key, c.status FROM v
       JOIN contacts c ON c.organization_id = v.organization_id AND c.address_key = v.address_key
       ORDER BY c.id {for_update}""",
    organization_id=int,
    address_key=str,
)
# Who comes back after an opt-out subscribes anew; who only bounced has been subscribed all the time.
_set_statuses = Batch(
    f"""UPDATE contacts SET status = v.status, updated_at = v.now,
          subscribed_at = CASE WHEN v.status = {Status.SUBSCRIBED.value}
            AND (contacts.status = {Status.UNSUBSCRIBED.value} OR contacts.subscribed_at IS NULL)
            THEN v.now ELSE contacts.subscribed_at END,
          unsubscribed_at = CASE WHEN v.status = {Status.UNSUBSCRIBED.value} THEN v.now
            WHEN v.status = {Status.SUBSCRIBED.value} THEN NULL ELSE contacts.unsubscribed_at END
        FROM v WHERE contacts.organization_id = v.organization_id AND contacts.id = v.id""",  # noqa: S608
    organization_id=int,
    id=bytes,
    status=int,
    now=int,
)


def with_contacts(tx: Tx, organization_ids: Collection[int]) -> set[int]:
    """Those of these organizations that have a contact."""
    return {row[0] for row in _with_contacts(tx, [(each,) for each in organization_ids])}


def hold(tx: Tx, addresses: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Counters]:
    """The contacts of (organization, address key) pairs, held until this transaction ends."""
    found = (Counters(*row) for row in _hold(tx, sorted(set(addresses))))
    return {(each.organization_id, each.address_key): each for each in found}


def write(tx: Tx, changed: Iterable[Counters], *, scores: Mapping[RowId, int]) -> None:
    """`scores`: the new ones, by contact."""
    kept: list[Counters] = []
    moved: list[Counters] = []
    for each in changed:
        (kept if scores[each.id] == each.score else moved).append(each)
        each.score = scores[each.id]
    _write_but_score(tx, kept)
    _write_all(tx, moved)


def engage(tx: Tx, rows: Sequence[Engagement]) -> None:
    """In the order of the key, which keeps together what is read and written together."""
    _engage(tx, sorted(rows, key=_ENGAGED))


def known(tx: Tx, asked: Sequence[tuple[int, int, RowId, RowId, RowId]]) -> set[Known]:
    """Which of (organization, kind, contact, message, the first event id to look at) are written already."""
    return {(row[0], row[1], row[2], row[3]) for row in _known(tx, asked)}


def judge(tx: Tx, rows: Sequence[tuple[int, int, RowId, RowId, int | None]]) -> None:
    """(organization, kind, contact, event, is_human): changes of mind; of what is not written, nothing."""
    _judge(tx, rows)


def last_active(tx: Tx, ids: Iterable[tuple[int, RowId]]) -> dict[RowId, int]:
    """When contacts opened or clicked last, scanners' doings aside, by contact id; never: no key."""
    return {row[0]: row[1] for row in _last_active(tx, sorted(set(ids)))}


def scored(tx: Tx, organization_id: int, after: tuple[int, RowId], limit: int) -> list[Counters]:
    """Contacts past a (score, id), in that order; held, but for those that somebody else holds."""
    score, contact_id = after
    rows = _scored(tx, organization_id=organization_id, score=score, id=contact_id, limit=limit)
    return [Counters(*row) for row in rows]


def set_scores(tx: Tx, rows: Sequence[tuple[int, RowId, int]]) -> None:
    _set_scores(tx, rows)


def statuses(tx: Tx, addresses: Sequence[tuple[int, str]]) -> list[tuple[int, RowId, str, Status]]:
    """(organization, id, address key, status) of the contacts of some addresses, held."""
    return [(row[0], row[1], row[2], Status(row[3])) for row in _statuses(tx, sorted(set(addresses)))]


def set_statuses(tx: Tx, rows: Sequence[tuple[int, RowId, Status]], now: int) -> None:
    _set_statuses(tx, [(organization_id, id_, int(status), now) for organization_id, id_, status in rows])
