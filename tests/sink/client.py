"""Starts the sink beside a test and reads what it noted."""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 10.0
POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Received:
    """A mail as one recipient got it, `at` in ms since 1970; `mail` is empty unless the sink keeps mails."""

    recipient: str
    sender: str
    message_id: str | None
    size: int
    at: int
    mail: bytes


class Sink:
    """`with Sink() as sink:` a mail server on `host`:`sink.port`, in its own process."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        delay_ms: int = 0,
        slow_ms: int = 2_000,
        keep: bool = False,
        tls: bool = False,
        out: Path | None = None,
    ) -> None:
        self.port = port
        self._folder = tempfile.TemporaryDirectory(prefix="sink-")
        self._out = out or Path(self._folder.name, "received.jsonl")
        self._options = [f"--host={host}", f"--delay-ms={delay_ms}", f"--slow-ms={slow_ms}"]
        self._options += ["--keep"] * keep + ["--tls"] * tls
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Sink":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Listen; after a stop, on the same port and adding to the same notes."""
        command = [sys.executable, "-m", "tests.sink.smtp_sink", f"--port={self.port}", f"--out={self._out}"]
        self._process = subprocess.Popen(command + self._options, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if not first:
            raise RuntimeError("the sink did not start")
        self.port = int(first)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.kill()  # every line is in the file before its 250
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def received(self) -> list[Received]:
        """Every mail taken so far, once per recipient, in the order of arrival."""
        return [
            Received(
                recipient=entry["recipient"],
                sender=entry["sender"],
                message_id=entry["message_id"],
                size=entry["size"],
                at=entry["at"],
                mail=entry.get("mail", "").encode("latin-1"),
            )
            for entry in self._entries()
            if "recipient" in entry
        ]

    def counts_by_recipient(self) -> Counter[str]:
        return Counter(entry["recipient"] for entry in self._entries() if "recipient" in entry)

    @property
    def max_connections(self) -> int:
        """The most connections that were open at once."""
        return max((entry.get("peak_connections", 0) for entry in self._entries()), default=0)

    def wait_for(self, count: int, *, timeout_s: float = START_TIMEOUT_S) -> list[Received]:
        """What was received, as soon as it is at least `count`; raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while len(found := self.received()) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} mails arrived within {timeout_s} s")
            time.sleep(POLL_S)
        return found

    def _entries(self) -> list[dict[str, Any]]:
        if not self._out.exists():
            return []
        lines = self._out.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines[:-1]]  # the last is empty, or still being written
