"""Addresses judged and validated: by their letters, and by a DNS that answers, refuses or is silent."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.sink.dns import DnsServer, Fault

from postrider.engine.deliverability import BATCH_MAX, Validator, validate
from postrider.engine.deliverability.address import (
    FINDINGS,
    LABELS,
    NOT_ASKED,
    PATTERNS,
    DomainMail,
    Mail,
    Verdict,
    domain_asked,
    judge,
)
from postrider.kit.dns import Resolver

GOOD = DomainMail(Mail.MX, ("mx.example.test",))
RECORDS = {
    ("example.test", "MX"): ["20 mx2.example.test.", "10 mx1.example.test."],
    ("google.test", "MX"): ["10 aspmx.l.google.com."],
    ("implicit.test", "A"): ["192.0.2.1"],
    ("six.test", "AAAA"): ["2001:db8::1"],
    ("nomail.test", "MX"): ["0 ."],
    ("empty.test", "TXT"): ["nothing"],
    ("xn--bcher-kva.test", "MX"): ["10 mx1.example.test."],
    ("half.test", "TXT"): ["its AAAA fails"],
    ("mailinator.com", "MX"): ["10 mx1.example.test."],
}
FAULTS = {"broken.test": Fault.SERVFAIL, ("half.test", "AAAA"): Fault.SERVFAIL, "silent.test": Fault.SILENT}


@dataclass
class Office:
    dns: DnsServer
    validator: Validator

    async def one(self, email: str) -> Verdict:
        (verdict,) = await self.validator.validate([email])
        return verdict


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with DnsServer(RECORDS, FAULTS) as dns:
        yield Office(dns, Validator(Resolver([dns.address])))


def codes(verdict: Verdict) -> list[str]:
    return [finding.code for finding in verdict.findings]


@pytest.mark.parametrize(
    ("email", "exists", "has_mx", "takes", "found"),
    [
        ("ann@example.test", True, True, True, []),
        ("ann@bücher.test", True, True, True, []),
        ("ann@implicit.test", True, False, True, ["no_mx"]),
        ("ann@six.test", True, False, True, ["no_mx"]),
        ("ann@nomail.test", True, False, False, ["null_mx"]),
        ("ann@empty.test", True, False, False, ["no_mail"]),
        ("ann@nowhere.invalid", False, False, False, ["no_domain"]),
        ("ann@broken.test", None, None, None, ["dns_unknown"]),
        ("ann@half.test", None, None, None, ["dns_unknown"]),
    ],
)
async def test_a_domain_is_judged_by_what_its_dns_says(
    office: Office, email: str, exists: bool | None, has_mx: bool | None, takes: bool | None, found: list[str]
) -> None:
    verdict = await office.one(email)
    assert verdict.syntax_valid
    assert (verdict.domain_exists, verdict.mx_found, verdict.takes_mail) == (exists, has_mx, takes)
    assert verdict.is_valid is takes
    assert codes(verdict) == found


async def test_mail_hosts_are_told_by_preference_and_name_the_provider(office: Office) -> None:
    own, google = await office.validator.validate(["ann@example.test", "ann@google.test"])
    assert own.mx_hosts == ("mx1.example.test", "mx2.example.test")
    assert (own.provider, google.provider) == (None, "google")
    assert own.confidence is not None
    assert google.confidence == own.confidence + 5


@pytest.mark.parametrize(
    "email",
    ["", "ann", "ann@", "@example.test", "a b@example.test", "ann@example..test", "ann@[192.0.2.1]",
     "a" * 65 + "@example.test", "ann@localhost"],
)  # fmt: skip
async def test_what_is_no_address_is_told_and_nothing_is_asked(office: Office, email: str) -> None:
    verdict = await office.one(email)
    assert (verdict.syntax_valid, verdict.is_valid, verdict.domain_exists) == (False, False, None)
    assert (verdict.is_disposable, verdict.pattern, verdict.confidence) == (None, None, 0)
    assert codes(verdict) == ["invalid_syntax"]
    assert not office.dns.asked


async def test_a_domain_is_asked_once_for_a_batch_and_again_from_the_cache(office: Office) -> None:
    batch = [f"user{number}@example.test" for number in range(BATCH_MAX)]
    assert all(verdict.is_valid for verdict in await office.validator.validate(batch))
    await office.one("ann@EXAMPLE.test")
    assert office.dns.asked == {("example.test", "MX"): 1}


async def test_verdicts_come_in_the_order_of_the_addresses(office: Office) -> None:
    batch = ["ann@nowhere.invalid", "bad", "ann@example.test", "ann@nomail.test", " ann@example.test "]
    told = [(each.email, each.is_valid) for each in await office.validator.validate(batch)]
    assert told == [
        (email.strip(), valid) for email, valid in zip(batch, [False, False, True, False, True], strict=True)
    ]


async def test_a_dns_that_is_silent_leaves_its_domains_unknown_and_the_others_known(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate, "BATCH_TIMEOUT_S", 0.5)
    silent, good = await office.validator.validate(["ann@silent.test", "ann@example.test"])
    assert (silent.is_valid, silent.confidence, silent.risk, silent.label) == (None, None, None, "unknown")
    assert good.is_valid


@pytest.mark.parametrize(
    ("email", "finding"),
    [
        ("ann@mailinator.com", "disposable"),
        ("ann@any.mailinator.com", "disposable"),
        ("ann@gmial.com", "misspelt"),
        ("support@example.test", "role"),
        ("Support+x@example.test", "role"),
        ("x7k2q9z4w1@example.test", "random_local"),
        ("qwrtpsdfgh@example.test", "random_local"),
    ],
)
def test_what_is_seen_in_the_letters_is_a_finding(email: str, finding: str) -> None:
    verdict, plain = judge(email, GOOD), judge("ann.smith@example.test", GOOD)
    assert codes(verdict) == [finding]
    assert codes(plain) == []
    less, more, _ = FINDINGS[finding]
    assert plain.confidence is not None
    assert plain.risk is not None
    assert (verdict.confidence, verdict.risk) == (plain.confidence - less, plain.risk + more)
    assert (verdict.is_disposable, verdict.is_role) == (finding == "disposable", finding == "role")


@pytest.mark.parametrize(
    "local", ["christopher.wright", "ann1985", "a.schwarzschild", "office365migration", "2024winter"]
)
def test_names_are_not_called_random(local: str) -> None:
    assert codes(judge(f"{local}@example.test", GOOD)) == []


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmai.com", "gmail.com"),
        ("gmaill.com", "gmail.com"),
        ("gnail.com", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("hotmal.co.uk", "hotmail.co.uk"),
        ("company.con", "company.com"),
        ("gmail.com", None),
        ("mail.com", None),
        ("email.com", None),
        ("live.co", None),  # short names are near to many
        ("yahoo.ie", None),  # another country's
        ("hotmail.ch", None),
        ("example.com", None),
    ],
)
def test_a_misspelt_domain_is_suggested_right(domain: str, meant: str | None) -> None:
    assert judge(f"Ann+x@{domain}", GOOD).suggestion == (meant and f"Ann+x@{meant}")


@pytest.mark.parametrize(
    ("local", "pattern"),
    [
        ("ann.smith", "first.last"), ("a.smith", "f.last"), ("ann.s", "first.l"), ("ann_smith", "first_last"),
        ("ann-smith", "first-last"), ("annsmith", "word"), ("ann1985", "word_digits"), ("12345", "digits"),
        ("Ann.Smith+news", "first.last"), ("info", "role"), ("a.b.c", "other"), ("müller", "other"),
    ],
)  # fmt: skip
def test_the_pattern_is_what_the_local_part_looks_like(local: str, pattern: str) -> None:
    assert judge(f"{local}@example.test", GOOD).pattern == pattern
    assert {name for name, _ in PATTERNS} | {"role", "other"} >= {pattern}


def test_better_addresses_have_more_confidence_and_less_risk() -> None:
    verdicts = [
        judge("ann@google.test", DomainMail(Mail.MX, ("aspmx.l.google.com",))),
        judge("ann@example.test", GOOD),
        judge("info@example.test", GOOD),
        judge("ann@example.test", DomainMail(Mail.IMPLICIT)),
        judge("ann@mailinator.com", GOOD),
        judge("ann@example.test", DomainMail(Mail.NULL_MX)),
    ]
    confidence = [verdict.confidence or 0 for verdict in verdicts]
    assert confidence == sorted(set(confidence), reverse=True)
    risk = [verdict.risk or 0 for verdict in verdicts]
    assert risk == sorted(risk)
    labels = [verdict.label for verdict in verdicts]
    assert labels == ["high", "high", "medium", "medium", "very_low", "very_low"]
    assert set(labels) <= {word for _, word in LABELS}


def test_nothing_is_very_sure_of_a_mailbox_that_nobody_saw() -> None:
    best = judge("ann.smith@gmail.com", DomainMail(Mail.MX, ("gmail-smtp-in.l.google.com",)))
    assert best.is_free
    assert best.label == "high"
    assert not judge("ann@example.test", GOOD).is_free


def test_many_addresses_are_judged_in_time() -> None:
    began = time.process_time()
    for number in range(10_000):
        domain_asked(f"user{number}@example{number}.test")
    for number in range(1_000):
        judge(f"user{number}@example{number}.test", NOT_ASKED)
    assert time.process_time() - began < 5
