"""Contacts into a file, in keyset pages: the row has what of the file is committed, the rest is cut off.

A finished file may be fetched for KEPT_MS; then it and its row go.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from postrider.db.database import Database, Tx
from postrider.engine import jobs
from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactSort, JobStatus
from postrider.engine.audience.transfer import render, store
from postrider.engine.audience.transfer.files import EXPORTS, Folder, path_of, sync, sync_folder
from postrider.engine.audience.transfer.imports import Lost, kind_in
from postrider.engine.audience.transfer.model import READ, Export, ExportPlan
from postrider.engine.errors import Busy, EngineError, NotAllowedNow, NotFound
from postrider.engine.jobs import Job
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

KIND = "export"
KEPT_MS = clock.DAY
PAGES_COMMITTED = 5  # at once: each waits for the disk


def start_export(tx: Tx, principal: Principal, folder: Folder, plan: ExportPlan) -> Export:
    """Raises Forbidden, Invalid for the columns, NotFound for the filter's list."""
    principal.require(READ)
    render.check_columns(plan.columns)
    wanted = plan.filter.list_id
    if wanted is not None and not store.has_list(tx, principal.organization_id, wanted):
        raise NotFound(noun="list")
    export_id = new_id()
    total = contacts.count(tx, principal, plan.filter)
    store.insert_export(
        tx,
        organization_id=principal.organization_id,
        export_id=export_id,
        plan=plan,
        path=path_of(EXPORTS, principal.organization_id, export_id),
        total=total.count,
    )
    jobs.insert_job(
        tx,
        organization_id=principal.organization_id,
        job_id=export_id,
        kind=kind_in(KIND, folder),
        facts={},
        pages=(),
    )
    return get_export(tx, principal, export_id)


def get_export(tx: Tx, principal: Principal, export_id: RowId) -> Export:
    """Raises NotFound, also once its time is over."""
    principal.require(READ)
    found = store.find_export(tx, principal.organization_id, export_id)
    if found is None or (found.expires_at is not None and found.expires_at <= clock.now_ms()):
        raise NotFound(noun="export")
    return found


def find_file(export: Export, folder: Folder) -> Path:
    """Raises NotAllowedNow while it is not done, Busy where another node's folder has the file."""
    if export.status is not JobStatus.DONE or export.path is None:
        raise NotAllowedNow(message=f"The export is {export.status.value}")
    place = folder.at(export.path)
    if not place.exists():
        raise Busy
    return place


async def run_export(db: Database, job: Job, owner: str, folder: Folder, is_over: Callable[[], bool]) -> None:
    """Go on with an export until it is done or `is_over`; the job is let go either way."""
    at = await db.read(store.find_export, job.organization_id, job.id)
    if at is None or at.status is not JobStatus.RUNNING or at.path is None:
        await db.write(jobs.end_job, job, owner)
        return
    error: str | None = None
    try:
        with await asyncio.to_thread(_open, folder.at(at.path), at) as file:
            await _write_on(db, file, at, job, owner, is_over)
            return
    except EngineError as refusal:
        error = refusal.sentence
    except FileNotFoundError:
        error = "The file is gone"
    await db.write(end, job, owner, error)


def end(tx: Tx, job: Job, owner: str, error: str | None) -> None:
    expires_at = clock.now_ms() + KEPT_MS
    store.end_export(tx, job.organization_id, job.id, error=error, expires_at=expires_at)
    jobs.end_job(tx, job, owner, error)


async def _write_on(
    db: Database, file: BinaryIO, at: Export, job: Job, owner: str, is_over: Callable[[], bool]
) -> None:
    """Until all contacts are in the file or `is_over`."""
    principal = Principal(at.organization_id, scopes=frozenset({READ}))
    after, processed = at.after, at.processed
    while True:
        for _ in range(PAGES_COMMITTED):
            page = await db.read(
                contacts.page,
                principal,
                at.plan.filter,
                sort=ContactSort.CREATED,
                descending=False,
                limit=contacts.PAGE_MAX,
                after=None if after is None else contacts.Cursor(after, after),
            )
            if is_last := not page:  # a short one may lack what was deleted while it was read
                file.write(render.closing(at.plan))
                break
            text = await asyncio.to_thread(render.lines, at.plan, page, follow=processed)
            await asyncio.to_thread(file.write, text)
            after, processed = page[-1].id, processed + len(page)
        await asyncio.to_thread(sync, file)
        moved = replace(at, after=after, bytes=file.tell(), processed=processed)
        await db.write(_advance, at, moved, job, owner, is_last=is_last)
        if is_last:
            return
        at = moved
        if is_over():
            await db.write(jobs.pass_on, job, owner)
            return


def _advance(tx: Tx, at: Export, moved: Export, job: Job, owner: str, *, is_last: bool) -> None:
    """The end with the last of it: what closes a file must not be written twice."""
    if not store.advance_export(tx, at, after=moved.after, size=moved.bytes, processed=moved.processed):
        raise Lost
    if is_last:
        end(tx, job, owner, None)


def _open(place: Path, at: Export) -> BinaryIO:
    """Where the committed bytes end; raises FileNotFoundError where they are gone."""
    if at.bytes:
        committed = place.open("rb+")
        committed.truncate(at.bytes)
        committed.seek(at.bytes)
        return committed
    place.parent.mkdir(parents=True, exist_ok=True)
    file = place.open("wb")
    file.write(render.opening(at.plan))
    sync_folder(place.parent)
    return file
