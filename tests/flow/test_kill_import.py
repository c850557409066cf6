"""What kill -9 costs an import and an export: no row is skipped and none comes twice."""

import csv
import io
import json
import random
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.processes import Postrider, wait_until

pytestmark = pytest.mark.long

ROWS = 20_000
BAD_EVERY = 100  # rows
KILLS = 8
UP_MAX_S = 1.5  # before the next kill
ALL_DONE_S = 240.0
PATH = "/nudgecampaign/v2/contacts"


@pytest.mark.timeout(500)
def test_an_import_killed_at_random_points_keeps_each_row_once(store_url: str, tmp_path: Path) -> None:
    with Postrider(store_url, tmp_path) as server:
        import_id = taken(server)
        for _ in range(KILLS):
            time.sleep(random.uniform(0.05, UP_MAX_S))
            server.kill()
            server.start()
        wait_until(
            lambda: progress(server, f"import/{import_id}")["status"] != "processing",
            "the import",
            timeout_s=ALL_DONE_S,
        )
        told = progress(server, f"import/{import_id}")
        assert (told["status"], told["total"]) == ("completed", ROWS)
        assert (told["succeeded"], told["failed"]) == (ROWS - ROWS // BAD_EVERY, ROWS // BAD_EVERY)
        assert server.counts("contacts", "contact_tags", "import_errors") == {
            "contacts": told["succeeded"],
            "contact_tags": 2 * told["succeeded"],
            "import_errors": told["failed"],
        }
        created = server.scalar("SELECT count(*) FROM events WHERE kind = 20")
        assert created == told["succeeded"]
        assert server.scalar("SELECT sum(contacts) FROM tags") == 2 * told["succeeded"]
        assert exported(server) == {f"user{n}@example.com" for n in range(ROWS) if (n + 1) % BAD_EVERY}
        assert not list((tmp_path / "data" / "imports").iterdir())


def exported(server: Postrider) -> set[str]:
    """The addresses in an export that is killed too; each stands there once."""
    answer = httpx2.post(url(server, "export"), headers=key(server), json={"fields": ["email", "tags"]})
    export_id = answer.json()["data"]["export_id"]
    for _ in range(3):
        time.sleep(random.uniform(0.0, 0.4))
        server.kill()
        server.start()
    wait_until(
        lambda: progress(server, f"export/{export_id}")["status"] != "processing",
        "the export",
        timeout_s=ALL_DONE_S,
    )
    body = httpx2.get(url(server, f"export/{export_id}/download"), headers=key(server), timeout=30).text
    header, *rows = csv.reader(io.StringIO(body, newline=""))
    assert header == ["email", "tags"]
    addresses = [row[0] for row in rows]
    assert len(addresses) == len(set(addresses))
    return set(addresses)


def taken(server: Postrider) -> str:
    lines = [
        f"nobody{n},Ann,Bonn,a;b\n" if (n + 1) % BAD_EVERY == 0 else f"user{n}@example.com,Ann {n},Bonn,a;b\n"
        for n in range(ROWS)
    ]
    mapping = {"email": 0, "first_name": 1, "custom_fields.city": 2, "tags": 3}
    answer = httpx2.post(
        url(server, "import"),
        headers=key(server),
        files={"file": ("contacts.csv", "".join(["email,name,city,tags\n", *lines]))},
        data={"mapping": json.dumps(mapping)},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    import_id: str = answer.json()["data"]["import_id"]
    return import_id


def progress(server: Postrider, path: str) -> dict[str, Any]:
    data: dict[str, Any] = httpx2.get(url(server, path), headers=key(server), timeout=30).json()["data"]
    return data


def url(server: Postrider, path: str) -> str:
    return f"http://127.0.0.1:{server.http_port}{PATH}/{path}"


def key(server: Postrider) -> dict[str, str]:
    return {"X-API-Key": server.account.keys["nudgecampaign"]}
