"""A row of a file as what is said of a contact. An empty cell says nothing."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from postrider.engine.audience.model import Consent, ContactInput, Fault, Stage, Status
from postrider.engine.audience.transfer.model import ImportPlan
from postrider.engine.errors import Invalid
from postrider.kit import clock

PROPERTY = "properties."
CONSENT = "consent."
TEXTS = ("email", "first_name", "last_name", "name", "company", "phone", "city", "country")
WORDS = ("status", "stage", "tags")
CONSENTS = (
    "email_marketing", "sms_marketing", "tracking", "third_party_sharing", "given_at", "ip_address",
    "user_agent",
)  # fmt: skip
FIELDS = (*TEXTS, *WORDS, *(CONSENT + name for name in CONSENTS))
COLUMNS_MAX = 1_000
STATUSES = {
    "subscribed": Status.SUBSCRIBED,
    "unsubscribed": Status.UNSUBSCRIBED,
    "pending": Status.PENDING,
}
TRUE, FALSE = frozenset({"true", "yes", "y", "1"}), frozenset({"false", "no", "n", "0"})
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_TAGS = re.compile(r"[;,]")
Given = dict[str, Any]
Reading = Callable[[Sequence[str]], ContactInput | Fault]


class _Misread(ValueError):
    """A cell that may not be so: its field, and a sentence."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check_mapping(mapping: Mapping[str, int]) -> None:
    """Raises Invalid for a mapping without email, of unknown fields, or of columns that cannot be."""
    if "email" not in mapping:
        raise _invalid("email", "The mapping names no column for email")
    if len(mapping) > COLUMNS_MAX:
        raise _invalid("", f"The mapping names more than {COLUMNS_MAX} columns")
    for field, column in mapping.items():
        if field not in FIELDS and not field.removeprefix(PROPERTY) != field:
            raise _invalid(field, "There is no such field")
        if field == PROPERTY or "\0" in field:
            raise _invalid(field, "The property has no name")
        if isinstance(column, bool) or not isinstance(column, int) or column < 0:
            raise _invalid(field, "A column is a whole number, counted from 0")


def reading(plan: ImportPlan) -> Reading:
    """What makes of a row's cells its input, or says what is wrong with it."""
    texts = [(name, plan.mapping[name]) for name in TEXTS if name in plan.mapping]
    words = [(_READERS[name], name, plan.mapping[name]) for name in WORDS if name in plan.mapping]
    keys = [(f.removeprefix(PROPERTY), c) for f, c in plan.mapping.items() if f.startswith(PROPERTY)]
    consents = [(f.removeprefix(CONSENT), c) for f, c in plan.mapping.items() if f.startswith(CONSENT)]
    lists = None if plan.list_id is None else (plan.list_id,)
    everybody = tuple(plan.tags)

    def read(cells: Sequence[str]) -> ContactInput | Fault:
        width = len(cells)
        given: Given = {name: text for name, at in texts if at < width and (text := _text(cells[at]))}
        if "email" not in given:
            return Fault("email", "The row has no email address", "required")
        try:
            for reader, name, at in words:
                if at < width and (text := cells[at].strip()):
                    given[name] = reader(text)
            if consents:
                given["consent"] = _consent(cells, consents)
        except _Misread as misread:
            return Fault(misread.field, str(misread))
        if keys:
            given["properties"] = {key: text for key, at in keys if at < width and (text := _text(cells[at]))}
        if everybody:
            given["tags"] = (*given.get("tags", ()), *everybody)
        return ContactInput(lists=lists, **given)

    return read


def _text(cell: str) -> str:
    """Without the apostrophe that an export puts before what looks like a formula."""
    if cell[:1] == "'" and cell[1:2] in FORMULA_STARTS and len(cell) > 1:
        return cell[1:].strip()
    return cell.strip()


def _status(text: str) -> Status:
    if (status := STATUSES.get(text.lower())) is None:
        raise _Misread("status", f"The status is one of {', '.join(STATUSES)}")
    return status


def _stage(text: str) -> Stage:
    try:
        return Stage[text.upper().replace(" ", "_").replace("-", "_")]
    except KeyError:
        words = ", ".join(stage.name.lower() for stage in Stage)
        raise _Misread("stage", f"The stage is one of {words}") from None


def _tags(text: str) -> tuple[str, ...]:
    return tuple(tag for part in _TAGS.split(text) if (tag := part.strip()))


_READERS: dict[str, Callable[[str], Any]] = {"status": _status, "stage": _stage, "tags": _tags}


def _consent(cells: Sequence[str], columns: Sequence[tuple[str, int]]) -> Consent | None:
    given: Given = {}
    for name, at in columns:
        text = cells[at].strip() if at < len(cells) else ""
        if text:
            given[name] = _consent_value(name, text)
    return Consent(**given) if given else None


def _consent_value(name: str, text: str) -> Any:
    if name in ("ip_address", "user_agent"):
        return text
    if name == "given_at":
        try:
            at = clock.from_iso(text)
            clock.to_datetime(at)
        except (ValueError, OverflowError):
            raise _Misread(CONSENT + name, "The time is not of ISO 8601") from None
        return at
    word = text.lower()
    if word not in TRUE and word not in FALSE:
        raise _Misread(CONSENT + name, "The value is one of true, false, yes, no, 1, 0")
    return word in TRUE


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(field=f"mapping.{field}".rstrip("."), message=message)
