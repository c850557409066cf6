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

# The dialect, where its description is, and the header that carries its key.
DIALECTS = [
    ("mailerlogic", "openapi.json", "X-API-Key: {}"),
    ("penguinmails", "openapi.json", "Authorization: Bearer {}"),
    ("nudgecampaign", "v2/openapi.json", "X-API-Key: {}"),
    ("octeth", "openapi.json", "Authorization: Bearer {}"),
    ("console", "openapi.json", "X-API-Key: {}"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postrider]:
    with Postrider("sqlite", tmp_path) as server:
        yield server


@pytest.mark.long
@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize(("dialect", "document", "header"), DIALECTS)
def test_no_request_that_the_description_suggests_is_a_server_error(
    server: Postrider, dialect: str, document: str, header: str
) -> None:
    base_url = f"http://127.0.0.1:{server.http_port}/{dialect}"
    done = subprocess.run(
        [
            PROGRAM, "run", f"{base_url}/{document}", "--url", base_url,
            "--header", header.format(server.account.keys[dialect]),
            "--checks", "not_a_server_error", "--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing",
            "--seed", "1", "--no-color", "--suppress-health-check", "all", "--generation-database", "none",
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S - 30,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
