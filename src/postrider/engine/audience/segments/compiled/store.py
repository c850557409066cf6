"""The one compiler of criteria into SQL, for both databases.

Columns come from the closed tables below, values are bound. A condition is IN over an uncorrelated SELECT
wherever it asks more than the contact's own row: either database makes that set once. What contacts did is
too much for a set on SQLite: there it is looked at contact by contact, where their counters allow it at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    Text,
    and_,
    exists,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from postrider.db.database import Tx
from postrider.db.schema import Bytes
from postrider.engine.audience.properties.encode import OPAQUE, TEXT, encode, kind_end, part, prefix_span
from postrider.engine.audience.segments.evaluate import address_part, fold
from postrider.engine.audience.segments.model import (
    CHOICES,
    ENGAGEMENTS,
    NEGATIONS,
    Condition,
    Criteria,
    Field,
    Kind,
    Match,
    Narrowed,
    Op,
)
from postrider.engine.audience.segments.parse import span
from postrider.engine.audience.tables import (
    contact_tags,
    contacts,
    engagements,
    list_contacts,
    property_keys,
    property_values,
    segment_contacts,
    tags,
)
from postrider.kit import clock
from postrider.kit.ids import ID_BYTES

SAMPLED = b"\x10"  # of the contacts those whose ids' last octet, which is random, is below it
SAMPLE_SHARE = 16  # one of so many
ROOM = "128MB"  # for the sets of one statement on PostgreSQL; what does not fit is searched row by row
_COLUMNS: Mapping[Field, ColumnElement[Any]] = {
    **{field: contacts.c[field.value] for field in CHOICES},
    Field.EMAIL: contacts.c.address_key,
    Field.FIRST_NAME: contacts.c.first_name,
    Field.LAST_NAME: contacts.c.last_name,
    Field.COMPANY: contacts.c.company,
    Field.PHONE: contacts.c.phone,
    Field.CITY: contacts.c.city,
    Field.COUNTRY: contacts.c.country,
    Field.SOURCE: contacts.c.source,
    Field.SCORE: contacts.c.score,
    Field.SENT_COUNT: contacts.c.sent,
    Field.OPENED_COUNT: contacts.c.opened,
    Field.CLICKED_COUNT: contacts.c.clicked,
    Field.BOUNCED_COUNT: contacts.c.bounced,
    Field.CREATED_AT: contacts.c.created_at,
    Field.UPDATED_AT: contacts.c.updated_at,
    Field.SUBSCRIBED_AT: contacts.c.subscribed_at,
    Field.UNSUBSCRIBED_AT: contacts.c.unsubscribed_at,
    Field.LAST_SENT_AT: contacts.c.last_sent_at,
    Field.LAST_OPENED_AT: contacts.c.last_opened_at,
    Field.LAST_CLICKED_AT: contacts.c.last_clicked_at,
    Field.LAST_ACTIVITY_AT: contacts.c.last_activity_at,
}
# What answers an engagement condition that nothing narrows: counter, and the time of the last.
_COUNTERS: Mapping[Field, tuple[ColumnElement[int], ColumnElement[Any]]] = {
    Field.SENT: (contacts.c.sent, contacts.c.last_sent_at),
    Field.OPENED: (contacts.c.opened, contacts.c.last_opened_at),
    Field.CLICKED: (contacts.c.clicked, contacts.c.last_clicked_at),
}
_ONE_VALUE = {Op.EQUALS, Op.NOT_EQUALS, Op.IS_TRUE, Op.IS_FALSE}  # whose contacts are found in their order
_NULLABLE_TIMES = {Field.SUBSCRIBED_AT, Field.UNSUBSCRIBED_AT} | {
    field for field in Field if field.value.startswith("last_") and field.value.endswith("_at")
}


class _Folded(FunctionElement[str]):
    """A text without the case of A to Z; null as empty."""

    type = Text()
    inherit_cache = True
    name = "folded"


@compiles(_Folded)
def _folded(element: _Folded, compiler: Any, **options: Any) -> str:
    return f"lower(coalesce({compiler.process(element.clauses, **options)}, ''))"


@compiles(_Folded, "postgresql")
def _folded_postgresql(element: _Folded, compiler: Any, **options: Any) -> str:
    return f"lower(coalesce({compiler.process(element.clauses, **options)}, '') COLLATE \"C\")"


class _Probed(FunctionElement[Any]):
    """A column that SQLite, which knows nothing of sizes, is not to choose an index for."""

    inherit_cache = True
    name = "probed"

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(_Probed)
def _probed(element: _Probed, compiler: Any, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


@compiles(_Probed, "postgresql")
def _probed_postgresql(element: _Probed, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


_ID = _Probed(contacts.c.id)  # looked for in a set, instead of the set's members among the wide rows


class _HasPart(FunctionElement[bool]):
    """Whether octets, after their kind, hold a part."""

    type = Boolean()
    inherit_cache = True
    name = "has_part"


@compiles(_HasPart)
def _has_part(element: _HasPart, compiler: Any, **options: Any) -> str:
    value, sought = (compiler.process(clause, **options) for clause in element.clauses)
    return f"instr(substr({value}, 2), {sought}) > 0"


@compiles(_HasPart, "postgresql")
def _has_part_postgresql(element: _HasPart, compiler: Any, **options: Any) -> str:
    value, sought = (compiler.process(clause, **options) for clause in element.clauses)
    return f"position({sought} in substr({value}, 2)) > 0"


@dataclass(frozen=True, slots=True)
class _Manner:
    """Of whom is asked, as of when, and how."""

    organization_id: int
    now: int
    is_by_contact: bool  # what contacts did is looked at one by one
    is_sample: bool


def condition(
    criteria: Criteria,
    organization_id: int,
    *,
    now: int | None = None,
    by_contact: bool = False,
    of_sample: bool = False,
) -> ColumnElement[bool]:
    """A condition on `contacts` of one organization; it names the organization itself, too.

    For SELECTs over contacts: of a store that pages them, counts them or exports them. `by_contact`: for
    SQLite; `of_sample`: of one contact in SAMPLE_SHARE.
    """
    at = clock.now_ms() if now is None else now
    manner = _Manner(organization_id, at, by_contact, of_sample)
    holds = and_(contacts.c.organization_id == organization_id, _tree(criteria, manner))
    return and_(_in_sample(contacts.c.id), holds) if of_sample else holds


def is_long(criteria: Criteria) -> bool:
    """Whether it takes seconds to find who matches among a million: by what they did, or by properties."""
    return any(is_long(item) if isinstance(item, Criteria) else _is_long(item) for item in criteria.items)


def _is_long(asked: Condition) -> bool:
    if asked.kind is Kind.ENGAGEMENT:
        narrowed = asked.narrowed
        is_last_asked = narrowed == Narrowed(days=narrowed.days) and _bounds(asked) in ((1, None), (0, 0))
        return not narrowed.is_wide and not is_last_asked
    return asked.kind is Kind.PROPERTY and asked.op not in _ONE_VALUE


def _in_sample(contact_id: ColumnElement[bytes]) -> ColumnElement[bool]:
    return func.substr(contact_id, ID_BYTES, 1) < literal(SAMPLED, Bytes())


def make_room(tx: Tx) -> None:
    """A set that does not fit is searched anew for every contact: PostgreSQL's default holds 50,000."""
    if tx.dialect.name == "postgresql":
        tx.execute(text(f"SET LOCAL work_mem = '{ROOM}'"))


