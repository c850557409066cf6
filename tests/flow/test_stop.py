"""SIGTERM under load: what was answered is kept, what is under way ends, nothing is sent twice afterwards."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.factories import DOMAIN
from tests.flow.crowd import Crowd
from tests.processes import MAILERLOGIC, Postrider, wait_until
from tests.sink.client import Sink

STOPPED_MAX_S = 10.0
OUT_S = 30.0
ADDRESSES = {f"r{number}@example.com" for number in range(400)}
BULK = {
    "from": f"news@{DOMAIN}",
    "subject": "Hello",
    "text": "Hello",
    "recipients": [{"email": address} for address in sorted(ADDRESSES)],
}


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(delay_ms=20) as sink:
        yield sink


@pytest.fixture
def server(store_url: str, tmp_path: Path, sink: Sink) -> Iterator[Postrider]:
    relay = f"smtp://127.0.0.1:{sink.port}"
    with Postrider(store_url, tmp_path, delivery="relay", relay_url=relay, relay_connections=5) as server:
        yield server


@pytest.mark.long
def test_a_stop_under_load_ends_soon_and_loses_and_repeats_nothing(server: Postrider, sink: Sink) -> None:
    crowd = Crowd(server)
    assert server.request("POST", f"{MAILERLOGIC}/bulk-send", BULK).status == 200
    crowd.start()
    sink.wait_for(100)
    began = time.monotonic()
    server.terminate()
    assert server.wait() == 0
    assert time.monotonic() - began < STOPPED_MAX_S
    crowd.stop()
    taken_before_the_start = sink.counts_by_recipient()
    assert (
        server.counts("attempts")["attempts"] == taken_before_the_start.total()
    )  # all that was begun, ended
    server.start()
    wanted = crowd.answered | ADDRESSES
    assert len(taken_before_the_start) < len(wanted)
    wait_until(lambda: wanted <= set(sink.counts_by_recipient()), "all out", timeout_s=OUT_S)
    assert set(sink.counts_by_recipient().values()) == {1}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_stop_waits_for_a_slow_far_end(store_url: str, tmp_path: Path) -> None:
    with Sink(slow_ms=2_000) as sink:
        relay = f"smtp://127.0.0.1:{sink.port}"
        with Postrider(store_url, tmp_path, delivery="relay", relay_url=relay) as server:
            mail = {"from": f"a@{DOMAIN}", "to": "slow@example.com", "subject": "Hi", "text": "Hi"}
            assert server.send(mail).status == 200
            wait_until(lambda: sink.max_connections > 0, "connected", timeout_s=OUT_S)
            server.terminate()
            assert server.wait(STOPPED_MAX_S) == 0
            assert sink.counts_by_recipient() == {"slow@example.com": 1}
            assert server.counts("attempts") == {"attempts": 1}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_second_server_of_the_same_folder_says_so_and_leaves(
    store_url: str, tmp_path: Path, server: Postrider
) -> None:
    second = server.beside()
    assert second.returncode == 1
    assert "another postrider serves" in second.stderr
    assert server.health() == 200
