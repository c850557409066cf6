"""The SQL of imports and exports."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, exists, insert, or_, select, tuple_, update

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Statement, insert_batch
from postrider.engine.audience.model import JobStatus
from postrider.engine.audience.tables import exports, import_errors, imports, lists
from postrider.engine.audience.transfer.model import (
    Export,
    ExportPlan,
    Import,
    ImportPlan,
    RowError,
    Tally,
)
from postrider.engine.audience.transfer.rows import Format
from postrider.kit import clock
from postrider.kit.ids import RowId

ERRORS_KEPT = 10_000  # of one import
AT_ONCE = 500  # rows deleted in one write
_insert_errors = insert_batch(
    import_errors, "organization_id", "import_id", "row", "field", "message", "content"
)
_advance_import = Statement(
    """UPDATE imports SET position = :position, processed = processed + :rows, created = created + :created,
         updated = updated + :updated, skipped = skipped + :skipped, failed = failed + :failed
       WHERE organization_id = :organization_id AND id = :id AND status = 'running'
         AND position = :was AND processed = :processed
       RETURNING position"""
)


def has_list(tx: Tx, organization_id: int, list_id: RowId) -> bool:
    found = select(exists().where(lists.c.organization_id == organization_id, lists.c.id == list_id))
    return bool(tx.execute(found).scalar_one())


def insert_import(
    tx: Tx,
    *,
    organization_id: int,
    import_id: RowId,
    plan: ImportPlan,
    format_: Format,
    path: str,
    size: int,
    position: int,
    total: int,
) -> None:
    tx.execute(
        insert(imports).values(
            organization_id=organization_id,
            id=import_id,
            status=JobStatus.RUNNING.value,
            plan=plan.to_json(format_),
            path=path,
            bytes=size,
            position=position,
            total=total,
            created_at=clock.now_ms(),
        )
    )


def find_import(tx: Tx, organization_id: int, import_id: RowId) -> Import | None:
    row = tx.execute(
        select(imports).where(imports.c.organization_id == organization_id, imports.c.id == import_id)
    ).one_or_none()
    return None if row is None else _import(row)


def list_imports(tx: Tx, organization_id: int, *, before: RowId | None, limit: int) -> list[Import]:
    """Newest first, those that were begun before one of them."""
    query = select(imports).where(imports.c.organization_id == organization_id)
    if before is not None:
        query = query.where(imports.c.id < before)
    return [_import(row) for row in tx.execute(query.order_by(imports.c.id.desc()).limit(limit))]


def advance_import(tx: Tx, at: Import, *, position: int, rows: int, tally: Tally) -> bool:
    """In the page's own transaction. False: it stands elsewhere by now, or has ended."""
    moved = _advance_import(
        tx,
        organization_id=at.organization_id,
        id=at.id,
        was=at.position,
        processed=at.processed,
        position=position,
        rows=rows,
        created=tally.created,
        updated=tally.updated,
        skipped=tally.skipped,
        failed=tally.failed,
    )
    return bool(moved)


def end_import(tx: Tx, organization_id: int, import_id: RowId, error: str | None) -> None:
    """Done, or failed with a reason; the total is what was read."""
    ended = JobStatus.DONE if error is None else JobStatus.FAILED
    tx.execute(
        update(imports)
        .where(imports.c.organization_id == organization_id, imports.c.id == import_id)
        .values(
            status=ended.value,
            error=error,
            path=None,
            total=imports.c.processed if error is None else imports.c.total,
            ended_at=clock.now_ms(),
        )
    )


def insert_errors(tx: Tx, organization_id: int, import_id: RowId, errors: Sequence[RowError]) -> None:
    _insert_errors(
        tx,
        [
            (organization_id, import_id, error.row, error.field, error.message, error.content)
            for error in errors
        ],
    )


def list_errors(tx: Tx, organization_id: int, import_id: RowId, *, after: int, limit: int) -> list[RowError]:
    """In the order of the file, those behind row `after`."""
    c = import_errors.c
    rows = tx.execute(
        select(c.row, c.field, c.message, c.content)
        .where(c.organization_id == organization_id, c.import_id == import_id, c.row > after)
        .order_by(c.row)
        .limit(limit)
    )
    return [RowError(*row) for row in rows]


def drop_errors(tx: Tx, organization_id: int, import_id: RowId) -> int:
    """Some of them; answers how many."""
    c = import_errors.c
    here = (c.organization_id == organization_id, c.import_id == import_id)
    some = select(c.row).where(*here).limit(AT_ONCE)
    return tx.execute(delete(import_errors).where(*here, c.row.in_(some))).rowcount


def ended_imports(tx: Tx, organization_id: int, before: int) -> list[RowId]:
    """Those that ended before a time, some of them."""
    c = imports.c
    found = tx.execute(
        select(c.id).where(c.organization_id == organization_id, c.ended_at < before).limit(AT_ONCE)
    )
    return list(found.scalars())


