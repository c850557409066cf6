"""Where a domain's mail goes, asked of a DNS server of our own, with and without its faults."""

import time

import pytest
from tests.sink.dns import DnsServer, Fault, Records

from postrider.engine.delivery.classify import BounceClass, Category, Verdict, classify
from postrider.engine.delivery.mx import ADDRESSES_MAX, HOSTS_MAX, NoRoute, Route, resolve
from postrider.engine.delivery.smtp import Stage
from postrider.kit import dns
from postrider.kit.dns import Resolver

US = "out.postrider.example"
TWO: Records = {
    ("y.test", "MX"): ["20 b.y.test.", "10 A.Y.TEST."],
    ("a.y.test", "A"): ["8.8.4.1"],
    ("a.y.test", "AAAA"): ["2606:4700::1"],
    ("b.y.test", "A"): ["8.8.4.2"],
}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "TRY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(dns, "TOTAL_TIMEOUT_S", 0.4)


async def _resolve(
    server: DnsServer, domain: str = "y.test", *, us: str = US, private: bool = False
) -> Route | NoRoute:
    return await resolve(domain, Resolver([server.address]), our_hostname=us, allow_private=private)


async def _route(server: DnsServer, domain: str = "y.test", *, us: str = US, private: bool = False) -> Route:
    route = await _resolve(server, domain, us=us, private=private)
    assert isinstance(route, Route), route
    return route


async def _refusal(
    server: DnsServer, domain: str = "y.test", *, us: str = US, private: bool = False
) -> NoRoute:
    refusal = await _resolve(server, domain, us=us, private=private)
    assert isinstance(refusal, NoRoute), refusal
    return refusal


def _names(route: Route) -> list[list[str]]:
    return [[host.name for host in group] for group in route.groups]


def _meaning(refusal: NoRoute) -> tuple[Verdict, BounceClass | None, Category]:
    found = classify(refusal.code, refusal.enhanced, refusal.text, Stage.CONNECT)
    assert found.back_off_s is None
    return found.verdict, found.bounce_class, found.category


async def test_hosts_come_by_preference_with_both_kinds_of_address() -> None:
    async with DnsServer(TWO) as server:
        route = await _route(server, "Y.test.")
    assert (route.domain, route.names, _names(route)) == (
        "y.test",
        ("a.y.test", "b.y.test"),
        [["a.y.test"], ["b.y.test"]],
    )
    assert [host.addresses for host in route.hosts] == [("8.8.4.1", "2606:4700::1"), ("8.8.4.2",)]


async def test_equal_hosts_stay_together() -> None:
    records = {**TWO, ("y.test", "MX"): ["10 b.y.test.", "10 a.y.test.", "5 c.y.test."]}
    async with DnsServer({**records, ("c.y.test", "A"): ["8.8.4.3"]}) as server:
        assert _names(await _route(server)) == [["c.y.test"], ["a.y.test", "b.y.test"]]


async def test_a_host_that_is_named_twice_counts_once_at_its_best() -> None:
    records = {**TWO, ("y.test", "MX"): ["30 a.y.test.", "20 b.y.test.", "10 a.y.test."]}
    async with DnsServer(records) as server:
        assert _names(await _route(server)) == [["a.y.test"], ["b.y.test"]]


async def test_a_domain_without_mx_is_its_own_mail_host() -> None:
    async with DnsServer({("y.test", "AAAA"): ["2606:4700::1"], ("y.test", "TXT"): ["x"]}) as server:
        route = await _route(server)
    assert _names(route) == [["y.test"]]
    assert route.hosts[0].addresses == ("2606:4700::1",)


async def test_a_cname_is_followed_to_its_mail_hosts() -> None:
    async with DnsServer({**TWO, ("z.test", "CNAME"): ["y.test."]}) as server:
        assert _names(await _route(server, "z.test")) == [["a.y.test"], ["b.y.test"]]


async def test_the_null_mx_takes_no_mail() -> None:
    async with DnsServer({("y.test", "MX"): ["0 ."], ("y.test", "A"): ["8.8.4.1"]}) as server:
        refusal = await _refusal(server)
    assert (refusal.code, refusal.enhanced) == (556, "5.1.10")
    assert _meaning(refusal) == (Verdict.BOUNCED, BounceClass.HARD, Category.DOMAIN_INVALID)


