"""The store is full, locked or gone: what is refused, that nothing is half kept, that all works after it."""

import random
import smtplib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.conftest import STORES
from tests.factories import DOMAIN
from tests.flow import trouble
from tests.processes import MAILERLOGIC, Postrider, wait_until
from tests.sink.client import Sink

TABLES = ("messages", "contents", "content_bodies", "idempotency_keys", "jobs", "job_pages")
MAIL = {"from": f"shop@{DOMAIN}", "to": "ann@example.com", "subject": "Hello", "text": "Hello"}
RAW = f"From: shop@{DOMAIN}\r\nTo: ann@example.com\r\nSubject: Hello\r\n\r\nHello\r\n"
MANY = 300
BULK = {
    "from": f"shop@{DOMAIN}",
    "subject": "Hello",
    "text": "Hello",
    "recipients": [{"email": f"r{number}@example.com"} for number in range(MANY)],
}
DISK_BYTES = 64 * 1024 * 1024
TROUBLE_S = 3.0
BACK_S = 20.0
CUTS = 15

SQLITE, POSTGRESQL = (pytest.mark.parametrize("store_url", [kind], indirect=True) for kind in STORES)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(delay_ms=20) as sink:
        yield sink


@pytest.mark.long
@SQLITE
def test_a_locked_database_refuses_and_then_takes_mail_again(
    store_url: str, tmp_path: Path, sink: Sink
) -> None:
    with relaying(store_url, tmp_path, sink) as server:
        before = server.counts(*TABLES)
        with trouble.locked(server.store_url):
            assert_refuses(server)
            assert server.health() == 200  # what is kept can still be read
        assert server.counts(*TABLES) == before
        assert_works_again(server, sink)


@SQLITE
def test_a_full_disk_refuses_and_then_takes_mail_again(store_url: str, tmp_path: Path, sink: Sink) -> None:
    with (
        trouble.small_disk(tmp_path / "data", DISK_BYTES) as disk,
        relaying(store_url, tmp_path, sink) as server,
    ):
        before = server.counts(*TABLES)
        with trouble.full(disk):
            wait_until(lambda: server.send(MAIL).status == 503, "the disk is full", timeout_s=BACK_S)
            taken = server.counts(*TABLES)
            assert_refuses(server)
            assert server.counts(*TABLES) == taken
        assert before["messages"] <= taken["messages"]
        assert_works_again(server, sink)


@POSTGRESQL
def test_a_lost_postgresql_refuses_and_then_takes_mail_again(
    store_url: str, tmp_path: Path, sink: Sink
) -> None:
    with relaying(store_url, tmp_path, sink) as server:
        before = server.counts(*TABLES)
        with trouble.lost(server.store_url):
            assert_refuses(server)
            assert server.health() == 503
            assert server.request("GET", "/metrics").status == 503
        assert server.counts(*TABLES) == before
        assert_works_again(server, sink)


@pytest.mark.long
def test_mail_on_its_way_when_the_store_goes_away_arrives(store_url: str, tmp_path: Path, sink: Sink) -> None:
    with relaying(store_url, tmp_path, sink) as server:
        assert server.request("POST", f"{MAILERLOGIC}/bulk-send", BULK).status == 200
        sink.wait_for(MANY // 10)
        for _ in range(2):
            with taken_away(server):
                time.sleep(TROUBLE_S)
            wait_until(lambda: server.health() == 200, "healthy again", timeout_s=BACK_S)
            time.sleep(0.2)
        wait_until(lambda: len(sink.counts_by_recipient()) == MANY, "all out", timeout_s=BACK_S)
        assert sink.counts_by_recipient().total() == MANY
        wait_until(lambda: server.counts("attempts") == {"attempts": MANY}, "all settled", timeout_s=BACK_S)


@POSTGRESQL
def test_mail_whose_loading_failed_goes_back_and_out(store_url: str, tmp_path: Path, sink: Sink) -> None:
    with relaying(store_url, tmp_path, sink) as server:
        with trouble.unreadable(server.store_url, "dkim_keys") as end_waiting:
            assert server.request("POST", f"{MAILERLOGIC}/bulk-send", BULK).status == 200
            wait_until(lambda: end_waiting() > 0, "claimed and loading", timeout_s=BACK_S)
        wait_until(lambda: len(sink.counts_by_recipient()) == MANY, "all out", timeout_s=BACK_S)


@pytest.mark.long
@POSTGRESQL
def test_connections_cut_at_random_moments_leave_no_mail_behind(
    store_url: str, tmp_path: Path, sink: Sink
) -> None:
    with relaying(store_url, tmp_path, sink) as server:
        assert server.request("POST", f"{MAILERLOGIC}/bulk-send", BULK).status == 200
        for _ in range(CUTS):
            time.sleep(random.uniform(0.2, 1.2))
            trouble.cut(server.store_url)
        wait_until(lambda: len(sink.counts_by_recipient()) == MANY, "all out", timeout_s=BACK_S)
        wait_until(lambda: server.counts("attempts") == {"attempts": MANY}, "all settled", timeout_s=BACK_S)


def taken_away(server: Postrider) -> AbstractContextManager[None]:
    if server.store_url.startswith("sqlite"):
        return trouble.unable_to_write(server.pid)
    return trouble.lost(server.store_url)


def relaying(store_url: str, folder: Path, sink: Sink) -> Postrider:
    return Postrider(
        store_url,
        folder,
        delivery="relay",
        relay_url=f"smtp://127.0.0.1:{sink.port}",
        relay_connections=5,
    )


def assert_refuses(server: Postrider) -> None:
    """Every way in says: later."""
    key = {"Idempotency-Key": "one"}
    for operation, body in (("send", MAIL), ("bulk-send", BULK), ("batch", {"emails": [MAIL, MAIL]})):
        answer = server.request("POST", f"{MAILERLOGIC}/{operation}", body, key)
        assert (answer.status, answer.json["error"]) == (503, "service_unavailable"), operation
    assert submit(server) in (451, 454)


def assert_works_again(server: Postrider, sink: Sink) -> None:
    """Without a restart, and with the idempotency key that was refused."""
    wait_until(lambda: server.health() == 200, "healthy again", timeout_s=BACK_S)
    wait_until(lambda: server.send(MAIL).status == 200, "accepting again", timeout_s=BACK_S)
    again = server.request("POST", f"{MAILERLOGIC}/send", MAIL, {"Idempotency-Key": "one"})
    assert (again.status, submit(server)) == (200, 250)
    taken = server.counts("messages")["messages"]
    wait_until(lambda: len(sink.received()) == taken, "delivering again", timeout_s=BACK_S)


def submit(server: Postrider) -> int:
    """Hand one mail in over SMTP; answers the code of the last reply."""
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=30) as client:
        client.starttls()
        try:
            client.login(server.account.smtp_username, server.account.smtp_password)
            client.sendmail(f"shop@{DOMAIN}", ["ann@example.com"], RAW)
        except smtplib.SMTPResponseException as refusal:
            return refusal.smtp_code
    return 250
