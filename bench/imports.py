"""A CSV of contacts, with three properties, two tags and consent a row, and a bad row in every hundred.

On the engine, in one process: the file is taken in, prepared and read to its end as the worker does it.
"""

import gc
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bench import postgres, report
from bench.report import Options, Sample, Verdict
from postrider.app import KEY_KINDS, SWITCH_INTERVAL_S
from postrider.db import migrate
from postrider.db.database import Database
from postrider.engine import accounts, jobs
from postrider.engine.audience import transfer
from postrider.engine.audience.transfer import Folder, ImportPlan, Incoming, imports
from postrider.engine.principal import Principal
from postrider.kit.seal import MASTER_KEY_BYTES, Sealer
from postrider.run import COLLECT_AFTER

ROWS = 100_000
BAD_EVERY = 100  # rows
PLAN = ImportPlan(
    mapping={
        "email": 0, "first_name": 1, "last_name": 2, "properties.city": 3, "properties.age": 4,
        "properties.plan": 5, "tags": 6, "consent.email_marketing": 7,
    }
)  # fmt: skip
SQLITE_PER_S, POSTGRESQL_PER_S = 10_000, 5_000
OWNER = "bench"


def run(options: Options) -> list[Verdict]:
    """Rows a second, by whatever else the machine does; CPU beside them."""
    rows = options.count(ROWS)
    contenders: dict[str, Callable[[], Sample]] = {"SQLite": partial(on_sqlite, rows)}
    promises = {"SQLite": SQLITE_PER_S, "PostgreSQL": POSTGRESQL_PER_S}
    if postgres.programs():
        contenders["PostgreSQL"] = partial(on_postgresql, rows)
    results = report.interleave(contenders, options.runs)
    report.print_medians(results)
    return [
        report.at_least(
            f"{name}: rows imported", promises[name], report.median(results, name, "rows/s"), "/s"
        )
        for name in results
    ]


def on_sqlite(rows: int) -> Sample:
    with TemporaryDirectory() as folder:
        return measure(f"sqlite:///{folder}/postrider.db", rows)


def on_postgresql(rows: int) -> Sample:
    with postgres.Cluster() as cluster:
        return measure(cluster.url, rows, cluster.cpu_seconds)


def measure(url: str, rows: int, server_cpu: Callable[[], float] = lambda: 0.0) -> Sample:
    db = Database(url)
    try:
        migrate.upgrade(db)
        made = db.write_now(
            accounts.create,
            name="Bench", email="bench@far.test", password_hash=accounts.hash_password("bench-password-1"),
            plan="enterprise", kinds=KEY_KINDS, sealer=Sealer(bytes(MASTER_KEY_BYTES)),
        )  # fmt: skip
        with TemporaryDirectory() as path:
            folder, principal = Folder(Path(path)), Principal(made.organization_id)
            taken = _take(db, folder, principal, rows)
            sample = uvloop.run(_measure(db, folder, rows, server_cpu))
            found = db.read_now(transfer.get_import, principal, taken)
        if (found.processed, found.failed) != (rows, rows // BAD_EVERY):
            raise AssertionError(f"{found.processed} rows read, {found.failed} not kept")
        return sample
    finally:
        db.close()


def _take(db: Database, folder: Folder, principal: Principal, rows: int) -> bytes:
    with Incoming(folder, principal.organization_id) as incoming:
        incoming.write(b"email,first,last,city,age,plan,tags,consent\n")
        for number in range(1, rows + 1):
            at = "@" if number % BAD_EVERY else " at "
            line = f"user{number}{at}example{number % 50}.test,Ann {number},Smith,City {number % 400},"
            line += f'{number % 90},plan {number % 7},"tag {number % 20};group {number % 5}",yes\n'
            incoming.write(line.encode())
        prepared = transfer.prepare(incoming, PLAN)
        db.write_now(transfer.start_import, principal, incoming, PLAN, prepared)
        incoming.keep()
    return incoming.id


async def _measure(db: Database, folder: Folder, rows: int, server_cpu: Callable[[], float]) -> Sample:
    job = await db.write(jobs.claim_job, OWNER, [imports.kind_in(imports.KIND, folder)])
    assert job is not None
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)  # as a node does
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    started, cpu, server = time.monotonic(), time.process_time(), server_cpu()
    await imports.run_import(db, job, OWNER, folder, lambda: False)
    seconds = time.monotonic() - started
    return {
        "rows/s": rows / seconds,
        "CPU us/row": (time.process_time() - cpu) / rows * 1e6,
        "server us": (server_cpu() - server) / rows * 1e6,
    }