async def test_a_null_mx_beside_real_ones_is_nonsense_and_dropped() -> None:
    async with DnsServer({**TWO, ("y.test", "MX"): ["0 .", "10 a.y.test."]}) as server:
        assert _names(await _route(server)) == [["a.y.test"]]


@pytest.mark.parametrize(
    ("records", "enhanced"),
    [
        ({("other.test", "A"): ["8.8.4.1"]}, "5.1.2"),
        ({("y.test", "TXT"): ["neither MX nor address"]}, "5.4.4"),
        ({("y.test", "MX"): ["10 gone.y.test."]}, "5.4.4"),
        (
            {("y.test", "MX"): ["10 192.0.2.1.", "10 mx-.y.test.", "10 localhost.", "10 a\\032b.test."]},
            "5.4.4",
        ),
    ],
    ids=["no such domain", "no records", "no such host", "nonsense"],
)
async def test_what_the_dns_says_is_not_there_is_refused_for_good(records: Records, enhanced: str) -> None:
    async with DnsServer(records) as server:
        refusal = await _refusal(server)
    assert (refusal.code, refusal.enhanced) == (550, enhanced)
    assert _meaning(refusal) == (Verdict.BOUNCED, BounceClass.HARD, Category.DOMAIN_INVALID)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("place", [("y.test", "MX"), "y.test"], ids=["MX", "all"])
async def test_what_the_dns_cannot_say_is_tried_again(fault: Fault, place: object) -> None:
    async with DnsServer({("y.test", "A"): ["8.8.4.1"]}, {place: fault}) as server:
        started = time.monotonic()
        refusal = await _refusal(server)
    assert (refusal.code, refusal.enhanced) == (None, "4.4.3")
    assert _meaning(refusal) == (Verdict.DEFERRED, None, Category.CONNECTION)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("fault", list(Fault))
async def test_a_host_that_cannot_be_looked_up_leaves_the_others(fault: Fault) -> None:
    async with DnsServer(TWO, {"a.y.test": fault}) as server:
        route = await _route(server)
    assert _names(route) == [["b.y.test"]]
    assert route.names == ("a.y.test", "b.y.test"), "the site must not depend on what could be looked up"


async def test_one_kind_of_address_is_enough() -> None:
    async with DnsServer(TWO, {("a.y.test", "AAAA"): Fault.SERVFAIL}) as server:
        assert [host.addresses for host in (await _route(server)).hosts] == [("8.8.4.1",), ("8.8.4.2",)]


async def test_hosts_of_which_nothing_is_known_are_asked_again_later() -> None:
    records = {("y.test", "MX"): ["10 a.y.test.", "20 gone.y.test."]}
    async with DnsServer(records, {("a.y.test", "A"): Fault.SERVFAIL}) as server:
        assert (await _refusal(server)).enhanced == "4.4.3"


async def test_mail_hosts_that_are_cnames_of_each_other_end() -> None:
    records = {
        ("y.test", "MX"): ["10 a.y.test."],
        ("a.y.test", "CNAME"): ["b.y.test."],
        ("b.y.test", "CNAME"): ["a.y.test."],
    }
    async with DnsServer(records) as server:
        assert (await _refusal(server)).enhanced in ("4.4.3", "5.4.4")


@pytest.mark.parametrize(
    ("preferences", "left"),
    [((10, 20, 30), ["a.y.test"]), ((20, 20, 10), ["b.y.test"]), ((20, 30, 10), ["b.y.test", "a.y.test"])],
)
async def test_we_drop_out_with_all_that_are_not_better(
    preferences: tuple[int, int, int], left: list[str]
) -> None:
    values = [
        f"{preference} {host}."
        for preference, host in zip(preferences, ("a.y.test", US, "b.y.test"), strict=True)
    ]
    async with DnsServer({**TWO, ("y.test", "MX"): values}) as server:
        route = await _route(server, us=f"{US.upper()}.")
    assert [host.name for host in route.hosts] == left
    assert route.names == tuple(sorted(left))


