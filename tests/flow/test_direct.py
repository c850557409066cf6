"""Direct delivery through a whole node: sites formed from MX sets, other hosts, what the DNS says."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.factories import Running, running_node
from tests.flow.world import attempts, send, status, tried, until
from tests.sink.client import Sink
from tests.sink.dns import DnsServer, Fault

from postrider.db.database import Tx
from postrider.engine.messages import Status
from postrider.kit.dns import TOTAL_TIMEOUT_S


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(host="127.0.0.2") as sink:
        yield sink


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    records = {
        ("one.test", "MX"): ["10 mx.shared.test."],
        ("two.test", "MX"): ["10 mx.shared.test."],
        ("three.test", "MX"): ["10 dead.test.", "20 mx.shared.test."],
        ("four.test", "MX"): ["10 mx.shared.test.", "20 other.test."],
        ("other.test", "A"): ["127.0.0.4"],
        ("null.test", "MX"): ["0 ."],
        ("mx.shared.test", "A"): ["127.0.0.2"],
        ("dead.test", "A"): ["127.0.0.3"],  # nobody listens there
        ("plain.test", "A"): ["127.0.0.2"],
    }
    async with DnsServer(records, {"silent.test": Fault.SILENT}) as server:
        yield server


@pytest.fixture
async def running(store_url: str, tmp_path: Path, sink: Sink, dns: DnsServer) -> AsyncIterator[Running]:
    async with running_node(
        store_url,
        tmp_path / "data",
        delivery="direct",
        delivery_port=sink.port,
        delivery_allow_private=True,
        dns_servers=f"127.0.0.1:{dns.address[1]}",
    ) as running:
        yield running


def sites(running: Running) -> dict[str, int]:
    """Messages by the name of the site they went to."""

    def read(tx: Tx) -> dict[str, int]:
        rows = tx.execute(
            text(
                """SELECT s.name, count(*) FROM messages m JOIN lanes l ON l.id = m.lane_id
                   JOIN sites s ON s.id = l.site_id GROUP BY s.name"""
            )
        )
        return {row[0]: row[1] for row in rows}

    return running.database.read_now(read)


async def test_domains_with_one_mx_set_are_one_site(running: Running, sink: Sink) -> None:
    first = await send(running, "ann@one.test")
    await tried(running, first, 1)
    second = await send(running, "ben@two.test")
    await tried(running, second, 1)
    assert sites(running) == {"mx:mx.shared.test": 2}
    assert {mail.recipient for mail in sink.received()} == {"ann@one.test", "ben@two.test"}
    (attempt,) = await attempts(running, first)
    assert (attempt.via, attempt.host, attempt.ip) == ("direct", "mx.shared.test", "127.0.0.2")


async def test_a_known_domain_waits_at_its_site_from_the_start(running: Running, dns: DnsServer) -> None:
    await tried(running, await send(running, "ann@one.test"), 1)
    asked = dns.asked["one.test", "MX"]
    await tried(running, await send(running, "cat@one.test"), 1)
    assert (sites(running), dns.asked["one.test", "MX"]) == ({"mx:mx.shared.test": 2}, asked)


async def test_where_the_first_host_is_silent_the_next_takes_the_mail(running: Running, sink: Sink) -> None:
    message_id = await send(running, "ann@three.test")
    await tried(running, message_id, 1)
    assert await status(running, message_id) is Status.DELIVERED
    assert (await attempts(running, message_id))[0].host == "mx.shared.test"


async def test_without_mx_the_domains_own_address_is_asked(running: Running, sink: Sink) -> None:
    message_id = await send(running, "ann@plain.test")
    await tried(running, message_id, 1)
    assert await status(running, message_id) is Status.DELIVERED


@pytest.mark.parametrize(("domain", "enhanced"), [("null.test", "5.1.10"), ("nowhere.test", "5.1.2")])
async def test_a_domain_that_takes_no_mail_bounces_at_once(
    running: Running, domain: str, enhanced: str
) -> None:
    message_id = await send(running, f"ann@{domain}")
    await tried(running, message_id, 1)
    (attempt,) = await attempts(running, message_id)
    assert (await status(running, message_id), attempt.enhanced) == (Status.BOUNCED, enhanced)


@pytest.mark.parametrize("fault", list(Fault))
async def test_a_bad_dns_delays_its_own_domain_only_and_accepting_never(
    running: Running, dns: DnsServer, fault: Fault
) -> None:
    dns.faults["bad.test"] = fault
    started = time.monotonic()
    waiting = [await send(running, f"r{number}@bad.test") for number in range(5)]
    assert time.monotonic() - started < TOTAL_TIMEOUT_S  # one look-up would have taken longer
    message_id = await send(running, "ann@one.test")
    await tried(running, message_id, 1)
    assert await status(running, message_id) is Status.DELIVERED
    assert all([await status(running, each) is not Status.DELIVERED for each in waiting])


async def test_a_silent_dns_defers_its_own_domain_only(running: Running) -> None:
    waiting = await send(running, "ann@silent.test")
    message_id = await send(running, "ann@one.test")
    await tried(running, message_id, 1)
    assert await status(running, message_id) is Status.DELIVERED
    await until(lambda: _is_deferred(running, waiting), "the silent domain's mail is deferred")


async def test_a_temporary_refusal_goes_to_another_host_at_once(running: Running, sink: Sink) -> None:
    with Sink(host="127.0.0.4", port=sink.port):
        message_id = await send(running, "tempfail@four.test")
        await tried(running, message_id, 2)
    assert [each.host for each in await attempts(running, message_id)] == ["mx.shared.test", "other.test"]


async def _is_deferred(running: Running, message_id: bytes) -> bool:
    return await status(running, message_id) is Status.DEFERRED
