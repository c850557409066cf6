"""The SQL of properties: their groups, definitions and keys, and the values by which contacts are found."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, text, update

from postrider.db.database import Tx
from postrider.db.portable import Batch, Statement, insert_batch
from postrider.engine import accounts
from postrider.engine.audience.model import PropertyType
from postrider.engine.audience.properties.encode import END, OPAQUE, TEXT, after
from postrider.engine.audience.properties.model import (
    ORGANIZATION_KEYS_MAX,
    Definition,
    PropertyGroup,
)
from postrider.engine.audience.tables import (
    property_definitions,
    property_groups,
    property_keys,
    property_values,
)
from postrider.kit import json
from postrider.kit.ids import RowId

NUMBERS = "property_key"  # of accounts.next_number
KEYS_LIMIT = 2 * ORGANIZATION_KEYS_MAX  # two batches at once may pass the limit together
COUNT_MAX = 100_000  # as far as found contacts are counted
_GROUP = tuple(
    property_groups.c[field.name] for field in fields(PropertyGroup) if field.name != "definitions"
)
_DEFINITION = tuple(
    property_definitions.c[field.name] for field in fields(Definition) if field.name != "contacts"
)
_DEFINITION_NAMES = tuple(column.name for column in _DEFINITION)
_DEFINITION_JSON = ("options", "default_value", "rules")
# What every save of contacts reads: straight from the driver.
_checked = Statement(
    f"""SELECT {", ".join(_DEFINITION_NAMES)} FROM property_definitions
        WHERE organization_id = :organization_id LIMIT :limit"""  # noqa: S608
)
_key_names = Statement("SELECT name FROM property_keys WHERE organization_id = :organization_id LIMIT :limit")

_insert_group = insert_batch(
    property_groups,
    *("organization_id", "id", "name", "label", "description", "display_order", "created_at"),
    tail="ON CONFLICT DO NOTHING RETURNING id",
)
_insert_definition = insert_batch(
    property_definitions,
    *("organization_id", "id", "name", "label", "type", "group_id", "options", "is_required", "is_visible"),
    *("default_value", "rules", "help_text", "placeholder", "display_order", "created_at", "updated_at"),
    tail="ON CONFLICT DO NOTHING RETURNING id",
)
_insert_keys = insert_batch(property_keys, "organization_id", "number", "name", tail="ON CONFLICT DO NOTHING")
_find_keys = Batch(
    """SELECT k.name, k.number FROM v JOIN property_keys k
         ON k.organization_id = v.organization_id AND k.name = v.name""",
    organization_id=int,
    name=str,
)
_count_keys = Batch(
    """UPDATE property_keys SET contacts = contacts + v.more FROM v
       WHERE property_keys.organization_id = v.organization_id AND property_keys.number = v.number""",
    organization_id=int,
    number=int,
    more=int,
)
_VALUE = {"organization_id": int, "key_number": int, "value": bytes, "contact_id": bytes}
_insert_values = insert_batch(property_values, *_VALUE, tail="ON CONFLICT DO NOTHING")
_delete_values = Batch(
    f"DELETE FROM property_values WHERE ({', '.join(_VALUE)}) IN (SELECT {', '.join(_VALUE)} FROM v)",  # noqa: S608
    **_VALUE,
)

Conditions = list[ColumnElement[bool]]  # on values of one key
Value = tuple[int, int, bytes, RowId]  # organization, key number, encoded, contact


def groups(tx: Tx, organization_id: int, *, limit: int) -> list[PropertyGroup]:
    inside = (
        select(func.count())
        .where(
            property_definitions.c.organization_id == organization_id,
            property_definitions.c.group_id == property_groups.c.id,
        )
        .scalar_subquery()
    )
    table = property_groups.c
    query = select(*_GROUP, inside).where(table.organization_id == organization_id)
    rows: Any = tx.execute(query.order_by(table.display_order, table.id).limit(limit))
    return [PropertyGroup(*row) for row in rows]


def count_groups(tx: Tx, organization_id: int) -> int:
    query = select(func.count()).where(property_groups.c.organization_id == organization_id)
    return tx.execute(query).scalar_one()


def hold_group(tx: Tx, organization_id: int, group_id: RowId) -> bool:
    """Whether there is such a group; nobody removes it before this transaction ends."""
    query = select(property_groups.c.id).where(*_is_group(organization_id, group_id))
    return tx.execute(query.with_for_update(read=True, key_share=True)).first() is not None


def insert_group(tx: Tx, group: PropertyGroup) -> bool:
    """Whether it was inserted: not where the name is taken."""
    values = (group.name, group.label, group.description, group.display_order, group.created_at)
    return bool(_insert_group(tx, [(group.organization_id, group.id, *values)]))


def change_group(tx: Tx, group: PropertyGroup) -> None:
    values = {
        "name": group.name,
        "label": group.label,
        "description": group.description,
        "display_order": group.display_order,
    }
    tx.execute(update(property_groups).where(*_is_group(group.organization_id, group.id)).values(**values))


def remove_group(tx: Tx, organization_id: int, group_id: RowId) -> bool:
    """Whether it was there; its definitions stand in none from now on."""
    gone = tx.execute(delete(property_groups).where(*_is_group(organization_id, group_id))).rowcount == 1
    table = property_definitions.c
    inside = (table.organization_id == organization_id, table.group_id == group_id)
    tx.execute(update(property_definitions).where(*inside).values(group_id=None))
    return gone


def definitions(
    tx: Tx,
    organization_id: int,
    *,
    group_id: RowId | None = None,
    name: str | None = None,
    definition_id: RowId | None = None,
    limit: int,
) -> list[Definition]:
    """All, or those of a group, a name or an id, in display order."""
    table, keys = property_definitions.c, property_keys.c
    used = and_(keys.organization_id == table.organization_id, keys.name == table.name)
    query = (
        select(*_DEFINITION, func.coalesce(keys.contacts, 0))
        .select_from(property_definitions.outerjoin(property_keys, used))
        .where(table.organization_id == organization_id)
    )
    if group_id is not None:
        query = query.where(table.group_id == group_id)
    if name is not None:
        query = query.where(table.name == name)
    if definition_id is not None:
        query = query.where(table.id == definition_id)
    return [
        _definition(row) for row in tx.execute(query.order_by(table.display_order, table.id).limit(limit))
    ]


def checked(tx: Tx, organization_id: int, *, limit: int) -> list[Definition]:
    """All, in no order, and not how many contacts have a value."""
    found = []
    for row in _checked(tx, organization_id=organization_id, limit=limit):
        facts = dict(zip(_DEFINITION_NAMES, row, strict=True))
        facts |= {name: json.loads(facts[name]) for name in _DEFINITION_JSON if facts[name] is not None}
        found.append(_definition((*facts.values(), 0)))
    return found


def count_definitions(tx: Tx, organization_id: int) -> int:
    query = select(func.count()).where(property_definitions.c.organization_id == organization_id)
    return tx.execute(query).scalar_one()


def insert_definition(tx: Tx, definition: Definition) -> bool:
    """Whether it was inserted: not where the name is taken."""
    row = (
        definition.organization_id,
        definition.id,
        definition.name,
        definition.label,
        definition.type.value,
        definition.group_id,
        json.dumps(definition.options),
        int(definition.is_required),
        int(definition.is_visible),
        None if definition.default_value is None else json.dumps(definition.default_value),
        json.dumps(definition.rules),
        definition.help_text,
        definition.placeholder,
        definition.display_order,
        definition.created_at,
        definition.updated_at,
    )
    return bool(_insert_definition(tx, [row]))


def change_definition(tx: Tx, definition: Definition) -> None:
    """All of it but its name and when it was made."""
    table = property_definitions.c
    mine = (table.organization_id == definition.organization_id, table.id == definition.id)
    values = {
        "label": definition.label,
        "type": definition.type.value,
        "group_id": definition.group_id,
        "options": definition.options,
        "is_required": int(definition.is_required),
        "is_visible": int(definition.is_visible),
        "default_value": definition.default_value,
        "rules": definition.rules,
        "help_text": definition.help_text,
        "placeholder": definition.placeholder,
        "display_order": definition.display_order,
        "updated_at": definition.updated_at,
    }
    tx.execute(update(property_definitions).where(*mine).values(**values))


def remove_definition(tx: Tx, organization_id: int, definition_id: RowId) -> bool:
    """Whether it was there."""
    table = property_definitions.c
    mine = (table.organization_id == organization_id, table.id == definition_id)
    return tx.execute(delete(property_definitions).where(*mine)).rowcount == 1


def key_names(tx: Tx, organization_id: int) -> set[str]:
    return {row[0] for row in _key_names(tx, organization_id=organization_id, limit=KEYS_LIMIT)}


def keys(tx: Tx, organization_id: int) -> list[tuple[str, int]]:
    """Names and how many contacts have a value, most used first; what nobody has any more is left out."""
    table = property_keys.c
    query = select(table.name, table.contacts).where(
        table.organization_id == organization_id, table.contacts > 0
    )
    rows = tx.execute(query.order_by(table.contacts.desc(), table.name).limit(KEYS_LIMIT))
    return [(row.name, row.contacts) for row in rows]


def key(tx: Tx, organization_id: int, name: str) -> tuple[int, int] | None:
    """A key's number, and how many contacts have a value."""
    table = property_keys.c
    query = select(table.number, table.contacts).where(
        table.organization_id == organization_id, table.name == name
    )
    row = tx.execute(query).first()
    return None if row is None else (row.number, row.contacts)


