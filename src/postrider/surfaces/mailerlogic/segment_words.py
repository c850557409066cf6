"""Filters as this dialect writes them, to the engine's criteria and back: the words are tables.

Synonyms are read (R20); what is told back is the first word for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from postrider.engine.audience.segments import Condition, Criteria, Field, Match, Op, parse
from postrider.engine.audience.segments.model import KINDS, Kind
from postrider.engine.errors import Invalid
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.errors import Fault, invalid

CUSTOM = "custom_properties."
FILTERS = ("filter_conditions", "filters")
GROUPS = "filter_groups"

PROPERTIES: Mapping[str, Field] = {
    "status": Field.STATUS,
    "source": Field.SOURCE,
    "email": Field.EMAIL,
    "first_name": Field.FIRST_NAME,
    "last_name": Field.LAST_NAME,
    "phone": Field.PHONE,
    "company": Field.COMPANY,
    "city": Field.CITY,
    "country": Field.COUNTRY,
    "tags": Field.TAGS,
    "tags_any": Field.TAGS,
    "tags_has_all": Field.TAGS,
    "tags_not": Field.TAGS,
    "campaign_opened": Field.OPENED,
    "campaign_clicked": Field.CLICKED,
    "campaign_sent": Field.SENT,
    "engagement_score": Field.SCORE,
    "emails_sent": Field.SENT_COUNT,
    "sent": Field.SENT_COUNT,
    "emails_opened": Field.OPENED_COUNT,
    "opens": Field.OPENED_COUNT,
    "emails_clicked": Field.CLICKED_COUNT,
    "clicks": Field.CLICKED_COUNT,
    "emails_bounced": Field.BOUNCED_COUNT,
    "created_at": Field.CREATED_AT,
    "created_date": Field.CREATED_AT,
    "updated_at": Field.UPDATED_AT,
    "last_activity_at": Field.LAST_ACTIVITY_AT,
}
_EQUALITY = {"equals": Op.EQUALS, "=": Op.EQUALS, "not_equals": Op.NOT_EQUALS, "!=": Op.NOT_EQUALS}
_ORDER = {
    ">": Op.GREATER,
    "greater_than": Op.GREATER,
    ">=": Op.GREATER_OR_EQUAL,
    "greater_than_or_equal": Op.GREATER_OR_EQUAL,
    "<": Op.LESS,
    "less_than": Op.LESS,
    "<=": Op.LESS_OR_EQUAL,
    "less_than_or_equal": Op.LESS_OR_EQUAL,
}
_PARTS = {
    "contains": Op.CONTAINS,
    "not_contains": Op.NOT_CONTAINS,
    "starts_with": Op.STARTS_WITH,
    "not_starts_with": Op.NOT_STARTS_WITH,
}
_ENDS = {"ends_with": Op.ENDS_WITH, "not_ends_with": Op.NOT_ENDS_WITH}
_PRESENCE = {"is_empty": Op.IS_EMPTY, "has_value": Op.HAS_VALUE, "is_not_empty": Op.HAS_VALUE}
OPERATORS: Mapping[Kind, Mapping[str, Op]] = {
    Kind.CHOICE: _EQUALITY,
    Kind.TEXT: {**_EQUALITY, **_PARTS, **_ENDS, **_PRESENCE},
    Kind.NUMBER: {**_EQUALITY, **_ORDER},
    Kind.TIME: {
        **_EQUALITY,
        "before": Op.LESS,
        "after": Op.GREATER,
        "on_or_before": Op.LESS_OR_EQUAL,
        "on_or_after": Op.GREATER_OR_EQUAL,
        "within_days": Op.WITHIN_DAYS,
        "not_within_days": Op.NOT_WITHIN_DAYS,
        **_ORDER,
        **_PRESENCE,
    },
    Kind.TAGS: {
        "in": Op.IN,
        "equals": Op.IN,
        "has_all": Op.HAS_ALL,
        "not_in": Op.NOT_IN,
        "not_equals": Op.NOT_IN,
        **_PARTS,
        **_PRESENCE,
    },
    Kind.MEMBERSHIP: {},  # there are no lists here
    Kind.ENGAGEMENT: {
        "at_least": Op.AT_LEAST,
        "exactly": Op.EXACTLY,
        "more_than": Op.MORE_THAN,
        "less_than": Op.LESS_THAN,
        "at_most": Op.AT_MOST,
    },
    Kind.PROPERTY: {
        **_EQUALITY,
        **_ORDER,
        **_PARTS,
        **_ENDS,
        **_PRESENCE,
        "exists": Op.EXISTS,
        "not_exists": Op.NOT_EXISTS,
        "is_true": Op.IS_TRUE,
        "is_false": Op.IS_FALSE,
    },
}
# Whether it was done at all, once or never; `value` may name a campaign.
_DONE: Mapping[Field, tuple[str, ...]] = {
    Field.OPENED: ("has_opened",),
    Field.CLICKED: ("has_clicked",),
    Field.SENT: ("has_received", "was_sent"),
}
_NOT_DONE: Mapping[Field, tuple[str, ...]] = {
    Field.OPENED: ("has_not_opened", "never"),
    Field.CLICKED: ("has_not_clicked", "never"),
    Field.SENT: ("has_not_received", "was_not_sent", "never"),
}
# Properties whose name says the operator, too.
_BOUND = {"tags_has_all": (Op.HAS_ALL,), "tags_not": (Op.NOT_IN,)}
_STATUSES = {"active": "subscribed"}
# The engine's names of places in criteria, as they are called here.
_PLACES = {
    "items": FILTERS[0],
    "match": "match_type",
    "field": "property",
    "key": "property",
    "op": "operator",
    "campaigns": "campaign_ids",
    "days": "time_period_days",
    "link": "link_url",
    "humans_only": "exclude_scanner",
}


def read(body: Mapping[str, Any], *, match: Match = Match.ALL, path: str = "") -> Criteria:
    """Filters and groups of filters of a body at `path`; raises Invalid that names the fault's place."""
    items: list[Any] = []
    places: list[str] = []
    for name in (*FILTERS, GROUPS):
        given = body.get(name)
        if given is None or (name == FILTERS[1] and body.get(FILTERS[0]) is not None):
            continue
        if not isinstance(given, list):
            raise invalid([Fault(path + name, "Input should be a list")])
        own = [f"{path}{name}.{index}" for index in range(len(given))]
        items += [_item(each, place) for each, place in zip(given, own, strict=True)]
        places += own
    try:
        return parse({"match": body.get("match_type") or match, "items": items})
    except Invalid as error:
        raise invalid([Fault(_place(str(error.facts["field"]), places, path), error.sentence)]) from None


