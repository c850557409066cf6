"""Criteria from their neutral JSON and back. Everything is checked here, so that compiling cannot fail."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from postrider.engine.audience.segments.model import (
    CHOICES,
    CONDITIONS_MAX,
    CONDITIONS_PER_GROUP_MAX,
    DAYS_MAX,
    DEPTH_MAX,
    GROUPS_MAX,
    KINDS,
    NUMBER_MAX,
    OPS,
    TEXT_MAX_CHARS,
    VALUELESS,
    VALUES_MAX,
    Condition,
    Criteria,
    Field,
    Kind,
    Match,
    Narrowed,
    Op,
    Value,
)
from postrider.engine.errors import Invalid
from postrider.kit import clock
from postrider.kit.ids import RowId, from_uuid

KEY_MAX_CHARS = 100
LINK_MAX_CHARS = 2_048
_DAY_CHARS = len("2026-01-31")
_PARTS = {Op.CONTAINS, Op.NOT_CONTAINS, Op.STARTS_WITH, Op.NOT_STARTS_WITH, Op.ENDS_WITH, Op.NOT_ENDS_WITH}
_ORDERED = {Op.GREATER, Op.GREATER_OR_EQUAL, Op.LESS, Op.LESS_OR_EQUAL}
_DAYS = {Op.WITHIN_DAYS, Op.NOT_WITHIN_DAYS}


def parse(raw: Any) -> Criteria:
    """Raises Invalid whose `field` is the fault's path in the JSON: items.2.value."""
    criteria = _group(raw, "", 1)
    groups = [group for group in _groups(criteria) if _conditions(group)]
    for group in groups:
        if _conditions(group) > CONDITIONS_PER_GROUP_MAX:
            raise _fault("items", f"A group has at most {CONDITIONS_PER_GROUP_MAX} filters")
    if len(groups) > GROUPS_MAX:
        raise _fault("items", f"At most {GROUPS_MAX} groups of filters are taken")
    if sum(map(_conditions, groups)) > CONDITIONS_MAX:
        raise _fault("items", f"At most {CONDITIONS_MAX} filters are taken")
    return criteria


def to_json(criteria: Criteria) -> dict[str, Any]:
    """What parse reads back as equal criteria."""
    items = [to_json(item) if isinstance(item, Criteria) else _told(item) for item in criteria.items]
    return {"match": criteria.match.value, "items": items}


def span(text: str) -> tuple[int, int]:
    """An ISO time, or a day in UTC, as ms: from (included) and to (not included). Raises ValueError."""
    start = clock.from_iso(text)
    return start, start + (clock.DAY if len(text) == _DAY_CHARS else 1)


def _group(raw: Any, path: str, depth: int) -> Criteria:
    if depth > DEPTH_MAX:
        raise _fault(path, f"Groups stand in each other at most {DEPTH_MAX} deep")
    if not isinstance(raw, dict):
        raise _fault(path, "Input should be an object")
    match, items = raw.get("match", Match.ALL), raw.get("items")
    if match not in list(Match):
        raise _fault(_under(path, "match"), "Input should be all or any")
    if not isinstance(items, list) or not items:
        raise _fault(_under(path, "items"), "At least one filter is needed")
    if len(items) > CONDITIONS_PER_GROUP_MAX + GROUPS_MAX:
        raise _fault(_under(path, "items"), f"A group has at most {CONDITIONS_PER_GROUP_MAX} filters")
    parsed = []
    for index, item in enumerate(items):
        below = _under(path, f"items.{index}")
        is_group = isinstance(item, dict) and "items" in item
        parsed.append(_group(item, below, depth + 1) if is_group else _condition(item, below))
    return Criteria(Match(match), tuple(parsed))


def _condition(raw: Any, path: str) -> Condition:
    if not isinstance(raw, dict):
        raise _fault(path, "Input should be an object")
    named, asked = raw.get("field"), raw.get("op")
    if named not in list(Field):
        raise _fault(_under(path, "field"), "There is no such property to filter by")
    field = Field(named)
    if asked not in list(Op) or Op(asked) not in OPS[KINDS[field]]:
        raise _fault(_under(path, "op"), "This property has no such operator")
    op = Op(asked)
    key = ""
    if field is Field.PROPERTY:
        key = _text(raw.get("key"), _under(path, "key"), KEY_MAX_CHARS)
    narrowed = _narrowed(raw, field, path) if KINDS[field] is Kind.ENGAGEMENT else Narrowed()
    value = None if op in VALUELESS else _value(field, op, raw.get("value"), _under(path, "value"))
    return Condition(field, op, value, key, narrowed)


