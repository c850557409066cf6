"""Imports of contacts: how far they have come, and the rows that were not kept, as a file."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence

from starlette.responses import Response, StreamingResponse

from postrider.engine.audience import transfer
from postrider.engine.audience.transfer import Import, RowError
from postrider.kit import clock
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.console import wire

READ = "contacts:read"
COLUMNS = ("row", "field", "message", "content")


async def list_imports(call: Call) -> Response:
    """Newest first; `next` is the `before` of the following page, null at the end."""
    query = call.request.query_params
    wire.known_only(query, frozenset({"limit", "before"}))
    limit, before = wire.limit_of(query), wire.row_id_of(query, "before")
    principal = call.caller.principal
    found = await call.services.db.read(transfer.list_imports, principal, before=before, limit=limit)
    following = to_uuid(found[-1].id) if len(found) == limit else None
    return answer({"imports": [_shown(each) for each in found], "next": following})


async def get_import(call: Call) -> Response:
    found = await call.services.db.read(transfer.get_import, call.caller.principal, _id(call))
    return answer({"import": _shown(found)})


async def download_errors(call: Call) -> Response:
    """CSV in the order of the file, with what a spreadsheet would take for a formula made harmless."""
    found = await call.services.db.read(transfer.get_import, call.caller.principal, _id(call))
    headers = {"Content-Disposition": 'attachment; filename="import-errors.csv"'}
    return StreamingResponse(_lines(call, found.id), media_type="text/csv; charset=utf-8", headers=headers)


_ALL, _ONE = "/v1/imports", "/v1/imports/{id}"
OPERATIONS: tuple[Operation, ...] = (
    Operation("listImports", "GET", (_ALL,), "imports of contacts", READ, list_imports),
    Operation("getImport", "GET", (_ONE,), "how far an import has come", READ, get_import),
    Operation(
        "downloadImportErrors", "GET", (f"{_ONE}/errors",), "the rows that were not kept", READ,
        download_errors,
    ),
)  # fmt: skip


def _id(call: Call) -> RowId:
    return wire.path_id(call.request.path_params["id"], "import")


async def _lines(call: Call, import_id: RowId) -> AsyncIterator[bytes]:
    yield _csv([COLUMNS])
    after = 0
    while page := await call.services.db.read(
        transfer.list_errors, call.caller.principal, import_id, after=after
    ):
        yield _csv(_cells(each) for each in page)
        after = page[-1].row


def _cells(error: RowError) -> Sequence[str]:
    return [
        str(error.row), transfer.harmless(error.field or ""), transfer.harmless(error.message),
        transfer.harmless(error.content),
    ]  # fmt: skip


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _shown(found: Import) -> dict[str, object]:
    return {
        "id": to_uuid(found.id),
        "status": found.status.value,
        "bytes": found.bytes,
        "position": found.position,
        "total": max(found.total, found.processed),
        "processed": found.processed,
        "created": found.created,
        "updated": found.updated,
        "skipped": found.skipped,
        "failed": found.failed,
        "error": found.error,
        "created_at": clock.to_iso(found.created_at),
        "ended_at": wire.time(found.ended_at),
    }
