"""What kill -9 costs: nothing that was answered, and one repeat at most for each connection that was open."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.factories import DOMAIN
from tests.flow.crowd import SENDERS, Crowd
from tests.processes import MAILERLOGIC, Postrider, wait_until
from tests.sink.client import Sink

pytestmark = pytest.mark.long

RECIPIENTS = 10_000
KILLS = 10
CONNECTIONS = 10
UP_MAX_S = 2.0  # before the next kill
PACE_MS = 20  # so that ten connections need longer than all the times between the kills
ALL_OUT_S = 60.0
QUIET_S = 3.0


@pytest.mark.timeout(400)
def test_a_bulk_send_killed_ten_times_reaches_everybody(store_url: str, tmp_path: Path) -> None:
    moments = random.Random(f"{time.time_ns()}")
    with Sink(delay_ms=PACE_MS) as sink, relaying(store_url, tmp_path, sink) as server:
        queued = server.request("POST", f"{MAILERLOGIC}/bulk-send", bulk())
        assert (queued.status, queued.json["queued"]) == (200, RECIPIENTS)
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.05, UP_MAX_S))
            server.kill()
            server.start()
        killed_last = len(sink.received())
        wait_until(lambda: len(sink.counts_by_recipient()) == RECIPIENTS, "all out", timeout_s=ALL_OUT_S)
        time.sleep(QUIET_S)
        received = sink.counts_by_recipient()
        assert set(received) == {f"r{number}@example.com" for number in range(RECIPIENTS)}
        assert received.total() - RECIPIENTS <= KILLS * CONNECTIONS
        assert killed_last < RECIPIENTS, "the kills came too late to prove anything"
        time.sleep(QUIET_S)
        assert sink.counts_by_recipient() == received


@pytest.mark.timeout(300)
def test_a_single_send_answered_200_is_delivered_whatever_is_killed(store_url: str, tmp_path: Path) -> None:
    with Sink() as sink, relaying(store_url, tmp_path, sink) as server:
        crowd = Crowd(server)
        crowd.start()
        for _ in range(5):
            time.sleep(random.uniform(0.3, 1.0))
            server.kill()
            server.start()
        crowd.stop()
        assert len(crowd.answered) > SENDERS
        wait_until(lambda: crowd.answered <= set(sink.counts_by_recipient()), "all out", timeout_s=ALL_OUT_S)
        time.sleep(QUIET_S)
        received: Counter[str] = sink.counts_by_recipient()
        assert received.total() - len(received) <= 5 * CONNECTIONS


def relaying(store_url: str, folder: Path, sink: Sink) -> Postrider:
    return Postrider(
        store_url,
        folder,
        delivery="relay",
        relay_url=f"smtp://127.0.0.1:{sink.port}",
        relay_connections=CONNECTIONS,
    )


def bulk() -> dict[str, object]:
    return {
        "from": f"news@{DOMAIN}",
        "subject": "Hello {{name}}",
        "html": "<p>Hello {{name}}</p>",
        "recipients": [
            {"email": f"r{number}@example.com", "vars": {"name": f"Ann {number}"}}
            for number in range(RECIPIENTS)
        ],
    }
