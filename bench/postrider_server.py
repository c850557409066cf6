"""Postrider as it is shipped: `postrider serve` with all roles on a fresh DATA_DIR, and how it is read."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import processes
from bench.load import BadAnswer
from bench.peers import DOMAIN

PROGRAM = Path(sys.executable).with_name("postrider")
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
FOLLOW_TIMEOUT_S = 120.0
REQUEST_TIMEOUT_S = 60.0
LAG = "postrider_follower_lag_events"
EMAIL = "bench@bench.test"
API = "/mailerlogic/api/v1"


class Server:
    """`with Server(sink_port) as server:` one account with a verified domain, relaying to the sink."""

    def __init__(
        self, sink_port: int, *, database_url: str | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.http_port, self.smtp_port = processes.free_port(), processes.free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="bench-postrider-"))
        self.settings = {
            "POSTRIDER_DATA_DIR": str(self._folder),
            "POSTRIDER_HTTP_PORT": str(self.http_port),
            "POSTRIDER_SMTP_PORT": str(self.smtp_port),
            "POSTRIDER_INBOUND_PORT": str(processes.free_port()),
            "POSTRIDER_DELIVERY": "relay",
            "POSTRIDER_RELAY_URL": f"smtp://127.0.0.1:{sink_port}",
            "POSTRIDER_SMTP_TRUST": f"127.0.0.0/8={EMAIL}",  # the master SMTP credential's username
            **({"POSTRIDER_DATABASE_URL": database_url} if database_url else {}),
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.key = ""
        self.keys: dict[str, str] = {}  # of one account, by surface: the one that was added first

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if error is not None and (self._folder / "serve.log").exists():
            print((self._folder / "serve.log").read_text()[-4000:], file=sys.stderr)
        shutil.rmtree(self._folder)

    def add_account(self, email: str, domain: str) -> str:
        """An organization with a verified domain, and its API key; for before the server starts."""
        made = json.loads(
            self._run(
                *("account", "create", "--name", "Bench", "--email", email, "--password", "bench-password-1"),
                *("--plan", "enterprise", "--json"),
            )
        )
        self._run("domain", "add", domain, "--org", str(made["organization_id"]), "--verified")
        self.keys = self.keys or dict(made["keys"])
        return str(made["keys"]["mailerlogic"])

    def smtp_credential(self) -> tuple[str, str]:
        """Username and password of a fresh SMTP credential."""
        made = self.call("POST", f"{API}/smtp-credentials", {"name": "bench"})["credential"]
        return made["username"], made["password"]

    def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Any:
        """The JSON that the server answers; raises BadAnswer for anything but a success."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}",
            json.dumps(body).encode() if body is not None else None,
            {"X-API-Key": key or self.key, "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise BadAnswer(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def cpu_seconds(self) -> float:
        """Of all Postrider processes since their start."""
        return processes.cpu_seconds(self._pid)

    def resident_mib(self) -> float:
        return processes.resident_mib(self._pid)

    def metric(self, name: str) -> float:
        """Summed over its labels; raises BadAnswer where there is no such metric."""
        with urllib.request.urlopen(self._url("/metrics"), timeout=REQUEST_TIMEOUT_S) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        if not found:
            raise BadAnswer(f"/metrics has no {name}")
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def wait_until_followed(self) -> float:
        """The monotonic time at which the followers had nothing left to do."""
        processes.wait_until(lambda: self.metric(LAG) == 0, "followers", timeout_s=FOLLOW_TIMEOUT_S)
        return time.monotonic()

    @property
    def _pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _start(self) -> None:
        self.key = self.add_account(EMAIL, DOMAIN)
        log = (self._folder / "serve.log").open("wb")
        self._process = subprocess.Popen([PROGRAM, "serve"], env=self._environment(), stdout=log, stderr=log)
        log.close()
        processes.wait_until(self._is_ready, "postrider serve", timeout_s=START_TIMEOUT_S)

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise BadAnswer(f"postrider serve ended with {self._process.returncode}")
        try:
            with urllib.request.urlopen(self._url("/healthz"), timeout=REQUEST_TIMEOUT_S) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [PROGRAM, *arguments], env=self._environment(), capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise BadAnswer(f"postrider {arguments[0]}: {done.stderr.strip()[-1000:]}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings}

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http_port}{path}"
