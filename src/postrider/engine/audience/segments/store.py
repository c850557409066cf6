"""The SQL of segments: their rows, their members, and counting and paging whoever matches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, insert, not_, select, text, update

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Batch, insert_batch
from postrider.engine.audience.model import Total
from postrider.engine.audience.segments.compiled import SAMPLE_SHARE, condition, is_long, make_room
from postrider.engine.audience.segments.model import Criteria
from postrider.engine.audience.tables import contacts, segment_contacts, segments
from postrider.kit.ids import RowId

LIST_MAX = 1_000
SMALL = 100_000  # contacts, among which matches are counted however long it takes
FEW = 400  # of a sample: from here on it errs by one in twenty, as a rule by less
_add_members = insert_batch(
    segment_contacts,
    *("organization_id", "segment_id", "contact_id"),
    tail="ON CONFLICT DO NOTHING RETURNING contact_id",
)
_remove_members = Batch(
    """DELETE FROM segment_contacts WHERE (organization_id, segment_id, contact_id) IN
       (SELECT organization_id, segment_id, contact_id FROM v) RETURNING contact_id""",
    organization_id=int,
    segment_id=bytes,
    contact_id=bytes,
)
_existing = Batch(
    "SELECT c.id FROM v JOIN contacts c ON c.organization_id = v.organization_id AND c.id = v.id",
    organization_id=int,
    id=bytes,
)


def count(tx: Tx, organization_id: int, criteria: Criteria) -> int:
    """How many contacts match; one statement."""
    with _as_sets(tx):
        return _count(tx, _condition(tx, criteria, organization_id))


def preview(tx: Tx, organization_id: int, criteria: Criteria) -> Total:
    """How many contacts match; of a large organization about so many, where to count them takes seconds."""
    if not is_long(criteria) or not _is_large(tx, organization_id):
        return Total(count(tx, organization_id, criteria))
    found = _count(tx, condition(criteria, organization_id, by_contact=True, of_sample=True))
    if found < FEW:
        return Total(count(tx, organization_id, criteria))
    return Total(found * SAMPLE_SHARE, is_exact=False)


def matching(
    tx: Tx,
    organization_id: int,
    criteria: Criteria,
    *,
    after: RowId,
    before: RowId | None,
    now: int | None,
    limit: int,
) -> list[RowId]:
    """Ids in order, those past `after` and below `before`."""
    found = _past(select(contacts.c.id).where(_condition(tx, criteria, organization_id, now)), after, limit)
    if before is not None:
        found = found.where(contacts.c.id < before)
    with _as_sets(tx):
        return list(tx.execute(found).scalars())


def missing(
    tx: Tx, segment: AnyRow, criteria: Criteria, *, after: RowId, now: int, limit: int
) -> list[RowId]:
    """Contacts that match and are no members yet."""
    make_room(tx)
    is_member = exists().where(*_members_of(segment), segment_contacts.c.contact_id == contacts.c.id)
    matches = _condition(tx, criteria, segment.organization_id, now)
    found = select(contacts.c.id).where(matches, not_(is_member))
    return list(tx.execute(_past(found, after, limit)).scalars())


def obsolete(
    tx: Tx, segment: AnyRow, criteria: Criteria, *, after: RowId, now: int, limit: int
) -> list[RowId]:
    """Members that match no more."""
    make_room(tx)
    matches = _condition(tx, criteria, segment.organization_id, now)
    member = segment_contacts.c.contact_id
    found = select(member).where(
        *_members_of(segment),
        member > after,
        not_(exists().where(contacts.c.id == member, matches).correlate(segment_contacts)),
    )
    return list(tx.execute(found.order_by(member).limit(limit)).scalars())


def existing(tx: Tx, organization_id: int, ids: Sequence[RowId]) -> set[RowId]:
    return {row[0] for row in _existing(tx, [(organization_id, each) for each in ids])}


def add_members(tx: Tx, segment: AnyRow, ids: Sequence[RowId]) -> list[RowId]:
    """Who was not there, in no order; the segment's counter follows."""
    added = [
        row[0] for row in _add_members(tx, [(segment.organization_id, segment.id, each) for each in ids])
    ]
    _shift(tx, segment, len(added))
    return added


def remove_members(tx: Tx, segment: AnyRow, ids: Sequence[RowId]) -> list[RowId]:
    """Who was there, in no order; the segment's counter follows."""
    gone = [
        row[0] for row in _remove_members(tx, [(segment.organization_id, segment.id, each) for each in ids])
    ]
    _shift(tx, segment, -len(gone))
    return gone


def drop_members(tx: Tx, organization_id: int, segment_id: RowId, limit: int) -> int:
    """Of a segment that is being deleted, `limit` at most; answers how many."""
    of_segment = (
        segment_contacts.c.organization_id == organization_id,
        segment_contacts.c.segment_id == segment_id,
    )
    some = select(segment_contacts.c.contact_id).where(*of_segment).limit(limit)
    return tx.execute(
        delete(segment_contacts).where(*of_segment, segment_contacts.c.contact_id.in_(some))
    ).rowcount


def members(
    tx: Tx, organization_id: int, segment_id: RowId, *, after: RowId, offset: int, limit: int
) -> list[RowId]:
    """Ids of members in order."""
    member = segment_contacts.c.contact_id
    found = select(member).where(
        segment_contacts.c.organization_id == organization_id,
        segment_contacts.c.segment_id == segment_id,
        member > after,
    )
    return list(tx.execute(found.order_by(member).offset(offset).limit(limit)).scalars())