def tell(criteria: Criteria) -> list[dict[str, Any]]:
    """A group's filters; a group in it is {match_type, filter_conditions}."""
    return [
        {"match_type": item.match.value, FILTERS[0]: tell(item)}
        if isinstance(item, Criteria)
        else _told(item)
        for item in criteria.items
    ]


def _item(raw: Any, path: str) -> Any:
    if not isinstance(raw, dict):
        return raw
    below = next((name for name in FILTERS if name in raw), None)
    if below is None:
        return _condition(raw, path)
    inner = raw[below]
    items = inner
    if isinstance(inner, list):
        items = [_item(each, f"{path}.{below}.{index}") for index, each in enumerate(inner)]
    return {"match": raw.get("match_type") or Match.ALL, "items": items}


def _condition(raw: Mapping[str, Any], path: str) -> dict[str, Any]:
    named, operator = raw.get("property", raw.get("field")), raw.get("operator")
    if isinstance(named, str) and named.startswith(CUSTOM):
        field, key = Field.PROPERTY, named.removeprefix(CUSTOM)
    elif isinstance(named, str) and named in PROPERTIES:
        field, key = PROPERTIES[named], ""
    else:
        raise invalid([Fault(f"{path}.property", "There is no such property to filter by")])
    told: dict[str, Any] = {"field": field.value}
    if key:
        told["key"] = key
    if KINDS[field] is Kind.ENGAGEMENT:
        return told | _engagement(raw, field, path)
    op = OPERATORS[KINDS[field]].get(operator) if isinstance(operator, str) else None
    if op is None or op not in _BOUND.get(str(named), (op,)):
        raise invalid([Fault(f"{path}.operator", f"The property {named} has no such operator")])
    return told | {"op": op.value, "value": _value(field, op, raw.get("value"))}


