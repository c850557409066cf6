"""Look-ups against a server of our own on the loopback, dnspython's wire format on both sides."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from tests.sink.dns import DnsServer, Fault

from postrider.kit import clock, dns
from postrider.kit.dns import Answer, Mx, Outcome, Resolver

NOW_MS = 1_800_000_000_000


@pytest.fixture
def hold_time() -> Iterator[list[int]]:
    now = [NOW_MS]
    clock.set_source(lambda: now[0])
    yield now
    clock.set_source(None)


async def test_each_type_is_answered_with_plain_values() -> None:
    records = {
        ("a.test", "TXT"): ['"in " "two parts"', "another"],
        ("a.test", "MX"): ["20 b.test.", "10 A.test."],
        ("a.test", "A"): ["192.0.2.1"],
        ("a.test", "AAAA"): ["2001:db8::1"],
        ("c.test", "CNAME"): ["A.test."],
    }
    async with DnsServer(records) as server:
        resolver = Resolver([server.address])
        assert (await resolver.txt("a.test")).records == ("another", "in two parts")
        assert (await resolver.mx("A.TEST.")).records == (Mx(10, "a.test"), Mx(20, "b.test"))
        assert (await resolver.a("c.test")).records == ("192.0.2.1",)
        assert (await resolver.aaaa("a.test")).records == ("2001:db8::1",)
        assert (await resolver.cname("c.test")).records == ("a.test",)


async def test_the_null_mx_is_an_empty_host() -> None:
    async with DnsServer({("a.test", "MX"): ["0 ."]}) as server:
        assert (await Resolver([server.address]).mx("a.test")).records == (Mx(0, ""),)


async def test_what_is_not_there_is_an_answer_too() -> None:
    async with DnsServer({("a.test", "A"): ["192.0.2.1"]}) as server:
        resolver = Resolver([server.address])
        assert await resolver.txt("a.test") == Answer(Outcome.NO_DATA)
        assert await resolver.txt("nowhere.test") == Answer(Outcome.NO_NAME)
        assert await resolver.cname("a.test") == Answer(Outcome.NO_DATA)


async def test_an_answer_too_long_for_udp_comes_by_tcp() -> None:
    text = "x" * 3_000
    async with DnsServer({("a.test", "TXT"): [text]}) as server:
        assert (await Resolver([server.address]).txt("a.test")).records == (text,)
        assert server.asked_by_tcp == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.SERVFAIL, "SERVFAIL"),
        (Fault.LOOP, "too long"),
        (Fault.HUGE, "more than 100 records"),
        (Fault.MANY, "more than 100 records"),
    ],
)
async def test_a_faulty_server_is_a_failure_with_its_reason(
    fault: Fault, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns, "TOTAL_TIMEOUT_S", 1.0)
    async with DnsServer(faults={"a.test": fault}) as server:
        answer = await Resolver([server.address]).txt("a.test")
    assert answer.outcome is Outcome.FAILED
    assert not answer.is_known
    assert reason in answer.reason


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.LIE, Fault.GARBAGE])
async def test_silence_lies_and_garbage_end_in_time(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "TRY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(dns, "TOTAL_TIMEOUT_S", 0.3)
    async with DnsServer(faults={"a.test": fault}) as server:
        started = time.monotonic()
        answer = await Resolver([server.address]).txt("a.test")
    assert answer == Answer(Outcome.FAILED, reason="no answer in time")
    assert time.monotonic() - started < 1


async def test_the_next_server_is_asked_when_the_first_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "TRY_TIMEOUT_S", 0.1)
    healthy = DnsServer({("a.test", "A"): ["192.0.2.1"]})
    async with DnsServer(faults={"a.test": Fault.SILENT}) as first, healthy as second:
        answer = await Resolver([first.address, second.address]).a("a.test")
    assert answer.records == ("192.0.2.1",)


@pytest.mark.parametrize(
    "name", ["", "a..test", "x" * 64 + ".test", ".".join(["abcdefgh"] * 40), "\udc80.test"]
)
async def test_what_is_no_name_fails_and_does_not_raise(name: str) -> None:
    async with DnsServer({("a.test", "A"): ["192.0.2.1"]}) as server:
        answer = await Resolver([server.address]).a(name)
    assert answer.outcome is not Outcome.FOUND


async def test_a_server_nobody_runs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "TOTAL_TIMEOUT_S", 0.2)
    async with DnsServer() as server:
        address = server.address
    assert (await Resolver([address]).a("a.test")).outcome is Outcome.FAILED


async def test_an_answer_is_kept_for_its_time_to_live(hold_time: list[int]) -> None:
    async with DnsServer({("a.test", "A"): ["192.0.2.1"]}) as server:
        resolver = Resolver([server.address])
        for elapsed_s, asked in ((0, 1), (59, 1), (60, 2)):
            hold_time[0] = NOW_MS + elapsed_s * clock.SECOND
            await resolver.a("a.test")
            assert server.asked["a.test", "A"] == asked


async def test_absence_and_failure_are_kept_for_less(hold_time: list[int]) -> None:
    async with DnsServer(faults={"bad.test": Fault.SERVFAIL}) as server:
        resolver = Resolver([server.address])
        for elapsed_s, absent, failed in ((0, 1, 1), (4, 1, 1), (5, 1, 2), (30, 2, 3)):
            hold_time[0] = NOW_MS + elapsed_s * clock.SECOND
            await resolver.a("absent.test")
            await resolver.a("bad.test")
            assert server.asked["absent.test", "A"] == absent
            assert server.asked["bad.test", "A"] == failed


async def test_a_fresh_look_up_passes_the_cache_and_fills_it() -> None:
    async with DnsServer() as server:
        resolver = Resolver([server.address])
        assert (await resolver.txt("a.test")).outcome is Outcome.NO_NAME
        server.records["a.test", "TXT"] = ["new"]
        assert (await resolver.txt("a.test")).outcome is Outcome.NO_NAME
        assert (await resolver.txt("a.test", fresh=True)).records == ("new",)
        assert (await resolver.txt("a.test")).records == ("new",)


async def test_the_cache_stays_within_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "CACHE_MAX_ENTRIES", 2)
    async with DnsServer({(f"{name}.test", "A"): ["192.0.2.1"] for name in "abc"}) as server:
        resolver = Resolver([server.address])
        for name in ("a.test", "b.test", "a.test", "c.test", "a.test", "b.test"):
            await resolver.a(name)
        assert [server.asked[f"{name}.test", "A"] for name in "abc"] == [1, 2, 1]


async def test_those_who_ask_at_once_share_one_question_and_survive_each_other() -> None:
    async with DnsServer({("a.test", "A"): ["192.0.2.1"]}) as server:
        resolver = Resolver([server.address])
        askers = [asyncio.ensure_future(resolver.a("a.test")) for _ in range(50)]
        await asyncio.sleep(0)
        askers[0].cancel()
        answers = await asyncio.gather(*askers[1:])
        assert {answer.records for answer in answers} == {("192.0.2.1",)}
        assert server.asked["a.test", "A"] == 1


async def test_many_names_at_once_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "LOOKUPS_AT_ONCE", 10)
    names = [f"n{number}.test" for number in range(100)]
    async with DnsServer({(name, "A"): ["192.0.2.1"] for name in names}) as server:
        resolver = Resolver([server.address])
        answers = await asyncio.gather(*(resolver.a(name) for name in names))
    assert all(answer.records for answer in answers)


async def test_who_waits_too_long_for_a_turn_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "LOOKUPS_AT_ONCE", 1)
    monkeypatch.setattr(dns, "TOTAL_TIMEOUT_S", 0.2)
    async with DnsServer({("a.test", "A"): ["192.0.2.1"]}, {"b.test": Fault.SILENT}) as server:
        resolver = Resolver([server.address])
        _, answer = await asyncio.gather(resolver.a("b.test"), resolver.a("a.test"))
    assert answer == Answer(Outcome.FAILED, reason="no answer in time")


def test_a_server_must_be_an_address() -> None:
    with pytest.raises(ValueError):
        Resolver([("dns.example", 53)])