def _tree(criteria: Criteria, manner: _Manner) -> ColumnElement[bool]:
    parts = [
        _tree(item, manner) if isinstance(item, Criteria) else _signed(item, manner)
        for item in criteria.items
    ]
    return and_(*parts) if criteria.match is Match.ALL else or_(*parts)


def _signed(asked: Condition, manner: _Manner) -> ColumnElement[bool]:
    positive = NEGATIONS.get(asked.op)
    holds = _positive(asked, positive or asked.op, manner)
    return holds if positive is None else not_(holds)


def _positive(asked: Condition, op: Op, manner: _Manner) -> ColumnElement[bool]:
    """Never null, so that it may be negated."""
    match asked.kind:
        case Kind.CHOICE:
            return _COLUMNS[asked.field] == CHOICES[asked.field][str(asked.value)]
        case Kind.TEXT if asked.field is Field.EMAIL:
            return _like(contacts.c.address_key, op, address_part(str(asked.value)))
        case Kind.TEXT:
            return _like(_Folded(_COLUMNS[asked.field]), op, fold(str(asked.value)))
        case Kind.NUMBER:
            return _in_order(_COLUMNS[asked.field], op, asked.value)
        case Kind.TIME:
            return _time(asked, op, manner.now)
        case Kind.TAGS:
            return _tags(asked, op, manner.organization_id)
        case Kind.MEMBERSHIP:
            return _membership(asked, manner.organization_id)
        case Kind.ENGAGEMENT:
            return _engaged(asked, manner)
        case Kind.PROPERTY:
            return _property(asked, op, manner)


