"""Contacts in and out of files: imports taken in as they come, exports fetched once they are done."""

import asyncio
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints
from starlette.responses import FileResponse, Response

from postrider.engine.audience import transfer
from postrider.engine.audience.model import ContactFilter, JobStatus, OnKnown
from postrider.engine.audience.transfer import Column, Export, ExportFormat, ExportPlan, Import, ImportPlan
from postrider.engine.errors import Invalid, NotFound
from postrider.kit import json
from postrider.kit.ids import RowId
from postrider.surfaces.common.fields import OneLine
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.common.upload import NotMultipart, take_upload
from postrider.surfaces.nudgecampaign.contact_wire import NO_LIST, engine_field, shown_field
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.resources import shown_at
from postrider.surfaces.nudgecampaign.vocabulary import CONTACT_STATUSES
from postrider.surfaces.nudgecampaign.wire import Body

READ, WRITE = "contacts:read", "contacts:write"
FILE = "file"
ERRORS_SHOWN = 100
FIELDS_MAX, TAGS_MAX = 250, 50
JOB_STATUSES = {JobStatus.RUNNING: "processing", JobStatus.DONE: "completed", JobStatus.FAILED: "failed"}
DEFAULT_FIELDS = ("email", "first_name", "last_name", "status", "tags")
MEDIA_TYPES = {ExportFormat.CSV: "text/csv", ExportFormat.JSON: "application/json"}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}
Word = Annotated[OneLine, StringConstraints(min_length=1, max_length=200)]


class Filters(Body):
    """All that are given must hold; one that there is not would widen what leaves the house."""

    model_config = ConfigDict(extra="forbid")

    status: Word | None = None
    tags: list[Word] = Field(default_factory=list, max_length=TAGS_MAX)
    list_id: Word | None = None


class NewExport(Body):
    """What of which contacts goes into a file."""

    format: ExportFormat = ExportFormat.CSV
    fields: list[Word] = Field(default=list(DEFAULT_FIELDS), min_length=1, max_length=FIELDS_MAX)
    filters: Filters = Field(default_factory=Filters)


async def import_contacts(call: Call) -> Response:
    """The answer comes when the file is on disk; its rows are read in the background."""
    services, principal = call.services, call.caller.principal
    incoming = await asyncio.to_thread(transfer.Incoming, services.folder, principal.organization_id)
    with incoming:
        try:
            told = await take_upload(call.request, FILE, incoming.write, max_bytes=services.import_max_bytes)
        except NotMultipart as error:
            raise Faulty(400, [Detail("body", str(error), "invalid_format")]) from None
        plan = _plan(told)
        if FILE not in told:
            raise Faulty(422, [Detail(FILE, "Field required", "required")])
        try:
            prepared = await asyncio.to_thread(transfer.prepare, incoming, plan)
        except Invalid as fault:
            raise _faulty(fault) from None
        try:
            made = await services.db.write_first(transfer.start_import, principal, incoming, plan, prepared)
        except NotFound:
            raise Faulty(422, [Detail("list_id", NO_LIST, "not_found")]) from None
        incoming.keep()
    return answer({"data": _import(made)}, 201)


async def get_import(call: Call) -> Response:
    """With the first rows that were not kept."""
    read, principal = call.services.db.read, call.caller.principal
    import_id = path_id(Noun.IMPORT, call.request.path_params["import_id"])
    found = await read(transfer.get_import, principal, import_id)
    errors = await read(transfer.list_errors, principal, import_id, limit=ERRORS_SHOWN)
    told = [
        {"row": each.row, "field": shown_field(each.field or ""), "message": each.message} for each in errors
    ]
    return answer({"data": {**_import(found), "errors": told}})


async def export_contacts(call: Call, asked: NewExport) -> Response:
    plan = ExportPlan(
        format=asked.format,
        columns=[Column(name, engine_field(name)) for name in asked.fields],
        filter=_filter(asked.filters),
        statuses=CONTACT_STATUSES,
    )
    try:
        made = await call.services.db.write_first(
            transfer.start_export, call.caller.principal, call.services.folder, plan
        )
    except NotFound:
        raise Faulty(422, [Detail("filters.list_id", NO_LIST, "not_found")]) from None
    return answer({"data": _export(call, made)}, 201)


async def get_export(call: Call) -> Response:
    return answer({"data": _export(call, await _found(call))})


async def download_export(call: Call) -> Response:
    """A file that a spreadsheet opens: what it would take for a formula has an apostrophe before it."""
    found = await _found(call)
    place = await asyncio.to_thread(transfer.find_file, found, call.services.folder)
    form = found.plan.format
    return FileResponse(place, media_type=MEDIA_TYPES[form], filename=f"contacts.{form.value}")


