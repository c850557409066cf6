"""Schemathesis draws requests from each dialect's own description: none is answered with a server error."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.processes import Postrider

PROGRAM = str(Path(sys.executable).with_name("schemathesis"))
EXAMPLES = 25  # an operation and phase
TIMEOUT_S = 600

# The dialect, what its paths stand under, and the header that carries its key.
DIALECTS = [
    ("mailerlogic", "mailerlogic", "X-API-Key: {}"),
    ("penguinmails", "penguinmails", "Authorization: Bearer {}"),
    ("nudgecampaign", "nudgecampaign/v2", "X-API-Key: {}"),
    ("octeth", "octeth", "Authorization: Bearer {}"),
    ("console", "console", "X-API-Key: {}"),
]
NOT_REACHED = "may be missing a path"  # what schemathesis says where all it asked for was answered 404


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postrider]:
    with Postrider("sqlite", tmp_path) as server:
        yield server


@pytest.mark.long
@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize(("dialect", "under", "header"), DIALECTS)
def test_no_request_that_the_description_suggests_is_a_server_error(
    server: Postrider, tmp_path: Path, dialect: str, under: str, header: str
) -> None:
    base_url = f"http://127.0.0.1:{server.http_port}/{under}"
    done = subprocess.run(
        [
            PROGRAM, "run", f"{base_url}/openapi.json", "--url", base_url,
            "--header", header.format(server.account.keys[dialect]),
            "--checks", "not_a_server_error", "--max-examples", str(EXAMPLES),
            "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color",
            "--suppress-health-check", "all", "--generation-database", "none",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S - 30,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    assert NOT_REACHED not in done.stdout, done.stdout[-4_000:]
