"""Processes of a bench: free ports, the CPU and memory of a whole tree, waiting with a limit."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
POLL_S = 0.02


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(*roots: int) -> float:
    """User and system CPU of these processes and all below them, those that ended included."""
    return sum(_cpu_ticks(pid) for pid in _tree(roots)) / TICKS_PER_S


def resident_mib(*roots: int) -> float:
    """Memory of their own of these processes and all below: mapped pages of files are the system's cache."""
    pages = 0
    for pid in _tree(roots):
        resident, shared = (int(word) for word in (_read(f"/proc/{pid}/statm") or "0 0 0").split()[1:3])
        pages += resident - shared
    return pages * PAGE_BYTES / 2**20


def wait_until(is_so: Callable[[], bool], what: str, *, timeout_s: float) -> None:
    """Poll until `is_so()`; raises TimeoutError that names `what`."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(POLL_S)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _tree(roots: tuple[int, ...]) -> set[int]:
    found, fresh = set(roots), list(roots)
    while fresh:
        pid = fresh.pop()
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            children = {int(child) for child in _read(str(task)).split()} - found
            found |= children
            fresh += children
    return found


def _cpu_ticks(pid: int) -> int:
    # Fields 14 to 17 of proc(5): own user and system time, and that of children already waited for.
    text = _read(f"/proc/{pid}/stat")
    return sum(int(field) for field in text.rpartition(")")[2].split()[11:15])


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return ""
