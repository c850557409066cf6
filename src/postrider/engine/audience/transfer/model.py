"""The records of imports and exports: what was asked, and how far it has come."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from postrider.engine.audience.model import ContactFilter, JobStatus, OnKnown, Stage, Status
from postrider.engine.audience.transfer.rows import Format
from postrider.kit.ids import RowId

READ, WRITE = "contacts:read", "contacts:write"


class ExportFormat(StrEnum):
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """What of a file goes where. `mapping`: a field of FIELDS or properties.KEY to its column, from 0."""

    mapping: Mapping[str, int]
    on_known: OnKnown = OnKnown.REFUSE
    list_id: RowId | None = None
    tags: Sequence[str] = ()  # for all
    trigger_automations: bool = False

    def to_json(self, format_: Format) -> dict[str, Any]:
        return {
            "mapping": dict(self.mapping),
            "on_known": self.on_known.value,
            "list_id": _hex(self.list_id),
            "tags": list(self.tags),
            "trigger_automations": self.trigger_automations,
            "format": asdict(format_),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        return cls(
            mapping=kept["mapping"],
            on_known=OnKnown(kept["on_known"]),
            list_id=_id(kept["list_id"]),
            tags=kept["tags"],
            trigger_automations=kept["trigger_automations"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """`total` is estimated until the import is done where the file is large; `position` is a byte."""

    organization_id: int
    id: RowId
    status: JobStatus
    plan: ImportPlan
    format: Format
    path: str | None
    bytes: int
    position: int
    total: int
    processed: int
    created: int
    updated: int
    skipped: int
    failed: int
    error: str | None
    created_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row of a file was not kept."""

    row: int
    field: str | None
    message: str
    content: str


@dataclass(frozen=True, slots=True)
class Column:
    """One of an export: its title, and a name of COLUMNS or properties.KEY."""

    title: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What goes into a file. `statuses`: how whoever asked calls them."""

    format: ExportFormat = ExportFormat.CSV
    columns: Sequence[Column]
    filter: ContactFilter = field(default_factory=ContactFilter)
    statuses: Mapping[Status, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        asked = self.filter
        return {
            "format": self.format.value,
            "columns": [[column.title, column.field] for column in self.columns],
            "statuses": {str(int(status)): word for status, word in self.statuses.items()},
            "filter": {
                "source": asked.source,
                "search": asked.search,
                "created_after": asked.created_after,
                "created_before": asked.created_before,
                "status": [int(status) for status in asked.status],
                "tags": list(asked.tags),
                "emails": list(asked.emails),
                "stage": [int(stage) for stage in asked.stage],
                "list_id": _hex(asked.list_id),
                "segment_id": _hex(asked.segment_id),
            },
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        asked = kept["filter"]
        return cls(
            format=ExportFormat(kept["format"]),
            columns=[Column(title, name) for title, name in kept["columns"]],
            statuses={Status(int(status)): word for status, word in kept["statuses"].items()},
            filter=ContactFilter(
                source=asked["source"],
                search=asked["search"],
                created_after=asked["created_after"],
                created_before=asked["created_before"],
                status=[Status(status) for status in asked["status"]],
                tags=asked["tags"],
                emails=asked["emails"],
                stage=[Stage(stage) for stage in asked["stage"]],
                list_id=_id(asked["list_id"]),
                segment_id=_id(asked["segment_id"]),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """`bytes` of the file at `path` are committed, and hold all contacts up to `after`."""

    organization_id: int
    id: RowId
    status: JobStatus
    plan: ExportPlan
    path: str | None
    after: RowId | None
    bytes: int
    total: int
    processed: int
    error: str | None
    created_at: int
    ended_at: int | None
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the inputs of one page, or of all."""

    created: int = 0
    updated: int = 0
    skipped: int = 0
    failed: int = 0


def _hex(row_id: RowId | None) -> str | None:
    return None if row_id is None else row_id.hex()


def _id(text: str | None) -> RowId | None:
    return None if text is None else bytes.fromhex(text)