def _value(field: Field, op: Op, raw: Any, path: str) -> Value:
    match KINDS[field]:
        case Kind.CHOICE:
            if not isinstance(raw, str) or raw not in CHOICES[field]:
                raise _fault(path, f"Input should be one of {', '.join(CHOICES[field])}")
            return raw
        case Kind.TEXT:
            return _text(raw, path, TEXT_MAX_CHARS, least=1 if op in _PARTS else 0)
        case Kind.NUMBER:
            return _number(raw, path)
        case Kind.TIME:
            return _whole(raw, path, DAYS_MAX, least=1) if op in _DAYS else _time(raw, path)
        case Kind.TAGS:
            return tuple(_text(each, path, TEXT_MAX_CHARS) for each in _several(raw, path))
        case Kind.MEMBERSHIP:
            return tuple(_id(each, path) for each in _several(raw, path))
        case Kind.ENGAGEMENT:
            return _whole(raw, path, NUMBER_MAX)
        case Kind.PROPERTY:
            return _scalar(op, raw, path)


def _scalar(op: Op, raw: Any, path: str) -> Value:
    if op in _PARTS:
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            raise _fault(path, "Input should be a text")
        return _text(raw, path, TEXT_MAX_CHARS)
    if isinstance(raw, bool) and op not in _ORDERED:
        return raw
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return raw
    return _text(raw, path, TEXT_MAX_CHARS, least=0)


def _narrowed(raw: dict[str, Any], field: Field, path: str) -> Narrowed:
    campaigns, days, link = raw.get("campaigns"), raw.get("days"), raw.get("link")
    humans_only = raw.get("humans_only", False)
    if link is not None and field is not Field.CLICKED:
        raise _fault(_under(path, "link"), "Only clicks have a link")
    if not isinstance(humans_only, bool):
        raise _fault(_under(path, "humans_only"), "Input should be true or false")
    if humans_only and field is Field.SENT:
        raise _fault(_under(path, "humans_only"), "Only opens and clicks may be a scanner's")
    below = _under(path, "campaigns")
    return Narrowed(
        campaigns=tuple(_id(each, below) for each in _several(campaigns, below)) if campaigns else (),
        days=None if days is None else _whole(days, _under(path, "days"), DAYS_MAX, least=1),
        link=None if link is None else _text(link, _under(path, "link"), LINK_MAX_CHARS),
        humans_only=humans_only,
    )


def _several(raw: Any, path: str) -> list[Any]:
    found = raw if isinstance(raw, list) else [raw]
    if not 1 <= len(found) <= VALUES_MAX:
        raise _fault(path, f"1 to {VALUES_MAX} values are taken")
    return found


def _text(raw: Any, path: str, most: int, *, least: int = 1) -> str:
    if not isinstance(raw, str) or not least <= len(raw) <= most or "\0" in raw:
        raise _fault(path, f"Input should be a text of {least} to {most} characters")
    try:
        raw.encode()
    except UnicodeEncodeError:
        raise _fault(path, "Input should be a text of Unicode") from None
    return raw


def _number(raw: Any, path: str) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not abs(raw) <= NUMBER_MAX:
        raise _fault(path, "Input should be a number")
    return raw


def _whole(raw: Any, path: str, most: int, *, least: int = 0) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw <= most:
        raise _fault(path, f"Input should be a whole number, {least} to {most}")
    return raw


def _time(raw: Any, path: str) -> str:
    try:
        text = raw.strip()
        if len(text) == _DAY_CHARS:
            datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007  # a day, whatever the zone
        span(text)
    except (AttributeError, ValueError, OverflowError):
        raise _fault(path, "Input should be a date or an ISO 8601 time") from None
    return str(text)


def _id(raw: Any, path: str) -> RowId:
    row_id = from_uuid(raw) if isinstance(raw, str) else None
    if row_id is None:
        raise _fault(path, "Input should be a UUID")
    return row_id


def _groups(criteria: Criteria) -> Iterator[Criteria]:
    yield criteria
    for item in criteria.items:
        if isinstance(item, Criteria):
            yield from _groups(item)


def _conditions(group: Criteria) -> int:
    return sum(isinstance(item, Condition) for item in group.items)


def _told(condition: Condition) -> dict[str, Any]:
    told: dict[str, Any] = {"field": condition.field.value, "op": condition.op.value}
    if condition.key:
        told["key"] = condition.key
    if condition.value is not None:
        told["value"] = _plain(condition.value)
    narrowed = condition.narrowed
    if narrowed.campaigns:
        told["campaigns"] = _plain(narrowed.campaigns)
    if narrowed.days is not None:
        told["days"] = narrowed.days
    if narrowed.link is not None:
        told["link"] = narrowed.link
    if narrowed.humans_only:
        told["humans_only"] = True
    return told


def _plain(value: Value) -> Any:
    if isinstance(value, tuple):
        return [each.hex() if isinstance(each, bytes) else each for each in value]
    return value


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fault(path: str, message: str) -> Invalid:
    return Invalid(field=path or "items", message=message)