def drop_import(tx: Tx, organization_id: int, import_id: RowId) -> None:
    tx.execute(delete(imports).where(imports.c.organization_id == organization_id, imports.c.id == import_id))


def insert_export(
    tx: Tx, *, organization_id: int, export_id: RowId, plan: ExportPlan, path: str, total: int
) -> None:
    tx.execute(
        insert(exports).values(
            organization_id=organization_id,
            id=export_id,
            status=JobStatus.RUNNING.value,
            plan=plan.to_json(),
            path=path,
            total=total,
            created_at=clock.now_ms(),
        )
    )


def find_export(tx: Tx, organization_id: int, export_id: RowId) -> Export | None:
    row = tx.execute(
        select(exports).where(exports.c.organization_id == organization_id, exports.c.id == export_id)
    ).one_or_none()
    return None if row is None else _export(row)


def advance_export(tx: Tx, at: Export, *, after: RowId | None, size: int, processed: int) -> bool:
    """The file holds `size` bytes, on disk. False: somebody else has written on by now."""
    moved = tx.execute(
        update(exports)
        .where(
            exports.c.organization_id == at.organization_id,
            exports.c.id == at.id,
            exports.c.status == JobStatus.RUNNING.value,
            exports.c.bytes == at.bytes,
            exports.c.processed == at.processed,
        )
        .values(after=after, bytes=size, processed=processed)
    )
    return moved.rowcount == 1


def end_export(tx: Tx, organization_id: int, export_id: RowId, *, error: str | None, expires_at: int) -> None:
    ended = JobStatus.DONE if error is None else JobStatus.FAILED
    tx.execute(
        update(exports)
        .where(exports.c.organization_id == organization_id, exports.c.id == export_id)
        .values(
            status=ended.value,
            error=error,
            total=exports.c.processed if error is None else exports.c.total,
            ended_at=clock.now_ms(),
            expires_at=expires_at,
        )
    )


def expired_exports(tx: Tx, limit: int) -> list[tuple[int, RowId, str | None]]:
    """(organization, id, path) of those whose time is over, of all organizations."""
    c = exports.c
    found = tx.execute(
        select(c.organization_id, c.id, c.path)
        .where(c.expires_at <= clock.now_ms())
        .order_by(c.expires_at)
        .limit(limit)
    )
    return [(row.organization_id, row.id, row.path) for row in found]


def drop_export(tx: Tx, organization_id: int, export_id: RowId) -> None:
    tx.execute(delete(exports).where(exports.c.organization_id == organization_id, exports.c.id == export_id))


def errors_after(
    tx: Tx, organization_id: int, after: tuple[RowId, int], limit: int
) -> list[tuple[RowId, int, str]]:
    """(import, row, content) of all imports, those past the (import, row) `after`."""
    c = import_errors.c
    rows = tx.execute(
        select(c.import_id, c.row, c.content)
        .where(c.organization_id == organization_id, tuple_(c.import_id, c.row) > tuple_(*after))
        .order_by(c.import_id, c.row)
        .limit(limit)
    )
    return [(row.import_id, row.row, row.content) for row in rows]


def forget_errors(tx: Tx, organization_id: int, import_id: RowId, rows: Sequence[int]) -> None:
    c = import_errors.c
    here = (c.organization_id == organization_id, c.import_id == import_id)
    tx.execute(delete(import_errors).where(*here, c.row.in_(list(rows))))


def exports_after(tx: Tx, organization_id: int, after: RowId, limit: int) -> list[Export]:
    c = exports.c
    rows = tx.execute(
        select(exports).where(c.organization_id == organization_id, c.id > after).order_by(c.id).limit(limit)
    )
    return [_export(row) for row in rows]


def is_exported_since(tx: Tx, organization_id: int, seen: RowId) -> bool:
    """Whether an export is being written, or was begun after the one with the id `seen`."""
    c = exports.c
    newer = or_(c.id > seen, c.status == JobStatus.RUNNING.value)
    return bool(tx.execute(select(exists().where(c.organization_id == organization_id, newer))).scalar_one())


def named_files(tx: Tx, files: Sequence[tuple[int, RowId]]) -> set[str]:
    """Of the files of these imports and exports, the paths that a row still names."""
    found: set[str] = set()
    for table in (imports, exports):
        key = tuple_(table.c.organization_id, table.c.id)
        found.update(
            tx.execute(select(table.c.path).where(key.in_(list(files)), table.c.path.is_not(None))).scalars()
        )
    return found


def _import(row: AnyRow) -> Import:
    kept = dict(row._mapping)
    plan: dict[str, Any] = kept.pop("plan")
    return Import(
        **{
            **kept,
            "status": JobStatus(kept["status"]),
            "plan": ImportPlan.from_json(plan),
            "format": Format(**plan["format"]),
        }
    )


def _export(row: AnyRow) -> Export:
    kept = dict(row._mapping)
    return Export(**{**kept, "status": JobStatus(kept["status"]), "plan": ExportPlan.from_json(kept["plan"])})
