"""What becomes of files and their records: fetched, expired, forgotten, orphaned; and of work that fails."""

import os
import time
from pathlib import Path

import pytest
from tests.factories import make_account
from tests.processes import count_rows

from postrider.db.database import Database
from postrider.engine import jobs
from postrider.engine.audience import contacts, lists, transfer
from postrider.engine.audience.model import ContactInput, JobStatus, OnKnown
from postrider.engine.audience.transfer import (
    Column,
    ExportPlan,
    Folder,
    Import,
    ImportPlan,
    Incoming,
    exports,
    imports,
    tidy,
)
from postrider.engine.errors import Busy, Invalid, NotFound
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import new_id
from postrider.kit.seal import Sealer
from postrider.workers.transfers import Transfers

ME = "a-worker"
PLAN = ImportPlan(mapping={"email": 0})
EMAILS = ExportPlan(columns=[Column("email", "email")])


class Office:
    """One organization, a folder, and the worker that looks after it."""

    def __init__(self, db: Database, path: Path) -> None:
        self.db = db
        account = make_account(db, Sealer(bytes(32)))
        self.principal = Principal(account.organization_id)
        self.folder = Folder(path)
        self.worker = Transfers(db, ME, self.folder)

    def take(self, body: bytes, plan: ImportPlan = PLAN) -> Import:
        with Incoming(self.folder, self.principal.organization_id) as incoming:
            incoming.write(body)
            prepared = transfer.prepare(incoming, plan)
            made = self.db.write_now(transfer.start_import, self.principal, incoming, plan, prepared)
            incoming.keep()
        return made

    async def work(self) -> None:
        while await self.worker._once():
            continue

    def files(self) -> list[str]:
        return sorted(
            path.name for kind in ("imports", "exports") for path in self.folder.path.glob(f"{kind}/*")
        )


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    return Office(database, tmp_path / "files")


async def test_contacts_of_an_import_join_its_list_and_get_its_tags(office: Office) -> None:
    db, principal = office.db, office.principal
    made = db.write_now(lists.create, principal, name="Readers")
    plan = ImportPlan(mapping={"email": 0}, list_id=made.id, tags=["spring"])
    office.take(b"ann@example.com\nbob@example.com\n", plan)
    await office.work()
    found = db.read_now(contacts.page, principal, limit=10)
    assert {(tuple(each.tags), tuple(each.lists)) for each in found} == {(("spring",), (made.id,))}
    with pytest.raises(NotFound):
        office.take(b"carl@example.com\n", ImportPlan(mapping={"email": 0}, list_id=new_id()))
    assert office.files() == []


async def test_many_inputs_are_kept_and_their_faults_told_by_index(office: Office) -> None:
    inputs = [ContactInput(email=f"r{n % 500}@example.com") for n in range(1_500)]
    inputs[700] = ContactInput(email="nobody")
    refused = await transfer.import_many(office.db, office.principal, inputs, on_known=OnKnown.REFUSE)
    assert (refused.tally.created, refused.tally.failed) == (500, 1_000)
    assert [index for index, _ in refused.faults] == list(range(500, 1_500))
    skipped = await transfer.import_many(office.db, office.principal, inputs[:5], on_known=OnKnown.SKIP)
    assert (skipped.tally.skipped, skipped.faults) == (5, [])


async def test_a_file_that_is_gone_fails_its_import(office: Office) -> None:
    made = office.take(b"ann@example.com\n")
    office.folder.remove(made.path or "")
    await office.work()
    failed = office.db.read_now(transfer.get_import, office.principal, made.id)
    assert (failed.status, failed.error) == (JobStatus.FAILED, "The file is gone")


async def test_a_file_that_never_opens_fails_its_import_and_no_other(office: Office) -> None:
    made = office.take(b"ann@example.com\n")
    office.folder.remove(made.path or "")
    office.folder.at(made.path or "").mkdir()
    later = clock.now_ms()
    clock.set_source(lambda: later)
    for _ in range(jobs.FAILURES_MAX):
        with pytest.raises(IsADirectoryError):
            await office.worker._once()
        assert not await office.worker._once()  # it is given back, and not due yet
        later += clock.MINUTE
    other = office.take(b"bob@example.com\n")
    await office.work()
    statuses = [
        office.db.read_now(transfer.get_import, office.principal, each.id).status for each in (made, other)
    ]
    assert statuses == [JobStatus.FAILED, JobStatus.DONE]


async def test_another_folders_work_is_left_to_who_sees_it(office: Office, tmp_path: Path) -> None:
    made = office.take(b"ann@example.com\n")
    assert not await Transfers(office.db, "elsewhere", Folder(tmp_path / "other"))._once()
    export = office.db.write_now(transfer.start_export, office.principal, office.folder, EMAILS)
    await Transfers(office.db, "a-node-beside", Folder(office.folder.path))._once()
    await office.work()
    assert office.db.read_now(transfer.get_import, office.principal, made.id).status is JobStatus.DONE
    done = office.db.read_now(transfer.get_export, office.principal, export.id)
    assert transfer.find_file(done, office.folder).exists()
    with pytest.raises(Busy):
        transfer.find_file(done, Folder(tmp_path / "other"))


async def test_an_export_goes_when_its_link_has_expired(office: Office) -> None:
    export = office.db.write_now(transfer.start_export, office.principal, office.folder, EMAILS)
    await office.work()
    assert len(office.files()) == 1
    assert await tidy.drop_expired(office.db, office.folder) == 0
    later = clock.now_ms() + exports.KEPT_MS
    clock.set_source(lambda: later)
    with pytest.raises(NotFound):
        office.db.read_now(transfer.get_export, office.principal, export.id)
    assert await tidy.drop_expired(office.db, office.folder) == 1
    assert (office.files(), office.db.read_now(count_rows, ("exports",))) == ([], {"exports": 0})


async def test_an_import_and_its_errors_are_forgotten_after_their_time(office: Office) -> None:
    office.take(b"nobody\n" * 600 + b"nobody again\n")
    await office.work()
    organization_id = office.principal.organization_id
    assert office.db.read_now(count_rows, ("import_errors",)) == {"import_errors": 600}  # one was the header
    assert await tidy.drop_old_imports(office.db, organization_id) == 0
    later = clock.now_ms() + tidy.IMPORT_KEPT_MS + 1_000
    clock.set_source(lambda: later)
    assert await tidy.drop_old_imports(office.db, organization_id) == 1
    left = office.db.read_now(count_rows, ("imports", "import_errors"))
    assert left == {"imports": 0, "import_errors": 0}


async def test_a_file_that_no_row_names_goes_a_day_later(office: Office) -> None:
    made = office.take(b"ann@example.com\n")
    cut_off = Incoming(office.folder, office.principal.organization_id)
    cut_off.close()
    assert await tidy.drop_orphans(office.db, office.folder) == 0
    yesterday = time.time() - 90_000
    for path in office.folder.path.glob("imports/*"):
        os.utime(path, (yesterday, yesterday))
    assert await tidy.drop_orphans(office.db, office.folder) == 1
    assert office.files() == [Path(made.path or "").name]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_the_number_of_rows_is_exact_or_near(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"email\n" + b"".join(b"r%06d@example.com\n" % number for number in range(150_000))
    assert office.take(body).total == 150_000
    monkeypatch.setattr(imports, "COUNTED_BYTES", 1024 * 1024)
    assert office.take(body).total == pytest.approx(150_000, rel=0.01)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_header_alone_is_no_import(office: Office) -> None:
    with pytest.raises(Invalid):
        office.take(b"email\n")
    assert office.files() == []
