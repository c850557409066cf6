"""What kill -9 costs an erasure: nothing; asked again, it goes on where it was, and ends complete."""

import contextlib
import http.client
import random
import threading
import time
from pathlib import Path

import pytest
from tests.factories import DOMAIN
from tests.flow.persons import find
from tests.processes import MAILERLOGIC, Answer, Postrider, wait_until

from postrider.db.database import Database

pytestmark = pytest.mark.long

MAILS = 1_000
AT_ONCE = 500
KILLS = 6
UP_MAX_S = 0.3  # before the next kill
ALL_DONE_S = 120.0
ANN = "ann.lee@example.com"


@pytest.mark.timeout(300)
def test_an_erasure_killed_at_random_points_ends_complete(store_url: str, tmp_path: Path) -> None:
    with Postrider(store_url, tmp_path) as server:
        contact_id = known(server)
        mailed(server)
        before = server.counts("messages", "events")
        was_cut = 0
        for _ in range(KILLS):
            asked = threading.Thread(target=asked_in_vain, args=(server, contact_id))
            asked.start()
            time.sleep(random.uniform(0.0, UP_MAX_S))
            server.kill()
            asked.join()
            was_cut += bool(left(server))
            server.start()
        assert was_cut, "it was never cut short"
        wait_until(lambda: erase(server, contact_id).status in (200, 404), "the end", timeout_s=ALL_DONE_S)
        assert left(server) == set()
        after = server.counts("messages", "events")
        assert after["messages"] == before["messages"], "what is counted stays"
        assert after["events"] >= before["events"]
        assert server.counts("captured", "captured_bodies") == {"captured": 0, "captured_bodies": 0}


def known(server: Postrider) -> str:
    said = {"email": ANN, "first_name": "Annabel", "tags": ["vip"]}
    answer = server.request("POST", f"{MAILERLOGIC}/contacts", said)
    assert answer.status == 201, answer.body
    contact_id: str = answer.json["contact"]["id"]
    return contact_id


def mailed(server: Postrider) -> None:
    """All mails were delivered, and what follows from it has followed."""
    mail = {"from": f"shop@{DOMAIN}", "to": ANN, "subject": "For Annabel", "text": "Hello Annabel"}
    for _ in range(MAILS // AT_ONCE):
        answer = server.request("POST", f"{MAILERLOGIC}/batch", {"emails": [mail] * AT_ONCE})
        assert answer.json["queued"] == AT_ONCE, answer.body
    waiting = "SELECT count(*) FROM messages WHERE due_at IS NOT NULL"
    wait_until(lambda: server.scalar(waiting) == 0, "delivered", timeout_s=ALL_DONE_S)
    wait_until(lambda: server.counts("event_tail") == {"event_tail": 0}, "followed", timeout_s=ALL_DONE_S)


def erase(server: Postrider, contact_id: str) -> Answer:
    key = {"Authorization": f"Bearer {server.account.keys['console']}"}
    return server.request("POST", f"/console/v1/contacts/{contact_id}/erase", headers=key)


def asked_in_vain(server: Postrider, contact_id: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        erase(server, contact_id)


def left(server: Postrider) -> set[str]:
    """Where something of Ann stands."""
    database = Database(server.store_url)
    try:
        return database.read_now(find, ANN, "Annabel")
    finally:
        database.close()