def _like(own: ColumnElement[str], op: Op, asked: str) -> ColumnElement[bool]:
    match op:
        case Op.EQUALS:
            return own == asked
        case Op.CONTAINS:
            return own.contains(asked, autoescape=True)
        case Op.STARTS_WITH:
            return own.startswith(asked, autoescape=True)
        case Op.ENDS_WITH:
            return own.endswith(asked, autoescape=True)
        case Op.HAS_VALUE:
            return own != ""
        case _:
            raise AssertionError(op)


def _in_order(own: ColumnElement[Any], op: Op, asked: Any) -> ColumnElement[bool]:
    compared: ColumnElement[bool]
    match op:
        case Op.EQUALS:
            compared = own == asked
        case Op.GREATER:
            compared = own > asked
        case Op.GREATER_OR_EQUAL:
            compared = own >= asked
        case Op.LESS:
            compared = own < asked
        case Op.LESS_OR_EQUAL:
            compared = own <= asked
        case _:
            raise AssertionError(op)
    return compared


def _time(asked: Condition, op: Op, now: int) -> ColumnElement[bool]:
    own = _COLUMNS[asked.field]
    known = own.is_not(None) if asked.field in _NULLABLE_TIMES else true()
    match op, asked.value:
        case Op.HAS_VALUE, _:
            return known
        case Op.WITHIN_DAYS, int(days):
            return and_(known, own >= now - days * clock.DAY)
        case _, str(written):
            low, high = span(written)
        case _:
            raise AssertionError(op)
    match op:
        case Op.EQUALS:
            return and_(known, own >= low, own < high)
        case Op.GREATER:
            return and_(known, own >= high)
        case Op.GREATER_OR_EQUAL:
            return and_(known, own >= low)
        case Op.LESS:
            return and_(known, own < low)
        case Op.LESS_OR_EQUAL:
            return and_(known, own < high)
        case _:
            raise AssertionError(op)


def _tags(asked: Condition, op: Op, organization_id: int) -> ColumnElement[bool]:
    carrying = select(contact_tags.c.contact_id).where(contact_tags.c.organization_id == organization_id)
    if op is Op.HAS_VALUE:
        return _ID.in_(carrying)
    assert isinstance(asked.value, tuple)
    names = [str(each) for each in asked.value]
    folded = _Folded(tags.c.name)
    named: ColumnElement[bool]
    match op:
        case Op.IN:
            named = tags.c.name.in_(names)
        case Op.CONTAINS:
            named = or_(*(folded.contains(fold(name), autoescape=True) for name in names))
        case Op.STARTS_WITH:
            named = or_(*(folded.startswith(fold(name), autoescape=True) for name in names))
        case Op.HAS_ALL:
            each = (
                _ID.in_(carrying.where(_tag(organization_id, tags.c.name == name)))
                for name in dict.fromkeys(names)
            )
            return and_(*each)
        case _:
            raise AssertionError(op)
    return _ID.in_(carrying.where(_tag(organization_id, named)))


def _tag(organization_id: int, named: ColumnElement[bool]) -> ColumnElement[bool]:
    of_names = select(tags.c.id).where(tags.c.organization_id == organization_id, named)
    return contact_tags.c.tag_id.in_(of_names)


def _membership(asked: Condition, organization_id: int) -> ColumnElement[bool]:
    table, column = (
        (list_contacts, list_contacts.c.list_id)
        if asked.field is Field.LISTS
        else (segment_contacts, segment_contacts.c.segment_id)
    )
    assert isinstance(asked.value, tuple)
    return _ID.in_(
        select(table.c.contact_id).where(
            table.c.organization_id == organization_id, column.in_(list(asked.value))
        )
    )


def _engaged(asked: Condition, manner: _Manner) -> ColumnElement[bool]:
    """Messages are counted, not opens: a contact's own counters are just that, and answer where they can."""
    least, most = _bounds(asked)
    if most is not None and most < least:
        return false()
    counter, _ = _COUNTERS[asked.field]
    if asked.narrowed.is_wide:
        return and_(counter >= least, true() if most is None else counter <= most)
    enough = _at_least(asked, least, manner)
    return enough if most is None else and_(enough, not_(_at_least(asked, most + 1, manner)))


