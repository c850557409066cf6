"""Says whether the services that tests use answer: `python -m tools.services`; in CI (CI=true) they must."""

import os
import socket
import sys
import time
from urllib.parse import urlsplit

import psycopg

WAIT_S = 30.0
PAUSE_S = 0.5
TIMEOUT_S = 2
POSTGRESQL = os.environ.get("POSTRIDER_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/test")
REDIS = os.environ.get("POSTRIDER_TEST_REDIS_URL", "redis://127.0.0.1:6379")


def main() -> int:
    must = os.environ.get("CI") == "true"
    ends = time.monotonic() + (WAIT_S if must else 0)
    faults = _faults()
    while faults and time.monotonic() < ends:
        time.sleep(PAUSE_S)
        faults = _faults()
    for name, fault in faults.items():
        print(f"{name} does not answer: {fault}", file=sys.stderr)
    return 1 if faults and must else 0


def _faults() -> dict[str, str]:
    faults: dict[str, str] = {}
    try:
        psycopg.connect(POSTGRESQL, connect_timeout=TIMEOUT_S).close()
    except psycopg.Error as fault:
        faults["PostgreSQL"] = str(fault).strip().splitlines()[0]
    try:
        _ping_redis()
    except OSError as fault:
        faults["Redis"] = str(fault)
    return faults


def _ping_redis() -> None:
    parts = urlsplit(REDIS)
    with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), TIMEOUT_S) as link:
        link.sendall(b"PING\r\n")
        said = link.recv(64)
    if said != b"+PONG\r\n" and not said.startswith(b"-NOAUTH"):
        raise OSError(f"answered {said!r}")


if __name__ == "__main__":
    sys.exit(main())
