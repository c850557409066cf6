"""`postrider serve` as a process of its own, to be stopped and killed; its account is made beforehand."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.factories import make_account, make_domain

from postrider.app import Installation
from postrider.db.database import Database, Tx
from postrider.engine.accounts import NewAccount
from postrider.settings import Settings

SERVE = [str(Path(sys.executable).with_name("postrider")), "serve"]
MAILERLOGIC = "/mailerlogic/api/v1"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 40.0
REQUEST_TIMEOUT_S = 30.0
POLL_S = 0.02
LOG_TAIL_CHARS = 4_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `json` is None where it has none."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body[:1] in (b"{", b"[") else None


class Postrider:
    """`with Postrider(store_url, folder, relay_url=…) as server:` — settings as in Settings."""

    def __init__(self, store_url: str, folder: Path, **settings: Any) -> None:
        self.http_port, self.smtp_port, self.inbound_port = free_port(), free_port(), free_port()
        self._log = folder / "serve.log"
        self._settings: dict[str, Any] = {
            "data_dir": folder / "data",
            "database_url": "" if store_url.startswith("sqlite") else store_url,
            "http_port": self.http_port,
            "smtp_port": self.smtp_port,
            "inbound_port": self.inbound_port,
            "hostname": "mx.postrider.test",
            **settings,
        }
        self.account, self.store_url = self._make_account()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            print(self._log.read_text()[-LOG_TAIL_CHARS:], file=sys.stderr)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(SERVE, env=self._environment(), stdout=log, stderr=log)
        wait_until(self._is_ready, "postrider serve", timeout_s=START_TIMEOUT_S)

    def beside(self) -> subprocess.CompletedProcess[str]:
        """A second `serve` with the same settings, which must end by itself."""
        return subprocess.run(
            SERVE, env=self._environment(), capture_output=True, text=True, timeout=START_TIMEOUT_S
        )

    def kill(self) -> None:
        """kill -9: nothing is finished, nothing is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Its exit code; raises subprocess.TimeoutExpired."""
        assert self._process is not None
        code = self._process.wait(timeout_s)
        self._process = None
        return code

    def request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request with the account's key; raises OSError where nobody answers."""
        given = {"X-API-Key": self.account.keys["mailerlogic"], "Content-Type": "application/json"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}",
            json.dumps(body).encode() if body is not None else None,
            {**given, **(headers or {})},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, refusal.read())

    def send(self, mail: dict[str, Any]) -> Answer:
        return self.request("POST", f"{MAILERLOGIC}/send", mail)

    def health(self) -> int:
        """The status of /healthz; 0 where nobody answers."""
        try:
            return self.request("GET", "/healthz").status
        except OSError:
            return 0

    def counts(self, *tables: str) -> dict[str, int]:
        """Rows by table, as another program sees them."""
        return self._read(lambda tx: count_rows(tx, tables))

    def scalar(self, query: str) -> Any:
        """What another program reads with a query that answers one value."""
        return self._read(lambda tx: tx.exec_driver_sql(query).scalar_one())

    def _read(self, function: Callable[[Tx], T]) -> T:
        database = Database(self.store_url)
        try:
            return database.read_now(function)
        finally:
            database.close()

    def _environment(self) -> dict[str, str]:
        names = {f"POSTRIDER_{name.upper()}": str(value) for name, value in self._settings.items()}
        return {**os.environ, **names}

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            said = self._log.read_text()[-LOG_TAIL_CHARS:]
            raise RuntimeError(f"postrider serve ended with {self._process.returncode}: {said}")
        return self.health() == 200

    def _make_account(self) -> tuple[NewAccount, str]:
        installation = Installation(Settings(**self._settings))
        installation.migrate()
        account = make_account(installation.db, installation.sealer)
        make_domain(installation.db, installation.sealer, account.organization_id)
        installation.db.close()
        return account, installation.settings.store_url


def count_rows(tx: Tx, tables: Sequence[str]) -> dict[str, int]:
    """Rows of each table."""
    return {name: tx.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in tables}


def wait_until(is_so: Callable[[], bool], what: str, *, timeout_s: float) -> None:
    """Poll until `is_so()`; raises TimeoutError that names `what`."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(POLL_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