@pytest.mark.parametrize(
    "records",
    [{("y.test", "MX"): [f"10 {US}.", "10 a.y.test.", "20 b.y.test."]}, {("y.test", "A"): ["8.8.4.1"]}],
)
async def test_where_we_are_the_best_host_the_mail_loops(records: Records) -> None:
    async with DnsServer(records) as server:
        refusal = await _refusal(server, us=US if ("y.test", "MX") in records else "y.test")
    assert (refusal.code, refusal.enhanced) == (550, "5.4.6")
    assert _meaning(refusal) == (Verdict.FAILED, None, Category.PROTOCOL)


async def test_private_addresses_are_dropped_unless_they_are_allowed() -> None:
    records = {
        ("y.test", "MX"): ["10 a.y.test.", "20 b.y.test."],
        ("a.y.test", "A"): ["10.0.0.1", "127.0.0.1", "169.254.169.254"],
        ("a.y.test", "AAAA"): ["::ffff:10.0.0.1", "2606:4700::1", "64:ff9b::7f00:1"],
        ("b.y.test", "A"): ["192.168.1.1"],
    }
    async with DnsServer(records) as server:
        guarded = await _route(server)
        allowed = await _route(server, private=True)
    assert [host.addresses for host in guarded.hosts] == [("2606:4700::1",)]
    assert len(allowed.hosts[0].addresses) == ADDRESSES_MAX
    assert allowed.hosts[1].addresses == ("192.168.1.1",)
    assert guarded.names == allowed.names


async def test_a_domain_on_private_addresses_alone_is_refused_and_its_address_not_blamed() -> None:
    async with DnsServer({("y.test", "MX"): ["10 a.y.test."], ("a.y.test", "A"): ["10.0.0.1"]}) as server:
        refusal = await _refusal(server)
    assert (refusal.code, refusal.enhanced) == (550, "5.4.4")
    assert _meaning(refusal) == (Verdict.FAILED, None, Category.POLICY)


async def test_hosts_and_addresses_are_counted() -> None:
    records: dict[tuple[str, str], list[str]] = {
        ("y.test", "MX"): [f"{90 - number} mx{number:02}.y.test." for number in range(50)]
    }
    for number in range(50):
        records[f"mx{number:02}.y.test", "A"] = [f"8.8.{number}.{part}" for part in range(1, 30)]
        records[f"mx{number:02}.y.test", "AAAA"] = [f"2606:4700::{part}" for part in range(1, 30)]
    async with DnsServer(records) as server:
        route = await _route(server)
        assert len(server.asked) == 1 + 2 * HOSTS_MAX, "nobody else is looked up"
    assert route.names == tuple(f"mx{number}.y.test" for number in range(40, 50))
    assert len(route.hosts[0].addresses) == ADDRESSES_MAX
    assert [":" in address for address in route.hosts[0].addresses] == [False, True] * (ADDRESSES_MAX // 2)


@pytest.mark.parametrize(
    "domain",
    [
        *("[192.0.2.1]", "[IPv6:2001:db8::1]", "192.0.2.1", "localhost", "com", "", ".", "..", "a..test"),
        *("x" * 64 + ".test", "ab." * 90 + "test", "a b.test", "a\nb.test", "\0.test", "bücher.test"),
        "a\udc80.test",
    ],
)
async def test_what_is_no_domain_is_refused_without_a_look_up(domain: str) -> None:
    async with DnsServer() as server:
        refusal = await _refusal(server, domain)
        assert not server.asked
    assert (refusal.code, refusal.enhanced) == (550, "5.1.2")
    assert _meaning(refusal)[1] is BounceClass.HARD
    assert refusal.text.isprintable()


@pytest.mark.parametrize("domain", ["xn--bcher-kva.test", "a-b.test", "_mail.y.test", "1.2.3.test"])
async def test_unusual_domains_are_asked_for(domain: str) -> None:
    async with DnsServer({(domain, "A"): ["8.8.4.1"]}) as server:
        assert _names(await _route(server, domain)) == [[domain]]


@pytest.mark.parametrize("domain", ["spamhaus.test", "too-many-connections.test", "greylisting.test"])
async def test_a_domain_cannot_choose_by_its_name_what_its_absence_means(domain: str) -> None:
    async with DnsServer({("other.test", "A"): ["8.8.4.1"]}) as server:
        refusal = await _refusal(server, domain)
    assert domain in refusal.text
    assert _meaning(refusal) == (Verdict.BOUNCED, BounceClass.HARD, Category.DOMAIN_INVALID)
