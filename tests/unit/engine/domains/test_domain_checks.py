"""What the DNS holds, judged; asked for through a server of our own; and kept."""

from dataclasses import replace

import pytest
from tests.sink.dns import DnsServer, Fault
from tests.unit.engine.domains.world import ALL_OK, MISSING, OK, UNKNOWN, WRONG, World

from postrider.engine.domains import judge, keys
from postrider.engine.domains.model import (
    Algorithm,
    Check,
    Checks,
    DkimKey,
    Domain,
    DomainStatus,
    KeyState,
    Purpose,
    Verdict,
)
from postrider.engine.domains.rules import (
    after_check,
    bad_checks_after,
    next_check_after,
    records,
    status_after,
)
from postrider.engine.domains.verify import check
from postrider.engine.errors import NotFound
from postrider.kit import clock
from postrider.kit.dns import Answer, Outcome, Resolver
from postrider.kit.seal import Sealer

HOST = "mail.host.example"
INCLUDE = "include:spf.mail.host.example"
ABSENT: Answer[str] = Answer(Outcome.NO_NAME)
LOST: Answer[str] = Answer(Outcome.FAILED, reason="SERVFAIL")
DOMAIN = Domain(
    1, b"d" * 16, 1, "a.example", DomainStatus.PENDING, "token", False, False, False, False, False,
    None, None, None, None, None, "bounces", None, None, clock.HOUR, 0, None, 0,
)  # fmt: skip
KEY = DkimKey(1, b"k" * 16, DOMAIN.id, "pr1", Algorithm.RSA, KeyState.ACTIVE, "QUJD+/==", 0, 0, None)


def test_the_records_to_publish() -> None:
    assert [(r.type, r.name, r.value, r.purpose, r.verified) for r in records(DOMAIN, [KEY], HOST)] == [
        ("TXT", "_postrider.a.example", "postrider-verification=token", Purpose.VERIFICATION, False),
        ("TXT", "a.example", "v=spf1 include:spf.mail.host.example ~all", Purpose.SPF, False),
        ("TXT", "pr1._domainkey.a.example", "v=DKIM1; k=rsa; p=QUJD+/==", Purpose.DKIM, False),
        ("TXT", "_dmarc.a.example", "v=DMARC1; p=none", Purpose.DMARC, False),
        ("CNAME", "bounces.a.example", HOST, Purpose.RETURN_PATH, False),
    ]
    assert records(replace(DOMAIN, return_path_label="rp"), [], HOST)[-1].name == "rp.a.example"


@pytest.mark.parametrize(
    ("texts", "verdict"),
    [
        (["v=spf1 include:spf.mail.host.example ~all"], Verdict.OK),
        (["V=SPF1  mx +INCLUDE:SPF.Mail.Host.Example. -all", "other text"], Verdict.OK),
        (["v=spf1 redirect=x.example include:spf.mail.host.example"], Verdict.OK),
        (["v=spf10 include:spf.mail.host.example ~all"], Verdict.MISSING),
        ([], Verdict.MISSING),
        (["v=spf1 -all"], Verdict.WRONG),
        (["v=spf1"], Verdict.WRONG),
        (["v=spf1 -include:spf.mail.host.example ~all"], Verdict.WRONG),
        (["v=spf1 -all include:spf.mail.host.example"], Verdict.WRONG),
        (["v=spf1 include:spf.mail.host.example ~all", "v=spf1 mx -all"], Verdict.WRONG),
        (["v=spf1 a mx ptr a:b.example mx/24 exists:%{i}.x a a a a " + INCLUDE], Verdict.WRONG),
        (["v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 a mx include:spf.mail.host.example -all"], Verdict.OK),
    ],
)  # fmt: skip
def test_spf(texts: list[str], verdict: Verdict) -> None:
    found = judge.spf(_found(*texts), HOST)
    assert found.verdict is verdict
    assert bool(found.reason) is (verdict is not Verdict.OK)


