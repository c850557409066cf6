"""Templates in full: subject, MJML and number too, which no dialect shows."""

import asyncio
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from starlette.responses import Response

from postrider.engine.content import templates
from postrider.engine.content.templates import Changes, Template
from postrider.engine.content.templates.find import READ
from postrider.engine.content.templates.save import WRITE
from postrider.engine.errors import Invalid, NotFound
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.fields import OneLine, Wire, metadata_within
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.common.variables import DeclaredVariable
from postrider.surfaces.console import wire

BODY_MAX_BYTES = 4 * 1024 * 1024
VALUES_MAX_BYTES = 64 * 1024


class ChangedTemplate(Wire):
    """What is left out stays; null takes away what a template may be without."""

    name: OneLine = ""
    description: str | None = None
    category: OneLine | None = None
    subject: OneLine | None = None
    html: str = ""
    text: str | None = None
    mjml: str | None = None
    variables: list[DeclaredVariable] = Field(default_factory=list)
    is_public: bool = False

    def changes(self) -> Changes:
        changes: Changes = self.model_dump(include=self.model_fields_set)  # type: ignore[assignment]
        if "variables" in self.model_fields_set:
            changes["variables"] = [each.variable() for each in self.variables]
        return changes


class NewTemplate(ChangedTemplate):
    """Either html or mjml is its content."""

    name: OneLine


class Filling(Wire):
    values: Annotated[dict[str, Any], AfterValidator(metadata_within(VALUES_MAX_BYTES))] = Field(
        default_factory=dict
    )


async def list_templates(call: Call) -> Response:
    """Newest first, what the operator has published among them; `next` is the `before` of the next page."""
    query, principal = call.request.query_params, call.caller.principal
    wire.known_only(query, frozenset({"limit", "before", "category", "search"}))
    limit, before = wire.limit_of(query), wire.row_id_of(query, "before")
    asked = templates.Filter(category=query.get("category"), search=query.get("search"))

    def read(tx: Any) -> templates.Page:
        after = None if before is None else _place(tx, call, before)
        return templates.browse(tx, principal, asked, limit=limit, after=after)

    found, has_more = await call.services.db.read(read)
    following = to_uuid(found[-1].id) if has_more else None
    return answer({"templates": [_row(call, each) for each in found], "next": following})


async def get_template(call: Call) -> Response:
    found = await call.services.db.read(templates.get, call.caller.principal, _id(call))
    return answer({"template": _shown(call, found)})


async def create_template(call: Call, new: NewTemplate) -> Response:
    columns = await asyncio.to_thread(templates.check, new.changes())
    made = await call.services.db.write_first(templates.create, call.caller.principal, columns)
    return answer({"template": _shown(call, made)}, 201)


async def change_template(call: Call, changed: ChangedTemplate) -> Response:
    db, principal, template_id = call.services.db, call.caller.principal, _id(call)
    was = await db.read(templates.own, principal, template_id)
    columns = await asyncio.to_thread(templates.check, changed.changes(), was)
    kept = await db.write_first(templates.update, principal, template_id, columns)
    return answer({"template": _shown(call, kept)})


async def copy_template(call: Call) -> Response:
    made = await call.services.db.write_first(templates.duplicate, call.caller.principal, _id(call))
    return answer({"template": _shown(call, made)}, 201)


async def remove_template(call: Call) -> Response:
    template_id = _id(call)
    await call.services.db.write_first(templates.remove, call.caller.principal, template_id)
    return answer({"removed": {"id": to_uuid(template_id)}})


async def preview_template(call: Call, filling: Filling) -> Response:
    template = await call.services.db.read(templates.get, call.caller.principal, _id(call))
    templates.require_fit(template, filling.values)
    shown = await asyncio.to_thread(templates.preview, template, filling.values)
    told = {"subject": shown.subject, "html": shown.html, "text": shown.text, "missing": list(shown.missing)}
    return answer({"preview": told})


_ALL, _ONE = "/v1/templates", "/v1/templates/{id}"
OPERATIONS: tuple[Operation, ...] = (
    Operation("listTemplates", "GET", (_ALL,), "templates, newest first", READ, list_templates),
    Operation("getTemplate", "GET", (_ONE,), "a template with its content", READ, get_template),
    Operation(
        "createTemplate", "POST", (_ALL,), "keep a content under a name", WRITE, create_template,
        body=NewTemplate, body_max_bytes=BODY_MAX_BYTES, status=201,
    ),
    Operation(
        "changeTemplate", "PATCH", (_ONE,), "change what is said of it", WRITE, change_template,
        body=ChangedTemplate, body_max_bytes=BODY_MAX_BYTES,
    ),
    Operation("copyTemplate", "POST", (_ONE + "/copy",), "one like it", WRITE, copy_template, status=201),
    Operation("removeTemplate", "DELETE", (_ONE,), "forget it", WRITE, remove_template),
    Operation(
        "previewTemplate", "POST", (_ONE + "/preview",), "how it looks, filled", READ, preview_template,
        body=Filling,
    ),
)  # fmt: skip


def _id(call: Call) -> RowId:
    return wire.path_id(call.request.path_params["id"], "template")


def _place(tx: Any, call: Call, before: RowId) -> templates.Place:
    """Raises Invalid where the template is gone."""
    try:
        last = templates.get(tx, call.caller.principal, before)
    except NotFound:
        raise Invalid(field="before", message="There is no such template") from None
    return templates.Place(last.created_at, last.id)


def _row(call: Call, template: Template) -> dict[str, Any]:
    return {
        "id": to_uuid(template.id),
        "number": template.number,
        "name": template.name,
        "description": template.description,
        "category": template.category,
        "subject": template.subject,
        "variables": [each.to_json() for each in template.variables],
        "is_own": template.organization_id == call.caller.principal.organization_id,
        "is_public": template.is_public,
        "usage_count": template.usage_count,
        "created_by": template.created_by and to_uuid(template.created_by),
        "created_at": wire.time(template.created_at),
        "updated_at": wire.time(template.updated_at),
    }


def _shown(call: Call, template: Template) -> dict[str, Any]:
    content = {"html": template.html, "text": template.text, "mjml": template.mjml}
    return {**_row(call, template), **content}