_ALL = "/v2/contacts"
OPERATIONS = (
    Operation(
        "importContacts", "POST", (f"{_ALL}/import",), "Import contacts from a CSV file", WRITE,
        import_contacts, status=201,
    ),
    Operation(
        "getContactImport", "GET", (f"{_ALL}/import/{{import_id}}",), "Progress of an import", READ,
        get_import,
    ),
    Operation(
        "exportContacts", "POST", (f"{_ALL}/export",), "Start an export of contacts", READ, export_contacts,
        body=NewExport, status=201,
    ),
    Operation(
        "getContactExport", "GET", (f"{_ALL}/export/{{export_id}}",), "Progress of an export", READ,
        get_export,
    ),
    Operation(
        "downloadContactExport", "GET", (f"{_ALL}/export/{{export_id}}/download",), "The exported file", READ,
        download_export,
    ),
)  # fmt: skip


async def _found(call: Call) -> Export:
    export_id = path_id(Noun.EXPORT, call.request.path_params["export_id"])
    return await call.services.db.read(transfer.get_export, call.caller.principal, export_id)


def _plan(told: dict[str, str]) -> ImportPlan:
    """What the fields of the form say; raises Faulty."""
    try:
        mapping = json.loads(told["mapping"])
    except KeyError:
        raise Faulty(422, [Detail("mapping", "Field required", "required")]) from None
    except ValueError:
        raise Faulty(400, [Detail("mapping", "Input should be JSON", "invalid_format")]) from None
    if not isinstance(mapping, dict):
        raise Faulty(422, [Detail("mapping", "Input should be an object", "invalid_type")])
    list_id = None
    if told.get("list_id"):
        list_id = _list_id(told["list_id"], "list_id")
    update, trigger = (_boolean(told, name) for name in ("update_existing", "trigger_automations"))
    return ImportPlan(
        mapping={engine_field(name): column for name, column in mapping.items()},
        on_known=OnKnown.UPDATE if update else OnKnown.REFUSE,
        list_id=list_id,
        trigger_automations=trigger,
    )


def _faulty(fault: Invalid) -> Faulty:
    """A mapping's or file's fault by the names it has here."""
    field, _, name = str(fault.facts["field"]).partition(".")
    shown = f"{field}.{shown_field(name)}" if name else field
    return Faulty(422, [Detail(shown, fault.sentence, "invalid_value")])


def _boolean(told: dict[str, str], name: str) -> bool:
    try:
        return _BOOLEANS[told.get(name, "").strip().lower()]
    except KeyError:
        raise Faulty(422, [Detail(name, "Input should be true or false", "invalid_type")]) from None


def _list_id(text: str, field: str) -> RowId:
    try:
        return path_id(Noun.LIST, text)
    except NotFound:
        raise Faulty(422, [Detail(field, NO_LIST, "not_found")]) from None


def _filter(asked: Filters) -> ContactFilter:
    statuses = [status for status, word in CONTACT_STATUSES.items() if word == asked.status]
    if asked.status is not None and not statuses:
        words = ", ".join(dict.fromkeys(CONTACT_STATUSES.values()))
        raise Invalid(field="filters.status", message=f"Input should be one of {words}")
    list_id = None if asked.list_id is None else _list_id(asked.list_id, "filters.list_id")
    return ContactFilter(status=statuses, tags=asked.tags, list_id=list_id)


def _import(found: Import) -> dict[str, Any]:
    failed = found.failed + found.skipped
    return {
        "import_id": show(Noun.IMPORT, found.id),
        "status": JOB_STATUSES[found.status],
        "total": max(found.total, found.processed),
        "processed": found.processed,
        "succeeded": found.processed - failed,
        "failed": failed,
        "error": found.error,
        "created_at": shown_at(found.created_at),
        "completed_at": shown_at(found.ended_at),
    }


def _export(call: Call, found: Export) -> dict[str, Any]:
    export_id = show(Noun.EXPORT, found.id)
    mount = call.services.base_url + call.request.scope.get("root_path", "")
    is_done = found.status is JobStatus.DONE
    return {
        "export_id": export_id,
        "status": JOB_STATUSES[found.status],
        "format": found.plan.format.value,
        "total": max(found.total, found.processed),
        "processed": found.processed,
        "download_url": f"{mount}{_ALL}/export/{export_id}/download" if is_done else None,
        "expires_at": shown_at(found.expires_at),
        "created_at": shown_at(found.created_at),
    }