def segments_of(tx: Tx, organization_id: int, contact_id: RowId) -> list[AnyRow]:
    """The segments a contact is a member of, by their names."""
    found = (
        select(segments)
        .join(
            segment_contacts,
            and_(
                segment_contacts.c.organization_id == segments.c.organization_id,
                segment_contacts.c.segment_id == segments.c.id,
            ),
        )
        .where(
            segment_contacts.c.organization_id == organization_id,
            segment_contacts.c.contact_id == contact_id,
        )
    )
    return list(tx.execute(found.order_by(segments.c.name).limit(LIST_MAX)))


def insert_segment(tx: Tx, **values: Any) -> None:
    tx.execute(insert(segments).values(contacts=0, **values))


def one(tx: Tx, organization_id: int, segment_id: RowId) -> AnyRow | None:
    return tx.execute(select(segments).where(*_is(organization_id, segment_id))).one_or_none()


def hold(tx: Tx, organization_id: int, segment_id: RowId) -> AnyRow | None:
    """As one, and nobody else changes the row before this transaction ends."""
    return tx.execute(
        select(segments).where(*_is(organization_id, segment_id)).with_for_update()
    ).one_or_none()


def page(tx: Tx, organization_id: int, *, after: RowId, offset: int, limit: int) -> list[AnyRow]:
    """In the order they were made."""
    found = select(segments).where(segments.c.organization_id == organization_id, segments.c.id > after)
    return list(tx.execute(found.order_by(segments.c.id).offset(offset).limit(limit)))


def total(tx: Tx, organization_id: int) -> int:
    asked = select(func.count()).select_from(segments).where(segments.c.organization_id == organization_id)
    return tx.execute(asked).scalar_one()


def change(tx: Tx, organization_id: int, segment_id: RowId, **values: Any) -> None:
    tx.execute(update(segments).where(*_is(organization_id, segment_id)).values(**values))


def begin_round(tx: Tx, organization_id: int, segment_id: RowId, **values: Any) -> AnyRow | None:
    """The segment with a new round begun: the refreshes of earlier ones give up."""
    begun = update(segments).where(*_is(organization_id, segment_id))
    begun = begun.values(round=segments.c.round + 1, **values)
    return tx.execute(begun.returning(*segments.c)).one_or_none()


def has_due(tx: Tx, now: int) -> bool:
    return tx.execute(select(segments.c.id).where(segments.c.refresh_at <= now).limit(1)).first() is not None


def hold_due(tx: Tx, now: int) -> AnyRow | None:
    """The segment of any organization that has been due longest, and that nobody else holds."""
    due = select(segments).where(segments.c.refresh_at <= now).order_by(segments.c.refresh_at).limit(1)
    return tx.execute(due.with_for_update(skip_locked=True)).one_or_none()


def hold_round(tx: Tx, segment: AnyRow) -> bool:
    """Whether this round is still the last, and stays so until the transaction ends."""
    of_round = (*_is(segment.organization_id, segment.id), segments.c.round == segment.round)
    return tx.execute(select(segments.c.id).where(*of_round).with_for_update()).first() is not None


def remove_segment(tx: Tx, organization_id: int, segment_id: RowId) -> bool:
    return tx.execute(delete(segments).where(*_is(organization_id, segment_id))).rowcount == 1


@contextmanager
def _as_sets(tx: Tx) -> Iterator[None]:
    """PostgreSQL takes tables that were filled a moment ago for empty, and would compare all with all."""
    make_room(tx)
    if tx.dialect.name != "postgresql":
        yield
        return
    tx.execute(text("SET LOCAL enable_nestloop = off"))
    yield
    tx.execute(text("SET LOCAL enable_nestloop = on"))  # what follows in this transaction is not of sets


def _count(tx: Tx, holds: ColumnElement[bool]) -> int:
    return tx.execute(select(func.count()).select_from(contacts).where(holds)).scalar_one()


def _is_large(tx: Tx, organization_id: int) -> bool:
    """Whether it has more than SMALL contacts; an index narrower than the rows tells it."""
    all_ = and_(contacts.c.organization_id == organization_id, contacts.c.status >= 0)
    some = select(contacts.c.id).where(all_).limit(SMALL + 1).subquery()
    return tx.execute(select(func.count()).select_from(some)).scalar_one() > SMALL


def _condition(
    tx: Tx, criteria: Criteria, organization_id: int, now: int | None = None
) -> ColumnElement[bool]:
    return condition(criteria, organization_id, now=now, by_contact=tx.dialect.name == "sqlite")


def _shift(tx: Tx, segment: AnyRow, by: int) -> None:
    if by:
        change(tx, segment.organization_id, segment.id, contacts=segments.c.contacts + by)


def _is(organization_id: int, segment_id: RowId) -> tuple[ColumnElement[bool], ...]:
    return segments.c.organization_id == organization_id, segments.c.id == segment_id


def _members_of(segment: AnyRow) -> tuple[ColumnElement[bool], ...]:
    return (
        segment_contacts.c.organization_id == segment.organization_id,
        segment_contacts.c.segment_id == segment.id,
    )


def _past(found: Select[Any], after: RowId, limit: int) -> Select[Any]:
    return found.where(contacts.c.id > after).order_by(contacts.c.id).limit(limit)
