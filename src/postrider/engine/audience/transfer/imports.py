"""Contacts out of a file, page by page: a page's contacts, its errors and the new byte are one transaction.

Killed anywhere, an import neither skips nor repeats a row. The file is parsed in a thread, the next page
while one is written.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from postrider.db.database import Database, Tx
from postrider.engine import jobs
from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput, Fault, JobStatus, Kept, OnKnown, Origin, Saved
from postrider.engine.audience.transfer import rows, store
from postrider.engine.audience.transfer.files import Folder, Incoming
from postrider.engine.audience.transfer.inputs import Reading, check_mapping, reading
from postrider.engine.audience.transfer.model import READ, WRITE, Import, ImportPlan, RowError, Tally
from postrider.engine.audience.transfer.pace import Pace
from postrider.engine.audience.transfer.rows import Format, Page, Row, Rows
from postrider.engine.errors import EngineError, Invalid, NotFound
from postrider.engine.jobs import Job
from postrider.engine.principal import Principal
from postrider.kit.address import InvalidAddress, parse_address
from postrider.kit.ids import RowId

KIND = "import"
SOURCE = "import"
COUNTED_BYTES = 16 * 1024 * 1024  # of larger files the number of rows is estimated until they are read
MESSAGE_MAX_CHARS = 500
CONTENT_MAX_CHARS = 1_000
ERRORS_AT_ONCE = 1_000
LISTED_MAX = 200
Row_ = tuple[Row, contacts.Read | Fault]


class Lost(Exception):
    """Another worker has gone on with it: what this one did is undone."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found in a file: `position` is the byte of the first row behind the header."""

    format: Format
    position: int
    size: int
    total: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of many inputs; `faults` by their index, in order."""

    tally: Tally
    faults: Sequence[tuple[int, Fault]]


def prepare(incoming: Incoming, plan: ImportPlan) -> Prepared:
    """For a thread: look into a file that has been written, and put it on disk. Raises Invalid."""
    check_mapping(plan.mapping)
    incoming.close()
    place = incoming.folder.at(incoming.path)
    with place.open("rb") as file:
        encoding = rows.needs_recoding(file.read(rows.HEAD_BYTES))
    if encoding is not None:
        _recode(incoming, encoding)
    with place.open("rb") as file:
        head = file.read(rows.HEAD_BYTES)
        format_ = rows.sniff(head)
        size = place.stat().st_size
        position = _first_row(file, format_, plan)
        total = _count(file, format_, position, size)
    if not total:
        raise Invalid(field="file", message="The file has no rows")
    return Prepared(format_, position, size, total)


def start_import(
    tx: Tx, principal: Principal, incoming: Incoming, plan: ImportPlan, prepared: Prepared
) -> Import:
    """Raises Forbidden, or NotFound for the list. Call `incoming.keep()` behind the commit."""
    principal.require(WRITE)
    if plan.list_id is not None and not store.has_list(tx, principal.organization_id, plan.list_id):
        raise NotFound(noun="list")
    store.insert_import(
        tx,
        organization_id=principal.organization_id,
        import_id=incoming.id,
        plan=plan,
        format_=prepared.format,
        path=incoming.path,
        size=prepared.size,
        position=prepared.position,
        total=prepared.total,
    )
    jobs.insert_job(
        tx,
        organization_id=principal.organization_id,
        job_id=incoming.id,
        kind=kind_in(KIND, incoming.folder),
        facts={},
        pages=(),
    )
    return _found(store.find_import(tx, principal.organization_id, incoming.id))


def get_import(tx: Tx, principal: Principal, import_id: RowId) -> Import:
    """Raises NotFound."""
    principal.require(READ)
    return _found(store.find_import(tx, principal.organization_id, import_id))


def list_imports(
    tx: Tx, principal: Principal, *, before: RowId | None = None, limit: int = LISTED_MAX
) -> list[Import]:
    """Newest first, those begun before the import `before`; LISTED_MAX at most."""
    principal.require(READ)
    return store.list_imports(tx, principal.organization_id, before=before, limit=min(limit, LISTED_MAX))


def list_errors(
    tx: Tx, principal: Principal, import_id: RowId, *, after: int = 0, limit: int = ERRORS_AT_ONCE
) -> list[RowError]:
    """The rows that were not kept, in the order of the file; the first ERRORS_KEPT. Raises NotFound."""
    get_import(tx, principal, import_id)
    return store.list_errors(
        tx, principal.organization_id, import_id, after=after, limit=min(limit, ERRORS_AT_ONCE)
    )


def kind_in(kind: str, folder: Folder) -> str:
    """The kind of jobs on files of this folder: whoever sees it does them."""
    return f"{kind}:{folder.name}"


async def run_import(db: Database, job: Job, owner: str, folder: Folder, is_over: Callable[[], bool]) -> None:
    """Go on with an import until it is done or `is_over`; the job is let go either way."""
    at = await db.read(store.find_import, job.organization_id, job.id)
    if at is None or at.status is not JobStatus.RUNNING or at.path is None:
        await db.write(jobs.end_job, job, owner)
        return
    error: str | None = None
    try:
        with folder.at(at.path).open("rb") as file:
            if not await _read_on(db, file, at, is_over):
                await db.write(jobs.pass_on, job, owner)
                return
    except FileNotFoundError:
        error = "The file is gone"
    except EngineError as refusal:
        error = refusal.sentence
    await db.write(end, job, owner, error)
    await asyncio.to_thread(folder.remove, at.path)


def end(tx: Tx, job: Job, owner: str, error: str | None) -> None:
    """The import and its job; behind the commit the file may go."""
    store.end_import(tx, job.organization_id, job.id, error)
    jobs.end_job(tx, job, owner, error)


async def import_many(
    db: Database,
    principal: Principal,
    inputs: Sequence[ContactInput],
    *,
    on_known: OnKnown,
    source: str = SOURCE,
) -> Outcome:
    """Inputs that came in one request, in writes of a few; answers when all are on disk. Raises Forbidden."""
    pace, done, tally = Pace(db), 0, Tally()
    faults: list[tuple[int, Fault]] = []
    while done < len(inputs):
        page = inputs[done : done + pace.rows]
        saved, seconds = await db.write(_save, principal, page, on_known, source)
        pace.took(len(page), seconds)
        tally = _add(tally, saved)
        faults += [(done + each.index, fault) for each in saved for fault in each.faults]
        done += len(page)
    return Outcome(tally, faults)


def write_page(
    tx: Tx, at: Import, end_: int, read: Sequence[Row_], principal: Principal
) -> tuple[Import, float]:
    """Keep a page and move on, or raise Lost; answers where the import stands and the seconds it took."""
    started = time.thread_time()
    given = [(number, each) for number, (_, each) in enumerate(read) if not isinstance(each, Fault)]
    saved = contacts.save(
        tx,
        principal,
        [each for _, each in given],
        on_known=at.plan.on_known,
        source=SOURCE,
        origin=Origin.REQUEST if at.plan.trigger_automations else Origin.QUIET,
    )
    faults: dict[int, Sequence[Fault]] = {
        number: (each,) for number, (_, each) in enumerate(read) if isinstance(each, Fault)
    }
    faults |= {given[each.index][0]: each.faults for each in saved if each.faults}
    tally = _add(Tally(failed=len(read) - len(given)), saved)
    if left := max(0, store.ERRORS_KEPT - at.failed):
        told = [_error(at, number, read[number][0], faults[number]) for number in sorted(faults)[:left]]
        store.insert_errors(tx, at.organization_id, at.id, told)
    if not store.advance_import(tx, at, position=end_, rows=len(read), tally=tally):
        raise Lost
    moved = replace(
        at,
        position=end_,
        processed=at.processed + len(read),
        created=at.created + tally.created,
        updated=at.updated + tally.updated,
        skipped=at.skipped + tally.skipped,
        failed=at.failed + tally.failed,
    )
    return moved, time.thread_time() - started


async def _read_on(db: Database, file: BinaryIO, at: Import, is_over: Callable[[], bool]) -> bool:
    """Whether the file was read to its end."""
    principal = Principal(at.organization_id, scopes=frozenset({READ, WRITE}))
    source, read, pace = Rows(file, at.format, at.position), reading(at.plan), Pace(db)
    following = asyncio.create_task(asyncio.to_thread(_next_page, source, read, pace.rows))
    try:
        while True:
            page, parsed = await following
            if page.is_last:
                if parsed:
                    await db.write(write_page, at, page.end, parsed, principal)
                return True
            following = asyncio.create_task(asyncio.to_thread(_next_page, source, read, pace.rows))
            at, seconds = await db.write(write_page, at, page.end, parsed, principal)
            pace.took(len(parsed), seconds)
            if is_over():
                return False
    finally:
        await asyncio.wait([following])  # it reads the file, which is closed next


def _next_page(source: Rows, read: Reading, rows_max: int) -> tuple[Page, list[Row_]]:
    page = source.page(rows_max)
    return page, [(row, _read(row, read)) for row in page.rows]


def _read(row: Row, read: Reading) -> contacts.Read | Fault:
    given = Fault("", row.fault) if row.fault else read(row.cells)
    return given if isinstance(given, Fault) else contacts.read(given)


def _save(
    tx: Tx, principal: Principal, inputs: Sequence[ContactInput], on_known: OnKnown, source: str
) -> tuple[list[Saved], float]:
    started = time.thread_time()
    saved = contacts.save(tx, principal, inputs, on_known=on_known, source=source)
    return saved, time.thread_time() - started


def _add(tally: Tally, saved: Sequence[Saved]) -> Tally:
    kept = [each.kept for each in saved]
    return Tally(
        tally.created + kept.count(Kept.CREATED),
        tally.updated + kept.count(Kept.UPDATED),
        tally.skipped + kept.count(Kept.SKIPPED),
        tally.failed + kept.count(None),
    )


def _error(at: Import, number: int, row: Row, faults: Sequence[Fault]) -> RowError:
    encoding = "utf-8" if at.format.encoding == rows.UNDECIDED else at.format.encoding
    return RowError(
        row=at.processed + number + 1,
        field=faults[0].field or None,
        message="; ".join(fault.message for fault in faults)[:MESSAGE_MAX_CHARS],
        content=row.raw[: 4 * CONTENT_MAX_CHARS]
        .decode(encoding, "replace")
        .replace("\0", "\ufffd")
        .rstrip("\r\n")[:CONTENT_MAX_CHARS],
    )


def _recode(incoming: Incoming, encoding: str) -> None:
    place = incoming.folder.at(incoming.path)
    anew = place.with_name(f"{place.name}.utf-8")
    try:
        with place.open("rb") as source, anew.open("xb") as target:
            rows.recode(source, target, encoding)
        incoming.replace(anew)
    finally:
        anew.unlink(missing_ok=True)


def _first_row(file: BinaryIO, format_: Format, plan: ImportPlan) -> int:
    """Where the rows begin: a first row whose email is no address is a header."""
    source = Rows(file, format_, format_.start)
    page = source.page(1)
    while page.rows and page.rows[0].fault and not page.is_last:
        page = source.page(1)
    if not page.rows:
        raise Invalid(field="file", message="The file has no rows")
    first = page.rows[0]
    for field, column in plan.mapping.items():
        if column >= len(first.cells) and not first.fault:
            raise Invalid(
                field=f"mapping.{field}",
                message=f"The file has no column {column}: it has {len(first.cells)}, counted from 0",
            )
    if first.fault or page.start != format_.start or _is_address(first.cells[plan.mapping["email"]]):
        return format_.start
    return page.end


def _is_address(text: str) -> bool:
    try:
        parse_address(text.strip())
    except InvalidAddress:
        return False
    return True


def _count(file: BinaryIO, format_: Format, position: int, size: int) -> int:
    source = Rows(file, format_, position)
    counted, until = 0, position + COUNTED_BYTES
    while source.position < until:
        page = source.page(rows.SNIFFED_ROWS * 100)
        counted += len(page.rows)
        if page.is_last:
            return counted
        if size > COUNTED_BYTES:
            until = position + rows.PAGE_MAX_BYTES
    return max(1, round(counted * (size - position) / (source.position - position)))


def _found(found: Import | None) -> Import:
    if found is None:
        raise NotFound(noun="import")
    return found