@pytest.mark.parametrize(
    ("texts", "verdict"),
    [
        (["v=DKIM1; k=rsa; p=QUJD+/=="], Verdict.OK),
        (["p = QUJ\t D+/ == ; k=rsa ;v=DKIM1;; t=s; n=a note"], Verdict.OK),
        (["p=QUJD+/=="], Verdict.OK),
        (["v=DKIM1; h=sha1:sha256; s=email; p=QUJD+/=="], Verdict.OK),
        (["unrelated", "v=DKIM1; p=QUJD+/=="], Verdict.OK),
        ([], Verdict.MISSING),
        (["v=DKIM1; k=rsa"], Verdict.MISSING),
        (["v=DKIM1; k=rsa; p="], Verdict.WRONG),
        (["v=DKIM1; k=ed25519; p=QUJD+/=="], Verdict.WRONG),
        (["v=DKIM1; k=rsa; p=other"], Verdict.WRONG),
        (["v=DKIM2; k=rsa; p=QUJD+/=="], Verdict.WRONG),
        (["v=DKIM1; h=sha1; p=QUJD+/=="], Verdict.WRONG),
        (["v=DKIM1; s=tlsrpt; p=QUJD+/=="], Verdict.WRONG),
        (["v=DKIM1; p=QUJD+/==", "v=DKIM1; p=other"], Verdict.WRONG),
    ],
)
def test_dkim(texts: list[str], verdict: Verdict) -> None:
    found = judge.dkim_key(_found(*texts), KEY)
    assert found.verdict is verdict
    assert bool(found.reason) is (verdict is not Verdict.OK)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([["v=DMARC1; p=none"]], Verdict.OK),
        ([["v = DMARC1 ;p=Quarantine; rua=mailto:a@b.example", "noise"]], Verdict.OK),
        ([[], ["v=DMARC1; p=reject"]], Verdict.OK),
        ([[], []], Verdict.MISSING),
        ([["v=DMARC1"]], Verdict.WRONG),
        ([["v=DMARC1; p=perhaps"], ["v=DMARC1; p=none"]], Verdict.WRONG),
        ([["p=none; v=DMARC1"]], Verdict.WRONG),
        ([["v=DMARC1; p=none", "v=DMARC1; p=reject"]], Verdict.WRONG),
    ],
)
def test_dmarc(answers: list[list[str]], verdict: Verdict) -> None:
    assert judge.dmarc([_found(*texts) for texts in answers]).verdict is verdict


def test_ownership_counts_beside_other_texts() -> None:
    assert judge.ownership(_found("x", '"postrider-verification=token"'), "token").ok
    assert judge.ownership(_found("postrider-verification=stale"), "token").verdict is Verdict.WRONG
    assert judge.ownership(_found("other-verification=token"), "token").verdict is Verdict.WRONG
    assert judge.ownership(ABSENT, "token").verdict is Verdict.MISSING


def test_the_return_path_leads_here() -> None:
    assert judge.return_path(_found(HOST), HOST.upper()).ok
    assert judge.return_path(_found("other.example"), HOST).verdict is Verdict.WRONG
    assert judge.return_path(ABSENT, HOST).verdict is Verdict.MISSING


def test_silence_of_the_dns_is_no_verdict() -> None:
    checks = [
        judge.spf(LOST, HOST),
        judge.dkim_key(LOST, KEY),
        judge.dmarc([ABSENT, LOST]),
        judge.ownership(LOST, "token"),
        judge.return_path(LOST, HOST),
    ]
    assert {found.verdict for found in checks} == {Verdict.UNKNOWN}
    assert all("SERVFAIL" in found.reason for found in checks)


def test_one_bad_key_spoils_all_that_sign() -> None:
    assert judge.dkim([OK, WRONG, MISSING]) is WRONG
    assert judge.dkim([OK, UNKNOWN]) is UNKNOWN
    assert judge.dkim([OK, OK]).ok
    assert judge.dkim([]).verdict is Verdict.MISSING


@pytest.mark.parametrize(
    ("status", "verified_at", "ownership", "dkim", "after"),
    [
        (DomainStatus.PENDING, None, OK, OK, DomainStatus.VERIFIED),
        (DomainStatus.PENDING, None, OK, MISSING, DomainStatus.PENDING),
        (DomainStatus.PENDING, None, UNKNOWN, OK, DomainStatus.PENDING),
        (DomainStatus.PENDING, None, OK, WRONG, DomainStatus.FAILED),
        (DomainStatus.FAILED, None, MISSING, MISSING, DomainStatus.PENDING),
        (DomainStatus.FAILED, None, UNKNOWN, UNKNOWN, DomainStatus.FAILED),
        (DomainStatus.VERIFIED, 1, UNKNOWN, OK, DomainStatus.VERIFIED),
        (DomainStatus.VERIFIED, 1, UNKNOWN, UNKNOWN, DomainStatus.VERIFIED),
        (DomainStatus.VERIFIED, 1, UNKNOWN, MISSING, DomainStatus.VERIFIED),
        (DomainStatus.VERIFIED, 1, WRONG, OK, DomainStatus.VERIFIED),
        (DomainStatus.FAILED, 1, OK, OK, DomainStatus.VERIFIED),
        (DomainStatus.FAILED, 1, OK, MISSING, DomainStatus.FAILED),
    ],
)
def test_the_status_follows_ownership_and_dkim(
    status: DomainStatus, verified_at: int | None, ownership: Check, dkim: Check, after: DomainStatus
) -> None:
    was = status is DomainStatus.VERIFIED
    domain = replace(DOMAIN, status=status, verified_at=verified_at, ownership_ok=was, dkim_ok=was)
    assert status_after(domain, Checks(ownership, MISSING, dkim, WRONG, MISSING)) is after


