"""Postfix, Exim and OpenSMTPD take what is sent to their domains directly, or refuse it in their words."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dkim
import pytest
from tests.factories import Running, running_node
from tests.flow import jail, receiver
from tests.flow.jail import PAIR_DOMAIN, Exim, Jail, OpenSmtpd
from tests.flow.test_postfix import MAILS
from tests.flow.world import attempts, published, send, status, tried
from tests.sink.dns import DnsServer

from postrider.engine.messages import Status
from postrider.kit.ids import RowId

LACKS = [*receiver.missing(), *jail.missing()]
HOSTS = {"postfix": "127.0.0.1", "exim": "127.0.0.2", "opensmtpd": "127.0.0.3"}
MANY = 120  # of which OpenSMTPD takes a hundred a connection

pytestmark = [
    pytest.mark.long,
    # In CI they must be there: the test fails and says what is not.
    pytest.mark.skipif(bool(LACKS) and os.environ.get("CI") != "true", reason=f"lacks {LACKS}"),
    pytest.mark.parametrize("store_url", ["sqlite"], indirect=True),
]


@pytest.fixture
def postfix() -> Iterator[receiver.Postfix]:
    with receiver.Postfix() as started:
        yield started


@pytest.fixture
def exim(postfix: receiver.Postfix) -> Iterator[Exim]:
    with Exim(HOSTS["exim"], postfix.port) as started:
        yield started


@pytest.fixture
def opensmtpd(postfix: receiver.Postfix) -> Iterator[OpenSmtpd]:
    with OpenSmtpd(HOSTS["opensmtpd"], postfix.port) as started:
        yield started


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    records = {(f"mx.{name}.test", "A"): [ip] for name, ip in HOSTS.items()}
    records |= {
        ("example.com", "MX"): ["10 mx.postfix.test."],
        (Exim.DOMAIN, "MX"): ["10 mx.exim.test."],
        (OpenSmtpd.DOMAIN, "MX"): ["10 mx.opensmtpd.test."],
        (PAIR_DOMAIN, "MX"): ["10 mx.exim.test.", "20 mx.opensmtpd.test."],
        ("foreign.test", "MX"): ["10 mx.exim.test."],
    }
    async with DnsServer(records) as server:
        yield server


@pytest.fixture
async def running(
    store_url: str, tmp_path: Path, dns: DnsServer, postfix: receiver.Postfix
) -> AsyncIterator[Running]:
    async with running_node(
        store_url,
        tmp_path / "data",
        delivery="direct",
        delivery_port=postfix.port,
        delivery_allow_private=True,
        dns_servers=f"127.0.0.1:{dns.address[1]}",
        site_connections=1,
    ) as running:
        yield running


async def test_postfix_takes_all_kinds_of_mail(running: Running, postfix: receiver.Postfix) -> None:
    await assert_takes_everything(running, postfix, "example.com")


async def test_exim_takes_all_kinds_of_mail_encrypted(running: Running, exim: Exim) -> None:
    message_ids = await assert_takes_everything(running, exim, Exim.DOMAIN)
    for message_id in message_ids:
        (attempt,) = await attempts(running, message_id)
        assert (attempt.via, attempt.host, attempt.ip) == ("direct", "mx.exim.test", HOSTS["exim"])
        assert attempt.tls


async def test_opensmtpd_takes_all_kinds_of_mail_though_its_tls_may_fail(
    running: Running, opensmtpd: OpenSmtpd
) -> None:
    await assert_takes_everything(running, opensmtpd, OpenSmtpd.DOMAIN)


async def test_a_connection_is_left_before_its_peer_has_had_enough(
    running: Running, opensmtpd: OpenSmtpd
) -> None:
    message_ids = [await send(running, f"ann@{OpenSmtpd.DOMAIN}") for _ in range(MANY)]
    await asyncio.to_thread(opensmtpd.wait_for, MANY)
    for message_id in message_ids:
        await tried(running, message_id, 1)
        (attempt,) = await attempts(running, message_id)
        assert attempt.outcome == "delivered"
    assert "Too many messages" not in opensmtpd.log()


async def test_what_one_host_puts_off_the_next_one_takes(
    running: Running, exim: Exim, opensmtpd: OpenSmtpd
) -> None:
    message_id = await send(running, f"later@{PAIR_DOMAIN}")
    await asyncio.to_thread(opensmtpd.wait_for, 1)
    await tried(running, message_id, 2)
    made = await attempts(running, message_id)
    assert [(each.host, each.outcome) for each in made] == [
        ("mx.exim.test", "deferred"),
        ("mx.opensmtpd.test", "delivered"),
    ]
    assert await status(running, message_id) is Status.DELIVERED


@pytest.mark.parametrize(
    ("to", "bounce_class"),
    [
        (f"nobody@{Exim.DOMAIN}", "hard"),
        (f"nobody@{OpenSmtpd.DOMAIN}", "hard"),
        ("ann@foreign.test", "block"),
    ],
)
async def test_a_refusal_is_understood(
    running: Running, exim: Exim, opensmtpd: OpenSmtpd, to: str, bounce_class: str
) -> None:
    message_id = await send(running, to)
    await tried(running, message_id, 1)
    (attempt,) = await attempts(running, message_id)
    assert (await status(running, message_id), attempt.bounce_class) == (Status.BOUNCED, bounce_class)
    assert attempt.code in (524, 550)


async def assert_takes_everything(
    running: Running, server: receiver.Postfix | Jail, domain: str
) -> list[RowId]:
    """Every kind of mail arrives at one try, with a signature that dkimpy finds good; answers the ids."""
    records = await published(running)
    message_ids = [
        await send(running, **{**mail, "to": f"Zoë 你好 <ann@{domain}>"}) for mail in MAILS.values()
    ]
    kept = await asyncio.to_thread(server.wait_for, len(MAILS))
    assert len(kept) == len(MAILS)
    for mail in kept:
        assert dkim.verify(mail, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")]), mail
    for message_id in message_ids:
        await tried(running, message_id, 1)
        assert await status(running, message_id) is Status.DELIVERED
    return message_ids
