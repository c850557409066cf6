"""A contact as a line of an export. Pure.

In CSV a text that a spreadsheet would take for a formula gets an apostrophe before it; an import takes the
apostrophe away again.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from postrider.engine.audience.model import Contact, Stage
from postrider.engine.audience.transfer.inputs import FORMULA_STARTS, PROPERTY
from postrider.engine.audience.transfer.model import Column, ExportFormat, ExportPlan
from postrider.engine.errors import Invalid
from postrider.kit import clock, json

COLUMNS_MAX = 250
TITLE_MAX_CHARS = 200
JOINED_BY = ";"
PROPERTIES = "properties"


def _at(name: str) -> Callable[[Contact], Any]:
    def read(contact: Contact) -> str | None:
        at_ms = getattr(contact, name)
        return None if at_ms is None else clock.to_iso(at_ms)

    return read


def _plain(name: str) -> Callable[[Contact], Any]:
    return lambda contact: getattr(contact, name)


_TIMES = (
    "last_sent_at", "last_opened_at", "last_clicked_at", "last_activity_at", "subscribed_at",
    "unsubscribed_at", "created_at", "updated_at",
)  # fmt: skip
_PLAIN = (
    "email", "first_name", "last_name", "name", "company", "phone", "city", "country", "source", "score",
    "sent", "opened", "clicked", "bounced",
)  # fmt: skip
COLUMNS: Mapping[str, Callable[[Contact], Any]] = {
    **{name: _plain(name) for name in _PLAIN},
    **{name: _at(name) for name in _TIMES},
    "status": lambda contact: contact.status,
    "stage": lambda contact: None if contact.stage is Stage.NONE else contact.stage.name.lower(),
    "tags": lambda contact: list(contact.tags),
    PROPERTIES: lambda contact: dict(contact.properties),
}


def check_columns(columns: Sequence[Column]) -> None:
    """Raises Invalid for none, too many, one of no name, or two of one title."""
    if not 1 <= len(columns) <= COLUMNS_MAX:
        raise _invalid(f"There are 1 to {COLUMNS_MAX} fields")
    for column in columns:
        key = column.field.removeprefix(PROPERTY)
        if column.field not in COLUMNS and (key == column.field or not key or "\0" in key):
            raise _invalid(f"There is no field {column.title[:TITLE_MAX_CHARS]}")
        if len(column.title) > TITLE_MAX_CHARS:
            raise _invalid(f"A field has at most {TITLE_MAX_CHARS} characters")
    if len({column.title for column in columns}) < len(columns):
        raise _invalid("A field is named twice")


def opening(plan: ExportPlan) -> bytes:
    """What stands before the first contact."""
    if plan.format is ExportFormat.JSON:
        return b"["
    return _csv([[harmless(column.title) for column in plan.columns]])


def lines(plan: ExportPlan, contacts: Iterable[Contact], *, follow: int) -> bytes:
    """Some contacts, `follow` of them being written already."""
    rows = ([_value(plan, column, contact) for column in plan.columns] for contact in contacts)
    if plan.format is ExportFormat.CSV:
        return _csv([_cell(value) for value in row] for row in rows)
    titles = [column.title for column in plan.columns]
    shown = [json.dump_bytes(dict(zip(titles, row, strict=True))) for row in rows]
    return b"".join((b",\n" if follow or number else b"\n") + line for number, line in enumerate(shown))


def closing(plan: ExportPlan) -> bytes:
    """What stands behind the last contact."""
    return b"\n]\n" if plan.format is ExportFormat.JSON else b""


def _value(plan: ExportPlan, column: Column, contact: Contact) -> Any:
    if column.field == "status":
        return plan.statuses.get(contact.status, contact.status.name.lower())
    if (read := COLUMNS.get(column.field)) is not None:
        return read(contact)
    return contact.properties.get(column.field.removeprefix(PROPERTY))


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return harmless(value)
        case list() if all(isinstance(each, str) for each in value):
            return harmless(JOINED_BY.join(value))
        case _:
            return json.dumps(value)


def harmless(text: str) -> str:
    """The text for a cell of CSV, so that no spreadsheet computes it."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _invalid(message: str) -> Invalid:
    return Invalid(field="fields", message=message)