@pytest.mark.parametrize(
    ("before", "ownership", "dkim", "count", "after"),
    [
        (0, OK, MISSING, 1, DomainStatus.VERIFIED),
        (1, WRONG, OK, 2, DomainStatus.VERIFIED),
        (2, OK, WRONG, 3, DomainStatus.FAILED),
        (2, UNKNOWN, MISSING, 3, DomainStatus.FAILED),
        (2, UNKNOWN, UNKNOWN, 2, DomainStatus.VERIFIED),
        (2, OK, OK, 0, DomainStatus.VERIFIED),
        (3, MISSING, OK, 3, DomainStatus.FAILED),
    ],
)
def test_a_verified_domain_fails_at_the_third_bad_check_in_a_row(
    before: int, ownership: Check, dkim: Check, count: int, after: DomainStatus
) -> None:
    domain = replace(DOMAIN, status=DomainStatus.VERIFIED, verified_at=1, bad_checks=before)
    checks = Checks(ownership, OK, dkim, OK, OK)
    assert (bad_checks_after(domain, checks), status_after(domain, checks)) == (count, after)


@pytest.mark.parametrize(
    ("due", "verified_at", "found", "age", "later"),
    [
        (1, None, MISSING, clock.HOUR, clock.HOUR),
        (1, None, MISSING, clock.DAY, clock.DAY),
        (1, None, UNKNOWN, 3 * clock.DAY, clock.DAY),
        (1, None, OK, 3 * clock.DAY, clock.HOUR),
        (1, 5, MISSING, 3 * clock.DAY, clock.HOUR),
        (None, 5, OK, clock.HOUR, clock.HOUR),
        (None, 5, MISSING, clock.HOUR, None),
        (None, 5, UNKNOWN, clock.HOUR, None),
    ],
)
def test_what_never_was_verified_is_looked_at_more_seldom_and_the_operators_word_not_at_all(
    due: int | None, verified_at: int | None, found: Check, age: int, later: int | None
) -> None:
    domain = replace(DOMAIN, next_check_at=due, verified_at=verified_at)
    expected = None if later is None else age + later
    assert next_check_after(domain, Checks(found, OK, found, OK, OK), age) == expected


def test_what_was_found_at_another_return_path_says_nothing() -> None:
    renamed = replace(DOMAIN, return_path_label="rp")
    stale = replace(ALL_OK, return_path_name="bounces.a.example")
    assert after_check(DOMAIN, stale)["return_path_ok"]
    assert not after_check(renamed, stale)["return_path_ok"]
    assert after_check(renamed, replace(stale, return_path_name="rp.a.example"))["return_path_ok"]


def test_flags_stay_where_the_dns_did_not_say() -> None:
    domain = replace(DOMAIN, spf_ok=True, dmarc_ok=True)
    flags = after_check(domain, Checks(OK, UNKNOWN, UNKNOWN, MISSING, OK))
    assert flags == {
        "ownership_ok": True,
        "spf_ok": True,
        "dkim_ok": False,
        "dmarc_ok": False,
        "return_path_ok": True,
    }