def number_keys(tx: Tx, organization_id: int, names: Sequence[str]) -> dict[str, int]:
    """The numbers of keys, given to those that have none."""
    wanted = [(organization_id, name) for name in names]
    known = dict(_find_keys(tx, wanted))
    missing = [name for name in names if name not in known]
    if not missing:
        return known
    rows = [(organization_id, accounts.next_number(tx, organization_id, NUMBERS), name) for name in missing]
    _insert_keys(tx, rows)
    return dict(_find_keys(tx, wanted))  # another transaction may have been first


def write(
    tx: Tx, organization_id: int, *, gone: list[Value], fresh: list[Value], counts: dict[int, int]
) -> None:
    """`counts`: by key number, how many contacts more (or fewer) have a value."""
    if gone:
        _delete_values(tx, gone)
    if fresh:
        _insert_values(tx, fresh)
    changed = [(organization_id, number, more) for number, more in sorted(counts.items()) if more]
    if changed:
        _count_keys(tx, changed)


def having(
    tx: Tx,
    organization_id: int,
    key_number: int,
    conditions: Conditions,
    *,
    after_value: tuple[bytes, RowId] | None,
    limit: int,
    offset: int = 0,
) -> list[tuple[bytes, RowId]]:
    """(value, contact) in the order of values, one contact as often as it has fitting values."""
    table = property_values.c
    query = select(table.value, table.contact_id).where(*_of_key(organization_id, key_number), *conditions)
    if after_value is not None:
        value, contact_id = after_value
        query = query.where(table.value >= value, or_(table.value > value, table.contact_id > contact_id))
    ordered = query.order_by(table.value, table.contact_id).limit(limit).offset(offset)
    return [(row.value, row.contact_id) for row in tx.execute(ordered)]


