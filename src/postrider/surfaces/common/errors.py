"""What every HTTP surface does alike with refusals: tables of answers, a body's faults as one Invalid."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from postrider.engine.errors import EngineError, Invalid, TemplateFault
from postrider.kit import json

T = TypeVar("T")
FAULTS_MAX = 100  # of one body that are told
_PLACE = "line {line}, column {column}: "  # of a template's fault


class Said(NamedTuple):
    """How a surface says an engine error: HTTP status and its own code."""

    status: int
    code: str


class Fault(NamedTuple):
    """One thing that is wrong with a request: a dotted path, and a sentence for people."""

    field: str
    message: str


ErrorTable = Mapping[type[EngineError], Said]


class Refused(Exception):
    """An answer of one surface alone: no engine error says it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.said = Said(status, code)
        self.message = message
        super().__init__(message)


def invalid(faults: list[Fault]) -> Invalid:
    """All faults of a request as one error."""
    field, message = faults[0]
    return Invalid(field=field, message=message, faults=faults[:FAULTS_MAX])


def invalid_body(error: ValidationError) -> Invalid:
    """A body that its model refused, with everything that is wrong in it."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return invalid(
        [Fault(".".join(map(str, each["loc"])) or "body", each["msg"]) for each in found[:FAULTS_MAX]]
    )


async def renaming(doing: Awaitable[T], name_of: Callable[[str], str]) -> T:
    """What an engine call answers; the fields that it refuses are told by a surface's own names."""
    try:
        return await doing
    except Invalid as error:
        told = faults_of(error)
        raise invalid([each._replace(field=name_of(each.field)) for each in told]) from None


def faults_of(error: EngineError) -> list[Fault]:
    """What an Invalid or a TemplateFault found, one each, with its place; none for other errors."""
    if not isinstance(error, Invalid | TemplateFault):
        return []
    facts = error.facts
    if "faults" not in facts:
        return [_fault(facts)]
    return [_fault(found) for found in facts["faults"]]


def refuse_nul(raw: bytes) -> None:
    """Raises Invalid where a text of the JSON holds U+0000, which not every store can keep."""
    if b"\\u0000" in raw:
        found = [Fault(path or "body", "NUL is not allowed") for path in _with_nul(json.loads(raw), "")]
        if found:
            raise invalid(found)


def _fault(found: Any) -> Fault:
    if isinstance(found, Fault):
        return found
    place = _PLACE.format_map(found) if "line" in found else ""
    return Fault(str(found.get("field", "")), place + str(found.get("message", "")))


def _with_nul(value: Any, path: str) -> list[str]:
    """The paths of all texts with a NUL; a key with one counts for its object."""
    match value:
        case str():
            return [path] if "\0" in value else []
        case dict():
            bad_keys = [path for key in value if "\0" in key]
            return bad_keys + [found for key in value for found in _with_nul(value[key], _under(path, key))]
        case list():
            return [found for key, item in enumerate(value) for found in _with_nul(item, _under(path, key))]
        case _:
            return []


def _under(path: str, key: str | int) -> str:
    return f"{path}.{key}" if path else str(key)