@pytest.mark.parametrize("algorithm", Algorithm)
async def test_what_we_tell_to_publish_passes_when_it_is_published(
    sealer: Sealer, algorithm: Algorithm
) -> None:
    pair = keys.generate(sealer, algorithm)
    signing = replace(KEY, algorithm=algorithm, public_key=pair.public_key)
    coming = replace(signing, id=b"n" * 16, selector="pr2", state=KeyState.NEXT)
    old = replace(signing, id=b"o" * 16, selector="pr0", state=KeyState.RETIRED)
    published = {(r.name, r.type): [r.value] for r in records(DOMAIN, [signing], HOST)}
    published["bounces.a.example", "CNAME"] = [HOST + "."]
    async with DnsServer(published) as server:
        found = await check(DOMAIN, [old, signing, coming], Resolver([server.address]), HOST)
    assert found.verified
    assert (found.ownership, found.spf, found.dkim, found.dmarc, found.return_path) == (OK, OK, OK, OK, OK)
    assert found.keys[signing.id].ok
    assert found.keys[coming.id].verdict is Verdict.MISSING
    assert old.id not in found.keys


async def test_nothing_published_is_missing_and_every_check_says_why() -> None:
    async with DnsServer({("x.example", "A"): ["192.0.2.1"]}) as server:
        found = await check(DOMAIN, [KEY], Resolver([server.address]), HOST)
    for each in (found.ownership, found.spf, found.dkim, found.dmarc, found.return_path):
        assert each.verdict is Verdict.MISSING
        assert each.reason.endswith(".")
    assert not found.verified


async def test_a_record_just_published_is_seen_past_the_cache() -> None:
    async with DnsServer({("a.example", "TXT"): ["x"]}) as server:
        resolver = Resolver([server.address])
        assert not (await check(DOMAIN, [KEY], resolver, HOST)).ownership.ok
        server.records["_postrider.a.example", "TXT"] = ["postrider-verification=token"]
        assert (await check(DOMAIN, [KEY], resolver, HOST)).ownership.ok


async def test_a_subdomain_has_its_parents_dmarc_policy() -> None:
    domain = replace(DOMAIN, name="news.mail.a.example")
    async with DnsServer({("_dmarc.a.example", "TXT"): ["v=DMARC1; p=reject"]}) as server:
        found = await check(domain, [KEY], Resolver([server.address]), HOST)
        assert found.dmarc.ok
        assert server.asked["_dmarc.example", "TXT"] == 0


async def test_a_broken_zone_is_unknown() -> None:
    names = ["a.example", "_postrider.a.example", "pr1._domainkey.a.example", "_dmarc.a.example"]
    faults = dict.fromkeys((*names, "bounces.a.example"), Fault.LOOP)
    faults["a.example"] = Fault.MANY
    async with DnsServer(faults=faults | {"bounces.a.example": Fault.SERVFAIL}) as server:
        found = await check(DOMAIN, [KEY], Resolver([server.address]), HOST)
    for each in (found.ownership, found.spf, found.dkim, found.dmarc, found.return_path):
        assert each.verdict is Verdict.UNKNOWN


def test_a_passed_check_verifies_once_and_is_kept(world: World) -> None:
    domain = world.add("a.example")
    verified = world.check(domain, ALL_OK, now=100)
    assert verified.is_verified
    assert (verified.checked_at, verified.verified_at) == (100, 100)
    assert verified.ownership_ok
    assert verified.spf_ok
    assert verified.dkim_ok
    assert verified.dmarc_ok
    assert verified.return_path_ok
    lost = world.check(domain, replace(ALL_OK, dkim=MISSING), now=200)
    assert (lost.is_verified, lost.dkim_ok, lost.bad_checks) == (True, False, 1)
    world.check(domain, replace(ALL_OK, dkim=MISSING), now=201)
    lost = world.check(domain, replace(ALL_OK, dkim=MISSING), now=202)
    assert (lost.status, lost.dkim_ok, lost.verified_at) == (DomainStatus.FAILED, False, 100)
    again = world.check(domain, ALL_OK, now=300)
    assert (again.status, again.checked_at, again.verified_at) == (DomainStatus.VERIFIED, 300, 100)
    assert (again.bad_checks, again.next_check_at) == (0, 300 + clock.HOUR)


def test_spf_dmarc_and_return_path_do_not_hold_a_domain_back(world: World) -> None:
    domain = world.check(world.add("a.example"), Checks(OK, MISSING, OK, WRONG, MISSING))
    assert domain.is_verified
    assert not domain.spf_ok
    assert not domain.dmarc_ok
    assert not domain.return_path_ok


def test_checks_of_a_foreign_domain_are_not_kept(world: World) -> None:
    domain = world.add("a.example")
    with pytest.raises(NotFound):
        world.of_organization(world.principal.organization_id + 1_000_000).check(domain, ALL_OK)


def _found(*texts: str) -> Answer[str]:
    return Answer(Outcome.FOUND, texts) if texts else ABSENT