def count_having(tx: Tx, organization_id: int, key_number: int, conditions: Conditions) -> int:
    """How many contacts, counted to COUNT_MAX; exact below, where a contact with a list counts once.

    To tell contacts apart takes ten times as long as to count values: it is done for less than COUNT_MAX.
    """
    found = select(property_values.c.contact_id).where(*_of_key(organization_id, key_number), *conditions)
    some = found.limit(COUNT_MAX).subquery()
    values: int = tx.execute(select(func.count()).select_from(some)).scalar_one()
    if values in (0, COUNT_MAX):
        return values
    counted: int = tx.execute(select(func.count(some.c.contact_id.distinct()))).scalar_one()
    return counted


def count_equal(tx: Tx, organization_id: int, key_number: int, encoded: bytes) -> int:
    """How many contacts have a value, counted to COUNT_MAX: each has it once."""
    found = select(property_values.c.contact_id).where(
        *_of_key(organization_id, key_number), property_values.c.value == encoded
    )
    return tx.execute(select(func.count()).select_from(found.limit(COUNT_MAX).subquery())).scalar_one()


def between(low: bytes = b"", high: bytes = END) -> Conditions:
    """From `low` up to, not including, `high`."""
    return [property_values.c.value >= low, property_values.c.value < high]


def beside(encoded: bytes) -> Conditions:
    """Some value that is not `encoded`."""
    return [or_(property_values.c.value < encoded, property_values.c.value >= after(encoded))]


def unlike(organization_id: int, key_number: int, encoded: bytes) -> Conditions:
    """Some value, and none that is `encoded`."""
    other = property_values.alias("other")
    same = exists(
        select(other.c.value).where(
            other.c.organization_id == organization_id,
            other.c.key_number == key_number,
            other.c.value == encoded,
            other.c.contact_id == property_values.c.contact_id,
        )
    )
    return [*beside(encoded), ~same]


def containing(tx: Tx, part: bytes) -> Conditions:
    """Texts in which `part` stands."""
    is_in = "position(:part IN value)" if tx.dialect.name == "postgresql" else "instr(value, :part)"
    return [*between(TEXT, OPAQUE), text(f"{is_in} > 0").bindparams(part=part)]  # type: ignore[list-item]


def _is_group(organization_id: int, group_id: RowId) -> tuple[ColumnElement[bool], ...]:
    return (property_groups.c.organization_id == organization_id, property_groups.c.id == group_id)


def _of_key(organization_id: int, key_number: int) -> tuple[ColumnElement[bool], ...]:
    table = property_values.c
    return (table.organization_id == organization_id, table.key_number == key_number)


def _definition(row: Any) -> Definition:
    (organization_id, row_id, name, label, type_, group_id, options, is_required, is_visible, *rest) = row
    default_value, rules, help_text, placeholder, display_order, created_at, updated_at, contacts = rest
    return Definition(
        organization_id=organization_id,
        id=row_id,
        name=name,
        label=label,
        type=PropertyType(type_),
        group_id=group_id,
        options=options or [],
        is_required=is_required == 1,
        is_visible=is_visible == 1,
        default_value=default_value,
        rules=rules or {},
        help_text=help_text,
        placeholder=placeholder,
        display_order=display_order,
        created_at=created_at,
        updated_at=updated_at,
        contacts=contacts,
    )
