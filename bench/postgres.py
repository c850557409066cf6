"""A PostgreSQL cluster of its own under a temporary folder, durable as shipped; started only by root."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.processes import cpu_seconds, free_port

TIMEOUT_S = 60.0


def programs() -> Path | None:
    """The newest installed version's folder of programs, or None where there is no PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return found[-1] if found and os.geteuid() == 0 else None


class Cluster:
    """`with Cluster() as cluster:` an empty database at `cluster.url`."""

    def __enter__(self) -> Self:
        folder = programs()
        assert folder is not None
        self._programs = folder
        self._folder = Path(tempfile.mkdtemp(prefix="bench-postgresql-"))
        shutil.chown(self._folder, "postgres")
        self._data = self._folder / "data"
        port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._as_postgres("initdb", "-D", str(self._data), "-A", "trust", "--locale=C.UTF-8")
        options = f"-p {port} -h 127.0.0.1 -k {self._folder} -c shared_buffers=512MB"
        self._pg_ctl("start", "-o", options, "-l", f"{self._folder}/log")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pg_ctl("stop", "-m", "immediate")
        shutil.rmtree(self._folder)

    def cpu_seconds(self) -> float:
        return cpu_seconds(int((self._data / "postmaster.pid").read_text().split()[0]))

    def _pg_ctl(self, verb: str, *options: str) -> None:
        self._as_postgres("pg_ctl", "-D", str(self._data), "-w", *options, verb)

    def _as_postgres(self, program: str, *arguments: str) -> None:
        user = pwd.getpwnam("postgres")
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )
