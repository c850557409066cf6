"""Segments: criteria over contacts, counted and refreshed, and members named one by one."""

from postrider.engine.audience.segments.compiled import condition
from postrider.engine.audience.segments.evaluate import evaluate
from postrider.engine.audience.segments.keep import (
    add,
    count,
    create,
    delete,
    get,
    matching,
    members,
    page,
    preview,
    remove,
    segments_of,
    total,
    update,
    whom,
)
from postrider.engine.audience.segments.model import (
    Changed,
    Condition,
    Criteria,
    Engaged,
    Facts,
    Field,
    Match,
    Narrowed,
    Op,
    Refreshed,
    Segment,
)
from postrider.engine.audience.segments.parse import parse, to_json
from postrider.engine.audience.segments.refresh import refresh

__all__ = [
    "Changed",
    "Condition",
    "Criteria",
    "Engaged",
    "Facts",
    "Field",
    "Match",
    "Narrowed",
    "Op",
    "Refreshed",
    "Segment",
    "add",
    "condition",
    "count",
    "create",
    "delete",
    "evaluate",
    "get",
    "matching",
    "members",
    "page",
    "parse",
    "preview",
    "refresh",
    "remove",
    "segments_of",
    "to_json",
    "total",
    "update",
    "whom",
]
