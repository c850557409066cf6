"""Templates: content kept under a name, with variables to fill. MJML is compiled when it is saved."""

from postrider.engine.content.templates.check import check
from postrider.engine.content.templates.fill import (
    content_of,
    count_use,
    preview,
    require_fit,
    resolve,
    unfit,
    whole,
)
from postrider.engine.content.templates.find import browse, by_name, by_number, count, get, many, seen
from postrider.engine.content.templates.model import (
    Changes,
    Content,
    Filter,
    Page,
    Place,
    Preview,
    Sort,
    Template,
    Unfit,
    Variable,
    VariableType,
)
from postrider.engine.content.templates.save import create, duplicate, own, remove, update
from postrider.engine.content.templates.settle import settle

__all__ = [
    "Changes",
    "Content",
    "Filter",
    "Page",
    "Place",
    "Preview",
    "Sort",
    "Template",
    "Unfit",
    "Variable",
    "VariableType",
    "browse",
    "by_name",
    "by_number",
    "check",
    "content_of",
    "count",
    "count_use",
    "create",
    "duplicate",
    "get",
    "many",
    "own",
    "preview",
    "remove",
    "require_fit",
    "resolve",
    "seen",
    "settle",
    "unfit",
    "update",
    "whole",
]
