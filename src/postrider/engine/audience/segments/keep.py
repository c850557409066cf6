"""Segments made, changed, found and dropped, and the members that are named one by one."""

from collections.abc import Sequence

from postrider.db.database import AnyRow, Database, Tx
from postrider.engine.audience.model import Total
from postrider.engine.audience.segments import store
from postrider.engine.audience.segments.model import (
    DESCRIPTION_MAX_CHARS,
    MEMBERS_AT_ONCE,
    NAME_MAX_CHARS,
    Changed,
    Condition,
    Criteria,
    Field,
    Match,
    Op,
    Segment,
)
from postrider.engine.audience.segments.parse import parse, to_json
from postrider.engine.errors import Invalid, NotFound, PlanLimitReached
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

READ, WRITE = "contacts:read", "contacts:write"
SEGMENTS_MAX = 1_000
PAGE_MAX = 1_000
DROP_AT_ONCE = 2_000
_FIRST = b""


def create(
    tx: Tx, principal: Principal, name: str, criteria: Criteria | None, *, description: str | None = None
) -> Segment:
    """With criteria dynamic, without them static. It has no members yet: `refresh` finds them.

    Raises Forbidden, Invalid, PlanLimitReached.
    """
    principal.require(WRITE)
    if store.total(tx, principal.organization_id) >= SEGMENTS_MAX:
        raise PlanLimitReached(noun="segments", limit=SEGMENTS_MAX)
    now, segment_id = clock.now_ms(), new_id()
    store.insert_segment(
        tx,
        organization_id=principal.organization_id,
        id=segment_id,
        name=_name(name),
        description=_description(description),
        is_dynamic=int(criteria is not None),
        criteria=None if criteria is None else to_json(criteria),
        round=0,
        asked_at=now,
        refresh_at=None if criteria is None else now,
        created_at=now,
        updated_at=now,
    )
    return get(tx, principal, segment_id)


def get(tx: Tx, principal: Principal, segment_id: RowId) -> Segment:
    """Raises NotFound, also for another organization's."""
    principal.require(READ)
    return _segment(_existing(tx, principal, segment_id))


def page(
    tx: Tx, principal: Principal, *, after: RowId = _FIRST, offset: int = 0, limit: int = PAGE_MAX
) -> list[Segment]:
    """In the order they were made, PAGE_MAX at most."""
    principal.require(READ)
    rows = store.page(tx, principal.organization_id, after=after, offset=offset, limit=min(limit, PAGE_MAX))
    return [_segment(row) for row in rows]


def total(tx: Tx, principal: Principal) -> int:
    principal.require(READ)
    return store.total(tx, principal.organization_id)


def update(
    tx: Tx,
    principal: Principal,
    segment_id: RowId,
    *,
    name: str | None = None,
    description: str | None = None,
    match: Match | None = None,
    items: Sequence[Criteria | Condition] | None = None,
) -> Segment:
    """What is None stays, "" empties a description; `match` and `items` are those of the criteria.

    New criteria leave the members as they are until the next refresh, which is due at once. Raises NotFound,
    Invalid; also for criteria of a static segment.
    """
    principal.require(WRITE)
    row, now = _existing(tx, principal, segment_id), clock.now_ms()
    values: dict[str, object] = {"updated_at": now, "asked_at": now}
    if name is not None:
        values["name"] = _name(name)
    if description is not None:
        values["description"] = _description(description)
    if match is not None or items is not None:
        if not row.is_dynamic:
            raise Invalid(field="criteria", message="A static segment has no filters")
        kept = parse(row.criteria)
        criteria = to_json(Criteria(match or kept.match, items or kept.items))
        # A refresh that is under way goes by the old ones: it gives up, as for a newer one.
        store.begin_round(tx, row.organization_id, segment_id, criteria=criteria, refresh_at=now)
    store.change(tx, principal.organization_id, segment_id, **values)
    return _segment(_existing(tx, principal, segment_id))


async def delete(db: Database, principal: Principal, segment_id: RowId) -> None:
    """The segment at once, its memberships in slices after it. Raises NotFound.

    Whoever is killed in between leaves rows that no segment has and that nobody reads.
    """
    await db.write_first(_remove, principal, segment_id)
    while await db.write(store.drop_members, principal.organization_id, segment_id, DROP_AT_ONCE):
        pass


def count(tx: Tx, principal: Principal, criteria: Criteria) -> int:
    """How many contacts match, saved or not."""
    principal.require(READ)
    return store.count(tx, principal.organization_id, criteria)


