"""Mail finds the recipient's hosts: a DNS server of our own, and peers on loopback addresses as the hosts."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest
from tests.sink.client import Sink
from tests.sink.dns import DnsServer, Fault, Records
from tests.unit.engine.delivery.factories import make_job, make_mail
from tests.unit.engine.delivery.peers import EHLO, SHORT, Peer, Script, Scripted, scripted

from postrider.engine.delivery import direct as module
from postrider.engine.delivery.classify import BounceClass, Category
from postrider.engine.delivery.direct import Direct, DirectCourier
from postrider.engine.delivery.model import Elsewhere, Job, Outcome, Verdict, Via
from postrider.kit import dns
from postrider.kit.dns import Resolver

SITE = "mx:a.test,b.test"
RECORDS: Records = {
    ("y.test", "MX"): ["10 a.test.", "20 b.test."],
    ("z.test", "MX"): ["10 b.test.", "20 a.test."],
    ("equal.test", "MX"): ["10 a.test.", "10 b.test."],
    ("a.test", "A"): ["127.0.0.2"],
    ("b.test", "A"): ["127.0.0.3"],
    ("c.test", "A"): ["127.0.0.4"],
    ("null.test", "MX"): ["0 ."],
    ("tenant.test", "MX"): ["10 tenant-test.mail.protection.outlook.com."],
    ("tenant-test.mail.protection.outlook.com", "A"): ["127.0.0.2"],
    ("other.test", "MX"): ["10 other-test.mail.protection.outlook.com."],
    ("other-test.mail.protection.outlook.com", "A"): ["127.0.0.3"],
}


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


HAS_IPV6 = _has_ipv6()


def serve(rcpt: bytes = b"250 2.1.5 ok", *, mail: Sequence[bytes] = ()) -> Script:
    """Takes mail after mail; `rcpt` answers every RCPT, `mail` the first MAILs of a connection."""

    async def script(peer: Peer) -> None:
        await peer.greet(b"250-mx\r\n250 SIZE 100000\r\n")
        answers = list(mail)
        while line := await peer.hear():
            match line[:4]:
                case b"MAIL":
                    peer.say((answers.pop(0) if answers else b"250 2.1.0 ok") + b"\r\n")
                case b"RCPT":
                    peer.say(rcpt + b"\r\n")
                case b"DATA":
                    peer.say(b"354 go\r\n")
                    await peer.hear_mail()
                    peer.say(b"250 2.0.0 taken\r\n")
                case b"QUIT":
                    return peer.say(b"221 bye\r\n")
                case _:
                    peer.say(b"250 ok\r\n")
        return None

    return script


def greet(line: bytes) -> Script:
    async def script(peer: Peer) -> None:
        peer.say(line)
        await peer.reader.read()

    return script


async def refuse_ehlo(peer: Peer) -> None:
    peer.say(b"220 mx\r\n")
    await peer.hear(b"EHLO")
    peer.say(b"554 5.7.1 not you\r\n")
    await peer.hear()


@dataclass
class World:
    """A DNS server and the hosts that listen, all on one port; `direct` is what couriers are made of."""

    server: DnsServer
    stack: AsyncExitStack
    direct: Direct
    hosts: dict[str, Scripted] = field(default_factory=dict)

    async def host(self, ip: str, *scripts: Script) -> None:
        """The n-th connection plays the n-th script, all further ones the last."""
        played = [*scripts, *[scripts[-1]] * 200]
        at = await self.stack.enter_async_context(scripted(*played, host=ip, port=self.direct.port))
        self.direct = replace(self.direct, port=at.port)
        self.hosts[ip] = at

    def courier(self, site: str = SITE) -> DirectCourier:
        courier = DirectCourier(self.direct, site)
        self.stack.callback(courier.abort)
        return courier

    def connections(self, ip: str) -> int:
        return len(self.hosts[ip].peers)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(dns, "TRY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(dns, "TOTAL_TIMEOUT_S", 0.3)
    async with DnsServer(RECORDS) as server, AsyncExitStack() as stack:
        direct = Direct("me.example", Resolver([server.address]), port=0, allow_private=True, timeouts=SHORT)
        yield World(server, stack, direct)


async def send(courier: DirectCourier, job: Job) -> Outcome:
    """As an attempt does it."""
    unready = await courier.ready(job)
    assert not isinstance(unready, Elsewhere)
    if unready is not None:
        return unready
    mail = courier.adapt(make_mail())
    assert not isinstance(mail, Outcome)
    return await courier.deliver(job, "b@me.example", mail, [mail.as_bytes()])


async def test_mail_goes_to_the_best_host(world: World) -> None:
    for ip in ("127.0.0.2", "127.0.0.3"):
        await world.host(ip, serve())
    outcome = await send(world.courier(), make_job("ann@y.test"))
    assert (outcome.verdict, outcome.via, outcome.host, outcome.ip, outcome.code) == (
        Verdict.DELIVERED, Via.DIRECT, "a.test", "127.0.0.2", 250,
    )  # fmt: skip
    assert world.connections("127.0.0.3") == 0


@pytest.mark.parametrize(
    "first",
    [None, greet(b""), greet(b"421 busy\r\n"), greet(b"554 5.7.1 no\r\n"), greet(b"HTTP\r\n"), refuse_ehlo],
    ids=["refused", "silent", "421", "554", "no SMTP", "EHLO refused"],
)
async def test_a_host_that_takes_no_mail_is_passed_over(world: World, first: Script | None) -> None:
    await world.host("127.0.0.3", serve())
    if first is not None:
        await world.host("127.0.0.2", first)
    outcome = await send(world.courier(), make_job("ann@y.test"))
    assert (outcome.verdict, outcome.host) == (Verdict.DELIVERED, "b.test")


@pytest.mark.parametrize(
    "addresses",
    [
        {"A": ["127.0.0.8", "127.0.0.9"]},
        pytest.param(
            {"A": ["127.0.0.8"], "AAAA": ["::1"]}, marks=pytest.mark.skipif(not HAS_IPV6, reason="no IPv6")
        ),
    ],
)
async def test_every_address_of_a_host_is_tried(world: World, addresses: dict[str, list[str]]) -> None:
    await world.host("::1" if "AAAA" in addresses else "127.0.0.9", serve())
    world.server.records |= {("a.test", kind): values for kind, values in addresses.items()}
    outcome = await send(world.courier(), make_job("ann@y.test"))
    assert (outcome.verdict, outcome.host) == (Verdict.DELIVERED, "a.test")
    assert outcome.ip == next(iter(world.hosts))


async def test_an_address_that_was_silent_a_moment_ago_is_tried_last(world: World) -> None:
    await world.host("127.0.0.3", serve())
    await world.host("127.0.0.2", greet(b""))
    for _ in range(3):
        outcome = await send(world.courier(), make_job("ann@y.test"))
        assert outcome.host == "b.test"
    assert world.connections("127.0.0.2") == 1


async def test_equal_hosts_share_the_mail(world: World) -> None:
    for ip in ("127.0.0.2", "127.0.0.3"):
        await world.host(ip, serve())
    for _ in range(30):  # all to one: once in 500 million runs
        await send(world.courier(), make_job("ann@equal.test"))
    assert world.connections("127.0.0.2") > 0
    assert world.connections("127.0.0.3") > 0


async def test_the_connection_serves_every_domain_that_has_its_host(world: World) -> None:
    for ip in ("127.0.0.2", "127.0.0.3"):
        await world.host(ip, serve())
    courier = world.courier()
    for domain in ("y.test", "z.test", "equal.test", "y.test"):
        assert (await send(courier, make_job(f"ann@{domain}"))).host == "a.test"
    assert world.connections("127.0.0.2") == 1
    assert world.connections("127.0.0.3") == 0


async def test_a_connection_takes_a_hundred_mails(world: World) -> None:
    await world.host("127.0.0.2", serve())
    courier = world.courier()
    for _ in range(module.DELIVERIES_A_CONNECTION + 1):
        assert (await send(courier, make_job("ann@y.test"))).verdict is Verdict.DELIVERED
    assert world.connections("127.0.0.2") == 2


@pytest.mark.parametrize("answer", [b"421 4.7.0 that is enough", b"452 4.5.3 Too many messages sent"])
async def test_a_peer_that_is_tired_of_a_connection_gets_a_fresh_one(world: World, answer: bytes) -> None:
    await world.host("127.0.0.2", serve(mail=[b"250 ok", answer, answer]))
    courier = world.courier()
    outcomes = [await send(courier, make_job("ann@y.test")) for _ in range(2)]
    assert [outcome.verdict for outcome in outcomes] == [Verdict.DELIVERED, Verdict.DELIVERED]
    assert world.connections("127.0.0.2") == 2


async def test_the_same_answer_on_a_fresh_connection_is_an_answer(world: World) -> None:
    await world.host("127.0.0.2", serve(mail=[b"421 4.7.0 not now"]))
    outcome = await send(world.courier(), make_job("ann@y.test"))
    assert (outcome.verdict, outcome.code, outcome.hosts_left) == (Verdict.DEFERRED, 421, 1)
    assert world.connections("127.0.0.2") == 1


async def test_tls_that_fails_is_done_without(world: World) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(EHLO.replace(b"250 SIZE", b"250-STARTTLS\r\n250 SIZE"))
        if b"STARTTLS" not in await peer.hear():
            peer.say(b"250 ok\r\n")
            await peer.envelope(b"250 ok", b"354 go")
            await peer.hear_mail()
            return peer.say(b"250 ok\r\n")
        return peer.say(b"220 go\r\nthis is no TLS\r\n")

    await world.host("127.0.0.2", script)
    outcome = await send(world.courier(), make_job("ann@y.test"))
    assert (outcome.verdict, outcome.host, outcome.tls) == (Verdict.DELIVERED, "a.test", None)
    assert world.connections("127.0.0.2") == 2


async def test_a_sink_that_dies_is_replaced_by_its_backup_and_sessions_are_encrypted(world: World) -> None:
    with Sink(host="127.0.0.2", tls=True) as first, Sink(host="127.0.0.3", port=first.port) as backup:
        world.direct = replace(world.direct, port=first.port)
        courier = world.courier()
        outcomes = [await send(courier, make_job("ann@y.test")) for _ in range(2)]
        first.stop()
        await asyncio.sleep(0.05)  # until we see it
        outcomes += [await send(courier, make_job("bob@y.test")) for _ in range(2)]
        assert [outcome.host for outcome in outcomes] == ["a.test", "a.test", "b.test", "b.test"]
        assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}
        assert outcomes[0].tls is not None
        assert list(world.direct.context.sessions) == ["a.test"]  # for the next courier's handshake
        assert [mail.recipient for mail in first.received()] == ["ann@y.test"] * 2
        assert [mail.recipient for mail in backup.received()] == ["bob@y.test"] * 2


@pytest.mark.parametrize(
    ("domain", "site", "verdict"),
    [("y.test", SITE, Verdict.DEFERRED), ("a.test", "mx:a.test", Verdict.UNREACHABLE)],
)
async def test_a_host_that_hangs_up_and_is_gone_leaves_the_mail_to_the_next(
    world: World, domain: str, site: str, verdict: Verdict
) -> None:
    async def leave(peer: Peer) -> None:
        await peer.greet(b"250 mx\r\n")
        await peer.hear(b"MAIL")

    await world.host("127.0.0.2", leave, greet(b"421 closing down\r\n"))
    outcome = await send(world.courier(site), make_job(f"ann@{domain}"))
    assert (outcome.verdict, outcome.hosts_left) == (verdict, 1 if domain == "y.test" else 0)
    assert world.connections("127.0.0.2") == 2


async def test_nobody_there_is_the_sites_trouble(world: World) -> None:
    await world.host("127.0.0.9", serve())  # for its port
    outcome = await send(world.courier(), make_job("ann@y.test"))
    assert outcome.verdict is Verdict.UNREACHABLE
    assert outcome.classified is not None
    assert outcome.classified.category is Category.CONNECTION
    assert (outcome.code, outcome.hosts_left) == (None, 0)


async def test_what_a_host_said_is_told_rather_than_anothers_silence(world: World) -> None:
    await world.host("127.0.0.2", greet(b"554 5.7.1 listed by spamhaus\r\n"))
    outcome = await send(world.courier(), make_job("ann@y.test"))
    assert (outcome.verdict, outcome.code, outcome.host) == (Verdict.UNREACHABLE, 554, "a.test")
    assert outcome.back_off_s


@pytest.mark.parametrize("ready_max_s", [0.4, 60])
async def test_dead_hosts_do_not_hold_a_connection_for_long(world: World, ready_max_s: float) -> None:
    names = [f"mx{number}.test" for number in range(10)]
    world.server.records["many.test", "MX"] = [f"{number} {name}." for number, name in enumerate(names)]
    for number, name in enumerate(names):
        world.server.records[name, "A"] = [f"127.0.1.{number + 1}"]
        await world.host(f"127.0.1.{number + 1}", greet(b""))
    world.direct = replace(
        world.direct,
        ready_max_s=ready_max_s,
        timeouts=replace(SHORT, greeting=10 if ready_max_s < 1 else 0.05),
    )
    started = time.monotonic()
    outcome = await send(world.courier("mx:" + ",".join(sorted(names))), make_job("ann@many.test"))
    assert outcome.verdict is Verdict.UNREACHABLE
    assert time.monotonic() - started < 1.5
    tried = sum(world.connections(ip) for ip in world.hosts)
    assert tried == (1 if ready_max_s < 1 else module.ADDRESSES_TRIED_MAX)


async def test_the_second_attempt_goes_to_another_host_whatever_is_open(world: World) -> None:
    await world.host("127.0.0.2", serve(b"451 4.3.0 later"))
    await world.host("127.0.0.3", serve())
    courier, job = world.courier(), make_job("ann@y.test")
    first = await send(courier, job)
    assert (first.verdict, first.host, first.hosts_left) == (Verdict.DEFERRED, "a.test", 1)
    second = await send(courier, again(job))
    assert (second.verdict, second.host) == (Verdict.DELIVERED, "b.test")


async def test_the_second_attempt_skips_the_host_it_met_on_an_open_connection(world: World) -> None:
    await world.host("127.0.0.2", serve(b"451 4.3.0 later"))
    await world.host("127.0.0.3", serve())
    courier, job = world.courier(), make_job("bob@z.test")  # its best host is the other one
    await send(courier, make_job("ann@y.test"))
    first = await send(courier, job)
    assert (first.host, first.hosts_left) == ("a.test", 1)
    second = await send(world.courier(), again(job))
    assert (second.verdict, second.host) == (Verdict.DELIVERED, "b.test")


async def test_a_second_attempt_in_another_process_begins_with_the_next_host(world: World) -> None:
    for ip in ("127.0.0.2", "127.0.0.3"):
        await world.host(ip, serve())
    courier = world.courier()
    assert (await send(courier, make_job("ann@y.test"))).host == "a.test"
    assert (await send(courier, again(make_job("bob@y.test")))).host == "b.test"


async def test_another_host_that_is_silent_leaves_the_mail_deferred_and_the_site_awake(world: World) -> None:
    await world.host("127.0.0.2", serve(b"451 4.3.0 later"))
    courier, job = world.courier(), make_job("ann@y.test")
    await send(courier, job)
    second = await send(courier, again(job))
    assert (second.verdict, second.host, second.code) == (Verdict.DEFERRED, "b.test", None)
    assert world.connections("127.0.0.2") == 1


async def test_a_host_that_was_silent_a_moment_ago_is_not_worth_the_second_attempt(world: World) -> None:
    await world.host("127.0.0.3", serve(b"451 4.3.0 later"))
    courier = world.courier()
    outcomes = [await send(courier, make_job("ann@y.test")) for _ in range(2)]
    assert [(each.host, each.hosts_left) for each in outcomes] == [("b.test", 0), ("b.test", 0)]
    assert world.connections("127.0.0.3") == 1


async def test_a_refusal_at_the_greeting_of_the_other_host_does_not_bounce_the_mail(world: World) -> None:
    await world.host("127.0.0.2", serve(b"451 4.3.0 later"))
    await world.host("127.0.0.3", greet(b"554 5.7.1 go away\r\n"))
    courier, job = world.courier(), make_job("ann@y.test")
    await send(courier, job)
    second = await send(courier, again(job))
    assert (second.verdict, second.code) == (Verdict.DEFERRED, 554)
    assert second.classified is not None
    assert second.classified.verdict.value == "deferred"
    assert second.bounce_class is None


async def test_a_single_host_is_tried_again(world: World) -> None:
    await world.host("127.0.0.4", serve(b"451 4.3.0 later"))
    courier, job = world.courier("mx:c.test"), make_job("ann@c.test")
    first, second = await send(courier, job), await send(courier, again(job))
    assert (first.hosts_left, second.hosts_left) == (0, 0)
    assert second.host == "c.test"


async def test_one_silent_tenant_does_not_rest_a_receiver_of_many(world: World) -> None:
    await world.host("127.0.0.3", serve())
    courier = world.courier("mx:microsoft")
    assert (await send(courier, make_job("ann@tenant.test"))).verdict is Verdict.UNREACHABLE
    assert (await send(courier, make_job("ann@other.test"))).verdict is Verdict.DELIVERED
    assert (await send(courier, make_job("ann@tenant.test"))).verdict is Verdict.DEFERRED


@pytest.mark.parametrize(
    ("to", "verdict", "bounce_class", "code"),
    [
        ("ann@null.test", Verdict.BOUNCED, BounceClass.HARD, 556),
        ("ann@nowhere.invalid", Verdict.BOUNCED, BounceClass.HARD, 550),
        ("ann@[127.0.0.2]", Verdict.BOUNCED, BounceClass.HARD, 550),
        ("ann@broken.test", Verdict.DEFERRED, None, None),
        ("ann@y.test", Verdict.FAILED, None, 550),
    ],
)
async def test_a_domain_without_a_way_is_an_outcome(
    world: World, to: str, verdict: Verdict, bounce_class: BounceClass | None, code: int | None
) -> None:
    world.server.faults["broken.test"] = Fault.SILENT
    world.direct = replace(world.direct, allow_private=False)
    outcome = await send(world.courier("mx:?" + to.partition("@")[2]), make_job(to))
    assert (outcome.verdict, outcome.bounce_class, outcome.code) == (verdict, bounce_class, code)
    assert (outcome.host, outcome.hosts_left) == (None, 0)
    assert outcome.reply


async def test_mail_of_another_site_is_sent_there_and_the_connection_stays(world: World) -> None:
    await world.host("127.0.0.2", serve())
    courier = world.courier()
    await send(courier, make_job("ann@y.test"))
    assert await courier.ready(make_job("ann@c.test")) == Elsewhere("mx:c.test")
    assert await world.courier("mx:?y.test").ready(make_job("ann@y.test")) == Elsewhere(SITE)
    await send(courier, make_job("ann@y.test"))
    assert world.connections("127.0.0.2") == 1


async def test_a_domain_whose_hosts_change_with_every_look_is_not_sent_around_for_ever(world: World) -> None:
    await world.host("127.0.0.4", serve())
    site, moves = "mx:?rolling.test", 0
    for number in range(20):
        world.server.records["rolling.test", "MX"] = ["10 c.test.", f"20 x{number}.test."]
        await world.direct.resolver.mx("rolling.test", fresh=True)
        world.direct = replace(world.direct, routes=module.Lately(0))
        found = await world.courier(site).ready(make_job("ann@rolling.test"))
        if not isinstance(found, Elsewhere):
            break
        site, moves = found.site, moves + 1
    assert found is None
    assert moves == 1 + module.SITE_CHANGES_MAX


@pytest.mark.parametrize(("received", "is_taken"), [(50, True), (51, False)])
async def test_mail_that_has_passed_too_many_servers_is_refused_for_good(
    world: World, received: int, is_taken: bool
) -> None:
    await world.host("127.0.0.2", serve())
    courier = world.courier()
    assert await courier.ready(make_job("ann@y.test")) is None
    line = ("RECEIVED", b"RECEIVED: from a by b; Mon, 1 Jan 2024 00:00:00 +0000")
    adapted = courier.adapt(make_mail(line for _ in range(received)))
    assert isinstance(adapted, Outcome) is not is_taken
    if isinstance(adapted, Outcome):
        assert (adapted.verdict, adapted.enhanced) == (Verdict.FAILED, "5.4.6")


def test_what_is_remembered_is_forgotten_in_time_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "KEPT_MAX", 3)
    lately: module.Lately[str, int] = module.Lately(10)
    for number, name in enumerate("abacd"):
        lately.put(name, number)
    assert [lately.get(name) for name in "abcd"] == [2, None, 3, 4]
    now[0] = 10.0
    assert lately.get("d") is None


def again(job: Job) -> Job:
    """The same message after one attempt."""
    return replace(job, claimed=replace(job.claimed, attempts=1))
