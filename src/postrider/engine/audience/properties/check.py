"""Checking what is said of a contact's properties. Pure; what is wrong is a value, never an exception.

A key has 1 to KEY_MAX_CHARS printable characters and no space at either end; dots, brackets and quotes are
letters like others, for names are never part of a statement. Keys that nobody defined take any JSON.
"""

from collections.abc import Mapping
from typing import Any

from postrider.engine.audience.model import Fault
from postrider.engine.audience.properties.kinds import BadValue, read
from postrider.engine.audience.properties.model import (
    ALL_MAX_BYTES,
    DEPTH_MAX,
    ITEMS_MAX,
    KEY_MAX_CHARS,
    ORGANIZATION_KEYS_MAX,
    VALUE_MAX_CHARS,
    Definitions,
)
from postrider.kit import json

BAD_KEY = f"A property's name has 1 to {KEY_MAX_CHARS} printable characters and no space at either end"
REQUIRED = "is required"
_NUMBER_MAX = 1e308
_JSON_MAX = 6  # bytes of one character in JSON, and more than is around a key and its value
_SHORT_CHARS = VALUE_MAX_CHARS // 6 - 1  # of ASCII are within the limit however JSON writes them


def check(
    definitions: Definitions, given: Mapping[str, Any], *, is_new: bool, is_all: bool = False
) -> tuple[dict[str, Any], list[Fault]]:
    """The properties as they are kept, and what is wrong; a faulty one is left out of the first.

    None stands for a property to be removed. A new contact gets the defaults of what it was not given, and
    misses what is required; of a known one only what is given is looked at, and where that is all it has
    from now on (`is_all`) what is required must be in it. A fault's field is `properties.KEY`.
    """
    kept: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, value in given.items():
        try:
            found = _kept(definitions, key, value)
        except BadValue as bad:
            shown = key[:KEY_MAX_CHARS].encode("utf-8", "replace").decode()
            faults.append(Fault(f"properties.{shown}", str(bad)))
            continue
        if found is not None or not _is_required(definitions, key):
            kept[key] = found
        elif not is_new:
            faults.append(Fault(f"properties.{key}", REQUIRED, "required"))
    if definitions.by_name and (is_new or is_all):
        _complete(definitions, kept, faults, has_defaults=is_new)
    return kept, faults


def is_key(key: str) -> bool:
    """Whether a property may be called so."""
    return 1 <= len(key) <= KEY_MAX_CHARS and key.isprintable() and key == key.strip()


def is_within(kept: Mapping[str, Any]) -> bool:
    """Whether a contact's properties stay within ALL_MAX_BYTES; most do by far, which is seen at once."""
    chars = 0
    for key, value in kept.items():
        chars += len(key) + (len(value) if isinstance(value, str) else ALL_MAX_BYTES)
    return _JSON_MAX * (chars + len(kept)) <= ALL_MAX_BYTES or len(json.dump_bytes(kept)) <= ALL_MAX_BYTES


def check_value(value: Any) -> None:
    """Raises BadValue for what no property may hold, whatever its type."""
    if isinstance(value, str) and len(value) <= _SHORT_CHARS and value.isascii() and "\x00" not in value:
        return  # most there are
    _check_depth(value, DEPTH_MAX)
    if isinstance(value, list) and len(value) > ITEMS_MAX:
        raise BadValue(f"should have at most {ITEMS_MAX} elements")
    if isinstance(value, str | list | dict):
        try:
            size = len(json.dumps(value))
        except ValueError:  # half a surrogate pair, which UTF-8 does not have
            raise BadValue("should be text that UTF-8 can hold") from None
        if size > VALUE_MAX_CHARS:
            raise BadValue(f"should have at most {VALUE_MAX_CHARS} characters as JSON")


def _kept(definitions: Definitions, key: str, value: Any) -> Any:
    if key not in definitions.keys:
        if not is_key(key):
            raise BadValue(BAD_KEY)
        if value is not None and len(definitions.keys) >= ORGANIZATION_KEYS_MAX:
            raise BadValue(f"An account has at most {ORGANIZATION_KEYS_MAX} different properties")
    if value is None:
        return None
    check_value(value)
    definition = definitions.by_name.get(key)
    if definition is not None:
        value = read(definition, value)
    definitions.keys.add(key)
    return value


def _check_depth(value: Any, left: int) -> None:
    match value:
        case list() | dict() if not left:
            raise BadValue(f"should have at most {DEPTH_MAX} levels")
        case list():
            for element in value:
                _check_depth(element, left - 1)
        case dict():
            for element in value.values():
                _check_depth(element, left - 1)
        case str() if "\x00" in value:
            raise BadValue("should have no NUL character")
        case int() | float() if not -_NUMBER_MAX < value < _NUMBER_MAX:
            raise BadValue("should be a finite number")


def _is_required(definitions: Definitions, key: str) -> bool:
    definition = definitions.by_name.get(key)
    return definition is not None and definition.is_required


def _complete(
    definitions: Definitions, kept: dict[str, Any], faults: list[Fault], *, has_defaults: bool
) -> None:
    """What a contact has of itself, and what it misses."""
    faulty = {fault.field for fault in faults}
    for name, definition in definitions.by_name.items():
        if kept.get(name) is not None or f"properties.{name}" in faulty:
            continue
        if has_defaults and definition.default_value is not None:
            kept[name] = definition.default_value
            definitions.keys.add(name)
        elif definition.is_required:
            faults.append(Fault(f"properties.{name}", REQUIRED, "required"))