def _value(field: Field, op: Op, value: Any) -> Any:
    if field is Field.STATUS and isinstance(value, str):
        return _STATUSES.get(value, value)
    is_counted = KINDS[field] is Kind.NUMBER or (KINDS[field] is Kind.PROPERTY and op in _ORDER.values())
    if is_counted and isinstance(value, str):
        return _number(value)
    return value


def _number(text: str) -> Any:
    """Forms say numbers as texts; what is none stays a text."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if abs(number) < float("inf") else text
    return text


def _engagement(raw: Mapping[str, Any], field: Field, path: str) -> dict[str, Any]:
    operator, value, campaigns = raw.get("operator"), raw.get("value"), raw.get("campaign_ids")
    told = {
        "days": raw.get("time_period_days"),
        "link": raw.get("link_url"),
        "humans_only": raw.get("exclude_scanner") or False,
    }
    if operator in (*_DONE[field], *_NOT_DONE[field]):
        if isinstance(value, str | list) and value and not campaigns:
            campaigns = value if isinstance(value, list) else [value]
        op = Op.AT_LEAST if operator in _DONE[field] else Op.EXACTLY
        value = int(op is Op.AT_LEAST)
    elif isinstance(operator, str) and operator in OPERATORS[Kind.ENGAGEMENT]:
        op = OPERATORS[Kind.ENGAGEMENT][operator]
    else:
        raise invalid([Fault(f"{path}.operator", "This property has no such operator")])
    return told | {"op": op.value, "value": value, "campaigns": campaigns}


def _place(engine_path: str, places: Sequence[str], path: str) -> str:
    """items.2.op -> filter_conditions.2.operator"""
    first, _, rest = engine_path.partition(".")
    index, _, deeper = rest.partition(".")
    if first != "items" or not index:
        return path + _PLACES.get(first, first)
    return ".".join([places[int(index)], *(_PLACES.get(word, word) for word in deeper.split(".") if word)])


def _told(condition: Condition) -> dict[str, Any]:
    name = next((word for word, field in PROPERTIES.items() if field is condition.field), None)
    told: dict[str, Any] = {"property": name or CUSTOM + condition.key, "operator": _operator(condition)}
    has_count = condition.kind is not Kind.ENGAGEMENT or told["operator"] in OPERATORS[Kind.ENGAGEMENT]
    if condition.value is not None and has_count:
        value = condition.value
        told["value"] = list(value) if isinstance(value, tuple) else value
    narrowed = condition.narrowed
    if narrowed.campaigns:
        told["campaign_ids"] = [to_uuid(each) for each in narrowed.campaigns]
    if narrowed.days is not None:
        told["time_period_days"] = narrowed.days
    if narrowed.link is not None:
        told["link_url"] = narrowed.link
    if narrowed.humans_only:
        told["exclude_scanner"] = True
    return told


def _operator(condition: Condition) -> str:
    match condition.op, condition.value:
        case Op.AT_LEAST, 1:
            return _DONE[condition.field][0]
        case Op.EXACTLY, 0:
            return _NOT_DONE[condition.field][0]
    words = OPERATORS[condition.kind]
    is_number = isinstance(condition.value, int | float)
    found = [word for word, op in words.items() if op is condition.op]
    return next((word for word in found if is_number and word in ("=", "!=")), found[0])
