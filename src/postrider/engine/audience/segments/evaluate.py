"""The same tree over one contact in plain Python: what SQL must agree with, and what needs no store."""

from collections.abc import Sequence
from typing import Any

from postrider.engine.audience.properties.encode import TEXT, encode, part, prefix_span
from postrider.engine.audience.segments.model import (
    CHOICES,
    ENGAGEMENTS,
    NEGATIONS,
    Condition,
    Criteria,
    Facts,
    Field,
    Kind,
    Match,
    Op,
)
from postrider.engine.audience.segments.parse import span
from postrider.kit import clock
from postrider.kit.address import InvalidAddress, address_key

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def evaluate(criteria: Criteria, facts: Facts, *, now: int | None = None) -> bool:
    """Whether the criteria hold of a contact at `now` (ms; None: the clock's)."""
    at = clock.now_ms() if now is None else now
    held = (
        evaluate(item, facts, now=at) if isinstance(item, Criteria) else _holds(item, facts, at)
        for item in criteria.items
    )
    return all(held) if criteria.match is Match.ALL else any(held)


def fold(text: str) -> str:
    """Without the case of A to Z: as far as both databases go alike."""
    return text.translate(_ASCII_LOWER)


def address_part(text: str) -> str:
    """An address, or a part of one, as address keys have it."""
    try:
        return address_key(text) if "@" in text.strip("@") else text.casefold()
    except InvalidAddress:
        return text.casefold()


def _holds(condition: Condition, facts: Facts, now: int) -> bool:
    positive = NEGATIONS.get(condition.op)
    op = condition.op if positive is None else positive
    return _positive(condition, op, facts, now) is (positive is None)


def _positive(condition: Condition, op: Op, facts: Facts, now: int) -> bool:
    contact, value = facts.contact, condition.value
    match condition.kind:
        case Kind.CHOICE:
            return bool(getattr(contact, condition.field.value) == CHOICES[condition.field][str(value)])
        case Kind.TEXT:
            return _text(condition, op, facts)
        case Kind.NUMBER:
            return _in_order(op, getattr(contact, condition.field.value.removesuffix("_count")), value)
        case Kind.TIME:
            return _time(condition, op, getattr(contact, condition.field.value), now)
        case Kind.TAGS:
            return _tags(op, contact.tags, condition)
        case Kind.MEMBERSHIP:
            assert isinstance(value, tuple)
            is_in = contact.lists if condition.field is Field.LISTS else facts.segments
            return any(each in is_in for each in value)
        case Kind.ENGAGEMENT:
            return _engaged(condition, facts, now)
        case Kind.PROPERTY:
            return _property(condition, op, facts)


def _text(condition: Condition, op: Op, facts: Facts) -> bool:
    if condition.field is Field.EMAIL:
        own, asked = facts.contact.address_key, address_part(str(condition.value))
    else:
        own = fold(getattr(facts.contact, condition.field.value) or "")
        asked = fold(str(condition.value))
    match op:
        case Op.EQUALS:
            return own == asked
        case Op.CONTAINS:
            return asked in own
        case Op.STARTS_WITH:
            return own.startswith(asked)
        case Op.ENDS_WITH:
            return own.endswith(asked)
        case Op.HAS_VALUE:
            return own != ""
        case _:
            raise AssertionError(op)


def _in_order(op: Op, own: Any, asked: Any) -> bool:
    match op:
        case Op.EQUALS:
            return bool(own == asked)
        case Op.GREATER:
            return bool(own > asked)
        case Op.GREATER_OR_EQUAL:
            return bool(own >= asked)
        case Op.LESS:
            return bool(own < asked)
        case Op.LESS_OR_EQUAL:
            return bool(own <= asked)
        case _:
            raise AssertionError(op)


def _time(condition: Condition, op: Op, own: int | None, now: int) -> bool:
    if own is None:
        return False
    match op, condition.value:
        case Op.HAS_VALUE, _:
            return True
        case Op.WITHIN_DAYS, int(days):
            return own >= now - days * clock.DAY
        case _, str(text):
            low, high = span(text)
        case _:
            raise AssertionError(op)
    match op:
        case Op.EQUALS:
            return low <= own < high
        case Op.GREATER:
            return own >= high
        case Op.GREATER_OR_EQUAL:
            return own >= low
        case Op.LESS:
            return own < low
        case Op.LESS_OR_EQUAL:
            return own < high
        case _:
            raise AssertionError(op)


def _tags(op: Op, own: Sequence[str], condition: Condition) -> bool:
    if op is Op.HAS_VALUE:
        return bool(own)
    assert isinstance(condition.value, tuple)
    asked = [str(each) for each in condition.value]
    folded = [fold(tag) for tag in own]
    match op:
        case Op.IN:
            return any(tag in own for tag in asked)
        case Op.HAS_ALL:
            return all(tag in own for tag in asked)
        case Op.CONTAINS:
            return any(fold(each) in tag for each in asked for tag in folded)
        case Op.STARTS_WITH:
            return any(tag.startswith(fold(each)) for each in asked for tag in folded)
        case _:
            raise AssertionError(op)


def _engaged(condition: Condition, facts: Facts, now: int) -> bool:
    narrowed, kind = condition.narrowed, ENGAGEMENTS[condition.field]
    since = None if narrowed.days is None else now - narrowed.days * clock.DAY
    found = {
        row.message_id
        for row in facts.engaged
        if row.kind is kind
        and (not narrowed.campaigns or row.campaign_id in narrowed.campaigns)
        and (since is None or row.at >= since)
        and (narrowed.link is None or row.link == narrowed.link)
        and not (narrowed.humans_only and row.is_human is False)
    }
    assert isinstance(condition.value, int)
    count, asked = len(found), condition.value
    match condition.op:
        case Op.AT_LEAST:
            return count >= asked
        case Op.EXACTLY:
            return count == asked
        case Op.MORE_THAN:
            return count > asked
        case Op.LESS_THAN:
            return count < asked
        case Op.AT_MOST:
            return count <= asked
        case _:
            raise AssertionError(condition.op)


def _property(condition: Condition, op: Op, facts: Facts) -> bool:
    own = encode(facts.contact.properties.get(condition.key))
    match op:
        case Op.EXISTS:
            return bool(own)
        case Op.HAS_VALUE:
            return any(each != TEXT for each in own)
        case Op.IS_TRUE | Op.IS_FALSE:
            return encode(op is Op.IS_TRUE)[0] in own
    texts = [each[1:] for each in own if each[:1] == TEXT]
    match op:
        case Op.CONTAINS:
            return any(part(str(condition.value)) in text for text in texts)
        case Op.STARTS_WITH:
            low, high = prefix_span(str(condition.value))
            return any(low <= each < high for each in own)
        case Op.ENDS_WITH:
            return any(text.endswith(part(str(condition.value))) for text in texts)
    (asked,) = encode(condition.value)
    return any(each[:1] == asked[:1] and _in_order(op, each, asked) for each in own)