def _at_least(asked: Condition, least: int, manner: _Manner) -> ColumnElement[bool]:
    """Whether so many messages fit; never null."""
    if least == 0:
        return true()
    counter, last_at = _COUNTERS[asked.field]
    narrowed = asked.narrowed
    may = counter >= least
    if narrowed.days is not None:
        may = and_(may, last_at.is_not(None), last_at >= manner.now - narrowed.days * clock.DAY)
    if least == 1 and narrowed == Narrowed(days=narrowed.days):
        return may
    rows, row = _rows(asked, manner), engagements.c
    if manner.is_by_contact and (manner.is_sample or not narrowed.campaigns):
        of_contact = rows.where(row.contact_id == contacts.c.id).correlate(contacts)
        if least == 1:
            return and_(may, exists(of_contact))
        messages = of_contact.with_only_columns(row.message_id).distinct().subquery()
        nth: Select[Any] = select(literal_column("1")).select_from(messages).limit(1).offset(least - 1)
        return and_(may, nth.scalar_subquery().is_not(None))
    if least > 1:
        different = func.count(row.message_id.distinct())
        rows = rows.group_by(row.contact_id).having(different >= least)
    return and_(may, _ID.in_(rows))


def _bounds(asked: Condition) -> tuple[int, int | None]:
    """How many at least, and at most."""
    assert isinstance(asked.value, int)
    match asked.op:
        case Op.AT_LEAST:
            return asked.value, None
        case Op.MORE_THAN:
            return asked.value + 1, None
        case Op.EXACTLY:
            return asked.value, asked.value
        case Op.LESS_THAN:
            return 0, asked.value - 1
        case Op.AT_MOST:
            return 0, asked.value
        case _:
            raise AssertionError(asked.op)


def _rows(asked: Condition, manner: _Manner) -> Select[tuple[bytes]]:
    row, narrowed = engagements.c, asked.narrowed
    found = select(row.contact_id).where(
        row.organization_id == manner.organization_id, row.kind == ENGAGEMENTS[asked.field].value
    )
    if narrowed.campaigns:
        found = found.where(row.campaign_id.in_(list(narrowed.campaigns)))
    if narrowed.days is not None:
        found = found.where(_Probed(row.at) >= manner.now - narrowed.days * clock.DAY)
    if narrowed.link is not None:
        found = found.where(row.link == narrowed.link)
    if narrowed.humans_only:
        found = found.where(or_(row.is_human.is_(None), row.is_human != 0))
    return found


def _property(asked: Condition, op: Op, manner: _Manner) -> ColumnElement[bool]:
    number = (
        select(property_keys.c.number)
        .where(property_keys.c.organization_id == manner.organization_id, property_keys.c.name == asked.key)
        .scalar_subquery()
    )
    row = property_values.c
    found = select(row.contact_id).where(
        row.organization_id == manner.organization_id, row.key_number == number, _value(asked, op)
    )
    return _ID.in_(found.where(_in_sample(row.contact_id)) if manner.is_sample else found)


def _value(asked: Condition, op: Op) -> ColumnElement[bool]:
    own = property_values.c.value
    match op:
        case Op.EXISTS:
            return true()
        case Op.HAS_VALUE:
            return own != TEXT
        case Op.IS_TRUE | Op.IS_FALSE:
            return own == encode(op is Op.IS_TRUE)[0]
        case Op.CONTAINS:
            return and_(own >= TEXT, own < OPAQUE, _HasPart(own, part(str(asked.value))))
        case Op.STARTS_WITH:
            low, high = prefix_span(str(asked.value))
            return and_(own >= low, own < high)
        case Op.ENDS_WITH:
            end = part(str(asked.value))
            length = func.length(own)
            is_long_enough = length > len(end)  # the kind stands before
            its_end = func.substr(own, length - (len(end) - 1))
            return and_(own >= TEXT, own < OPAQUE, is_long_enough, its_end == end)
    (encoded,) = encode(asked.value)
    if op is Op.EQUALS:
        return own == encoded
    same_kind = and_(own >= encoded[:1], own < kind_end(encoded))
    return and_(same_kind, _in_order(own, op, encoded))
