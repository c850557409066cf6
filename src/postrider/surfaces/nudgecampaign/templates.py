"""Templates: kept, copied, shown as a contact would read them. What the operator publishes is read only."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field, StringConstraints
from starlette.responses import Response

from postrider.engine import accounts
from postrider.engine.accounts import Organization
from postrider.engine.audience import contacts
from postrider.engine.audience.contacts.values import values_of
from postrider.engine.content import templates
from postrider.engine.content.templates import Changes, Template, Variable
from postrider.engine.content.templates.check import (
    CATEGORY_MAX_CHARS,
    DESCRIPTION_MAX_CHARS,
    VARIABLES_MAX,
)
from postrider.engine.content.templates.find import READ
from postrider.engine.content.templates.save import WRITE
from postrider.engine.errors import NotFound
from postrider.kit.ids import RowId
from postrider.surfaces.common.fields import OneLine
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.common.variables import DeclaredVariable
from postrider.surfaces.nudgecampaign import frame
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.limits import CAMPAIGN_BODY_MAX_BYTES, CONTENT_MAX_CHARS
from postrider.surfaces.nudgecampaign.paging import Page
from postrider.surfaces.nudgecampaign.query import read_query, read_view
from postrider.surfaces.nudgecampaign.resources import (
    Filter,
    Resource,
    Sort,
    View,
    one_of,
    part_of,
    shown_at,
)
from postrider.surfaces.nudgecampaign.wire import Body, Content, OptionalBody, Personalization, Text

SORTS = {
    "created_at": templates.Sort.CREATED,
    "name": templates.Sort.NAME,
    "usage_count": templates.Sort.USAGE,
}
# What a body's fields are called in the engine.
_COLUMNS = {
    "name": "name",
    "description": "description",
    "category": "category",
    "html_content": "html",
    "text_content": "text",
    "is_public": "is_public",
}


class Owned(NamedTuple):
    """A template and whose it is: the caller's organization, or the operator's."""

    template: Template
    organization: Organization


TEMPLATE: Resource[Owned] = Resource(
    type="template",
    noun=Noun.TEMPLATE,
    row_id=lambda row: row.template.id,
    attributes={
        "organization_id": lambda row: show(Noun.ORGANIZATION, row.organization.public_id),
        "name": lambda row: row.template.name,
        "description": lambda row: row.template.description,
        "category": lambda row: row.template.category,
        "thumbnail_url": lambda row: None,
        "html_content": lambda row: row.template.html,
        "text_content": lambda row: row.template.text,
        "variables": lambda row: [_shown(variable) for variable in row.template.variables],
        "usage_count": lambda row: row.template.usage_count,
        "is_public": lambda row: row.template.is_public,
        "created_at": lambda row: shown_at(row.template.created_at),
        "updated_at": lambda row: shown_at(row.template.updated_at),
    },
    sorts={
        "created_at": Sort(int, lambda row: row.template.created_at),
        "name": Sort(str, lambda row: row.template.name),
        "usage_count": Sort(int, lambda row: row.template.usage_count),
    },
    order="-created_at",
    filters={
        "filter[category]": Filter("category", part_of),
        "filter[is_public]": Filter("is_public", lambda text: one_of(("true", "false"))(text) == "true"),
        "search": Filter("search", part_of),
    },
)


class TemplateChanges(Body):
    """What of a template is to change; null takes away what it may be without. Variables are replaced."""

    name: Text = Field(default_factory=str)
    description: Annotated[str, StringConstraints(max_length=DESCRIPTION_MAX_CHARS)] | None = None
    category: Annotated[OneLine, StringConstraints(max_length=CATEGORY_MAX_CHARS)] | None = None
    html_content: Content = Field(default_factory=str)
    text_content: Annotated[str, StringConstraints(max_length=CONTENT_MAX_CHARS)] | None = None
    variables: Annotated[list[DeclaredVariable], Field(max_length=VARIABLES_MAX)] = Field(
        default_factory=list
    )
    is_public: bool = False

    def changes(self) -> Changes:
        given = self.model_dump(include=self.model_fields_set & _COLUMNS.keys())
        changes: Changes = Changes(**{_COLUMNS[name]: value for name, value in given.items()})  # type: ignore[typeddict-item]
        if "variables" in self.model_fields_set:
            changes["variables"] = [each.variable() for each in self.variables]
        return changes


class NewTemplate(TemplateChanges):
    name: Text
    html_content: Content


class CopiedTemplate(OptionalBody):
    """How the copy is to be called."""

    name: Text | None = None


class Filling(OptionalBody):
    """What a preview is filled with; values that are given win over those of the contact."""

    variables: Personalization = Field(default_factory=dict)
    contact_id: str | None = None


async def list_templates(call: Call) -> Response:
    query, principal = read_query(call.request, TEMPLATE), call.caller.principal
    asked = templates.Filter(**query.filters)

    def read(tx: Any) -> Page[Owned]:
        found = templates.browse(
            tx,
            principal,
            asked,
            sort=SORTS[query.order.name],
            descending=query.order.is_descending,
            limit=query.size,
            after=query.after and templates.Place(*query.after),
        )
        total = templates.count(tx, principal, asked)
        return Page(owned(tx, found.templates), total, found.has_more)

    return frame.many(call.request, query, await call.services.db.read(read))


async def get_template(call: Call) -> Response:
    view, template_id = read_view(call.request, TEMPLATE), _template_id(call)
    found = await call.services.db.read(
        lambda tx: owned(tx, [templates.get(tx, call.caller.principal, template_id)])
    )
    return frame.one(TEMPLATE, found[0], view)


async def create_template(call: Call, new: NewTemplate) -> Response:
    columns = await asyncio.to_thread(templates.check, new.changes())
    made = await call.services.db.write_first(templates.create, call.caller.principal, columns)
    return _answer(call, made, status=201)


async def update_template(call: Call, changed: TemplateChanges) -> Response:
    db, principal, template_id = call.services.db, call.caller.principal, _template_id(call)
    was = await db.read(templates.own, principal, template_id)
    columns = await asyncio.to_thread(templates.check, changed.changes(), was)
    return _answer(call, await db.write_first(templates.update, principal, template_id, columns))


async def delete_template(call: Call) -> Response:
    await call.services.db.write_first(templates.remove, call.caller.principal, _template_id(call))
    return frame.nothing()


async def duplicate_template(call: Call, copied: CopiedTemplate) -> Response:
    template_id = _template_id(call)
    made = await call.services.db.write_first(
        lambda tx: templates.duplicate(tx, call.caller.principal, template_id, name=copied.name)
    )
    return _answer(call, made, status=201)


async def preview_template(call: Call, filling: Filling) -> Response:
    template_id = _template_id(call)
    template = await call.services.db.read(templates.get, call.caller.principal, template_id)
    values = {**await _values_of(call, filling.contact_id), **filling.variables}
    if unfit := templates.unfit(template, values):
        raise Faulty(
            422,
            [
                Detail(
                    f"variables.{each.name}", each.message, "required" if each.is_missing else "invalid_type"
                )
                for each in unfit
            ],
        )
    shown = await asyncio.to_thread(templates.preview, template, values)
    return answer(
        {
            "data": {
                "template_id": show(Noun.TEMPLATE, template.id),
                "html_content": shown.html,
                "text_content": shown.text,
                "missing_variables": list(shown.missing),
            }
        }
    )


_ALL, _ONE = ("/v2/templates",), ("/v2/templates/{template_id}",)
OPERATIONS = (
    Operation("listTemplates", "GET", _ALL, "Templates", READ, list_templates),
    Operation(
        "createTemplate", "POST", _ALL, "A new template", WRITE, create_template,
        body=NewTemplate, body_max_bytes=CAMPAIGN_BODY_MAX_BYTES, status=201,
    ),
    Operation("getTemplate", "GET", _ONE, "One template", READ, get_template),
    Operation(
        "updateTemplate", "PUT", _ONE, "Change a template", WRITE, update_template,
        body=TemplateChanges, body_max_bytes=CAMPAIGN_BODY_MAX_BYTES,
    ),
    Operation("deleteTemplate", "DELETE", _ONE, "Delete a template", WRITE, delete_template, status=204),
    Operation(
        "duplicateTemplate", "POST", (f"{_ONE[0]}/duplicate",), "Copy a template", WRITE, duplicate_template,
        body=CopiedTemplate, status=201,
    ),
    Operation(
        "previewTemplate", "POST", (f"{_ONE[0]}/preview",), "How it looks, filled", READ, preview_template,
        body=Filling,
    ),
)  # fmt: skip


def _template_id(call: Call) -> RowId:
    return path_id(Noun.TEMPLATE, call.request.path_params["template_id"])


def owned(tx: Any, found: Sequence[Template]) -> list[Owned]:
    """Templates with whose they are."""
    owners = accounts.organizations(tx, [each.organization_id for each in found])
    return [Owned(each, owners[each.organization_id]) for each in found]


def _answer(call: Call, template: Template, *, status: int = 200) -> Response:
    return frame.one(TEMPLATE, Owned(template, call.caller.organization), View(), status=status)


def _shown(variable: Variable) -> dict[str, Any]:
    """As the contract prints them: what is not said is left out."""
    shown = {"name": variable.name, "type": variable.type.value}
    optional = {"default": variable.default, "required": variable.required or None}
    return {**shown, **{name: value for name, value in optional.items() if value is not None}}


async def _values_of(call: Call, contact_id: str | None) -> dict[str, Any]:
    """A contact's values, for callers who may read it. Raises Faulty where there is none such."""
    if contact_id is None:
        return {}
    try:
        row_id = path_id(Noun.CONTACT, contact_id)
        return values_of(await call.services.db.read(contacts.get, call.caller.principal, row_id))
    except NotFound:
        raise Faulty(422, [Detail("contact_id", "There is no such contact", "not_found")]) from None
