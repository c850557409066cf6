"""What a value of each PropertyType is: read from what forms, files and programs give, or refused. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from postrider.engine.audience.model import PropertyType
from postrider.engine.audience.properties.model import PATTERN_MAX_CHARS, Definition, Rule
from postrider.kit import clock
from postrider.kit.address import InvalidAddress, parse_address
from postrider.kit.pattern import BadPattern, check_pattern, matches

TRUE, FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")
INTEGER_DIGITS_MAX = 34  # what encode tells apart
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(rf"[+-]?[0-9]{{1,{INTEGER_DIGITS_MAX}}}")
_PHONE = re.compile(r"\+?[0-9 ().\-/]{3,40}(?:(?:x|ext\.?) ?[0-9]{1,8})?", re.IGNORECASE)
_PHONE_DIGITS = range(3, 31)
_SEPARATOR = ";"  # of several options in one text, as files have them


class BadValue(ValueError):
    """Its message is a sentence for people, such as «should be a number»."""


def read(definition: Definition, value: Any) -> Any:
    """The value as it is kept; raises BadValue. An empty text for what is no text is null."""
    if isinstance(value, str) and not value.strip() and definition.type not in _TEXTS:
        return None
    kept = _READERS[definition.type](definition, value)
    _apply(definition, kept)
    return kept


def option_values(definition: Definition) -> list[str]:
    return [option["value"] if isinstance(option, Mapping) else option for option in definition.options]


def read_pattern(pattern: Any) -> str:
    """Raises BadValue for what is no pattern."""
    if not isinstance(pattern, str) or len(pattern) > PATTERN_MAX_CHARS:
        raise BadValue(f"should be a text of at most {PATTERN_MAX_CHARS} characters")
    try:
        check_pattern(pattern)
    except BadPattern:
        raise BadValue("should be a regular expression without back-references and look-around") from None
    return pattern


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_of(text: str) -> int | float | None:
    """The number that a text spells in decimal, None where it spells none."""
    text = text.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else None


def _text(definition: Definition, value: Any) -> str:
    text = _any_text(definition, value)
    if "\n" in text or "\r" in text:
        raise BadValue("should be one line")
    return text


def _any_text(definition: Definition, value: Any) -> str:
    if is_number(value):
        return str(value)
    if not isinstance(value, str):
        raise BadValue("should be a text")
    return value


def _number(definition: Definition, value: Any) -> int | float:
    if isinstance(value, str):
        value = number_of(value)
    if not is_number(value):
        raise BadValue("should be a number")
    if not abs(value) < 1e308 or (isinstance(value, int) and abs(value) >= 10**INTEGER_DIGITS_MAX):
        raise BadValue("should be a smaller number")
    kept: int | float = value
    return kept


def _date(definition: Definition, value: Any) -> str:
    try:
        return date.fromisoformat(value.strip()).isoformat()
    except (ValueError, AttributeError):
        raise BadValue("should be a date such as 2026-01-18") from None


def _datetime(definition: Definition, value: Any) -> str:
    """In UTC, so that the order of texts is that of times."""
    try:
        return clock.to_iso(clock.from_iso(value))
    except (ValueError, AttributeError, OverflowError):
        raise BadValue("should be an ISO 8601 time such as 2026-01-18T12:34:56Z") from None


def _boolean(definition: Definition, value: Any) -> bool:
    match value:
        case bool():
            return value
        case 0 | 1:
            return bool(value)
        case str() if value.strip().casefold() in TRUE:
            return True
        case str() if value.strip().casefold() in FALSE:
            return False
    raise BadValue("should be true or false")


def _select(definition: Definition, value: Any) -> str:
    options = option_values(definition)
    if not isinstance(value, str) or value not in options:
        shown = ", ".join(options[:20])
        raise BadValue(f"should be one of {shown}{', …' if len(options) > 20 else ''}")
    return value


def _multi_select(definition: Definition, value: Any) -> list[str]:
    if isinstance(value, str):
        options = option_values(definition)
        value = [value] if value in options else [part.strip() for part in value.split(_SEPARATOR)]
    if not isinstance(value, list):
        raise BadValue("should be a list of options")
    return list(dict.fromkeys(_select(definition, each) for each in value))


def _url(definition: Definition, value: Any) -> str:
    try:
        parts = urlsplit(value.strip()) if isinstance(value, str) else None
        if parts and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            address = str(value).strip()
            if not any(char.isspace() or not char.isprintable() for char in address):
                return address
    except ValueError:
        pass
    raise BadValue("should be an http or https URL")


def _email(definition: Definition, value: Any) -> str:
    try:
        return parse_address(value if isinstance(value, str) else "")
    except InvalidAddress:
        raise BadValue("should be an email address") from None


def _phone(definition: Definition, value: Any) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str):
        text = text.strip()
        if _PHONE.fullmatch(text) and sum(char.isdigit() for char in text) in _PHONE_DIGITS:
            return text
    raise BadValue("should be a telephone number")


def _json(definition: Definition, value: Any) -> Any:
    return value


_TEXTS = (PropertyType.TEXT, PropertyType.TEXTAREA)
_READERS: dict[PropertyType, Callable[[Definition, Any], Any]] = {
    PropertyType.TEXT: _text,
    PropertyType.TEXTAREA: _any_text,
    PropertyType.NUMBER: _number,
    PropertyType.DATE: _date,
    PropertyType.DATETIME: _datetime,
    PropertyType.BOOLEAN: _boolean,
    PropertyType.SELECT: _select,
    PropertyType.MULTI_SELECT: _multi_select,
    PropertyType.URL: _url,
    PropertyType.EMAIL: _email,
    PropertyType.PHONE: _phone,
    PropertyType.JSON: _json,
}
# Which rules a type has; a limit of a number, or of a time, is a value of the type.
RULES: dict[PropertyType, tuple[Rule, ...]] = {
    PropertyType.TEXT: (Rule.MIN_LENGTH, Rule.MAX_LENGTH, Rule.PATTERN),
    PropertyType.TEXTAREA: (Rule.MIN_LENGTH, Rule.MAX_LENGTH, Rule.PATTERN),
    PropertyType.NUMBER: (Rule.MIN, Rule.MAX),
    PropertyType.DATE: (Rule.MIN, Rule.MAX),
    PropertyType.DATETIME: (Rule.MIN, Rule.MAX),
    PropertyType.BOOLEAN: (),
    PropertyType.SELECT: (),
    PropertyType.MULTI_SELECT: (Rule.MIN_LENGTH, Rule.MAX_LENGTH),
    PropertyType.URL: (Rule.MIN_LENGTH, Rule.MAX_LENGTH, Rule.PATTERN),
    PropertyType.EMAIL: (Rule.MIN_LENGTH, Rule.MAX_LENGTH, Rule.PATTERN),
    PropertyType.PHONE: (Rule.MIN_LENGTH, Rule.MAX_LENGTH, Rule.PATTERN),
    PropertyType.JSON: (),
}


def _apply(definition: Definition, value: Any) -> None:
    """Raises BadValue for what breaks a rule of the definition."""
    unit = "options" if definition.type is PropertyType.MULTI_SELECT else "characters"
    for name, limit in definition.rules.items():
        match Rule(name):
            case Rule.MIN if value < limit:
                raise BadValue(f"should be at least {limit}")
            case Rule.MAX if value > limit:
                raise BadValue(f"should be at most {limit}")
            case Rule.MIN_LENGTH if len(value) < limit:
                raise BadValue(f"should have at least {limit} {unit}")
            case Rule.MAX_LENGTH if len(value) > limit:
                raise BadValue(f"should have at most {limit} {unit}")
            case Rule.PATTERN if not matches(limit, value):
                raise BadValue(f"should match {limit}")