def preview(tx: Tx, principal: Principal, criteria: Criteria) -> Total:
    """As count, within a second: where it would take longer, about how many, from a sample."""
    principal.require(READ)
    return store.preview(tx, principal.organization_id, criteria)


def matching(
    tx: Tx,
    organization_id: int,
    criteria: Criteria,
    *,
    after: RowId = _FIRST,
    before: RowId | None = None,
    now: int | None = None,
    limit: int,
) -> list[RowId]:
    """Ids of those who match at `now`, in order: the next `limit` past `after`, and below `before`."""
    return store.matching(tx, organization_id, criteria, after=after, before=before, now=now, limit=limit)


def whom(segment: Segment) -> Criteria:
    """Who is meant by a segment: whoever matches a dynamic one now, a static one's members."""
    if segment.criteria is not None:
        return segment.criteria
    return Criteria(Match.ALL, (Condition(Field.SEGMENTS, Op.IN, (segment.id,)),))


def members(
    tx: Tx,
    principal: Principal,
    segment_id: RowId,
    *,
    after: RowId = _FIRST,
    offset: int = 0,
    limit: int = PAGE_MAX,
) -> list[RowId]:
    """Ids of the members in order, PAGE_MAX at most. Raises NotFound."""
    principal.require(READ)
    _existing(tx, principal, segment_id)
    return store.members(
        tx, principal.organization_id, segment_id, after=after, offset=offset, limit=min(limit, PAGE_MAX)
    )


def segments_of(tx: Tx, principal: Principal, contact_id: RowId) -> list[Segment]:
    """The segments a contact is a member of."""
    principal.require(READ)
    return [_segment(row) for row in store.segments_of(tx, principal.organization_id, contact_id)]


def add(tx: Tx, principal: Principal, segment_id: RowId, contact_ids: Sequence[RowId]) -> Changed:
    """Members by name, MEMBERS_AT_ONCE at most; a dynamic segment's next refresh may undo it.

    Ids that name no contact of the organization are told and passed over. Raises NotFound, Invalid.
    """
    segment, ids = _to_change(tx, principal, segment_id, contact_ids)
    known = store.existing(tx, principal.organization_id, ids)
    added = len(store.add_members(tx, segment, [each for each in ids if each in known])) if known else 0
    unknown = tuple(each for each in ids if each not in known)
    return Changed(added, segment.contacts + added, unknown)


def remove(tx: Tx, principal: Principal, segment_id: RowId, contact_ids: Sequence[RowId]) -> Changed:
    """As add; ids of no member change nothing."""
    segment, ids = _to_change(tx, principal, segment_id, contact_ids)
    removed = len(store.remove_members(tx, segment, ids))
    return Changed(removed, segment.contacts - removed)


def _to_change(
    tx: Tx, principal: Principal, segment_id: RowId, contact_ids: Sequence[RowId]
) -> tuple[AnyRow, list[RowId]]:
    principal.require(WRITE)
    ids = list(dict.fromkeys(contact_ids))
    if not 1 <= len(ids) <= MEMBERS_AT_ONCE:
        raise Invalid(field="contact_ids", message=f"1 to {MEMBERS_AT_ONCE} contacts are taken")
    row = store.hold(tx, principal.organization_id, segment_id)
    if row is None:
        raise NotFound(noun="segment")
    return row, ids


def _remove(tx: Tx, principal: Principal, segment_id: RowId) -> None:
    principal.require(WRITE)
    if not store.remove_segment(tx, principal.organization_id, segment_id):
        raise NotFound(noun="segment")


def _existing(tx: Tx, principal: Principal, segment_id: RowId) -> AnyRow:
    row = store.one(tx, principal.organization_id, segment_id)
    if row is None:
        raise NotFound(noun="segment")
    return row


def _segment(row: AnyRow) -> Segment:
    return Segment(
        organization_id=row.organization_id,
        id=row.id,
        name=row.name,
        description=row.description,
        is_dynamic=row.is_dynamic == 1,
        criteria=None if row.criteria is None else parse(row.criteria),
        contacts=row.contacts,
        round=row.round,
        refreshed_at=row.refreshed_at,
        asked_at=row.asked_at,
        refresh_at=row.refresh_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise Invalid(field="name", message=f"name must have 1 to {NAME_MAX_CHARS} printable characters")
    return name


def _description(description: str | None) -> str | None:
    if description is not None and len(description) > DESCRIPTION_MAX_CHARS:
        message = f"description must have at most {DESCRIPTION_MAX_CHARS} characters"
        raise Invalid(field="description", message=message)
    return description or None
