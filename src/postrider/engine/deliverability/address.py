"""One address judged: what is seen from its letters and from its domain's DNS, and nothing else. Pure.

Nobody asks the mail server whether the mailbox is there: of a domain that takes mail, that stays unknown.
Each finding of FINDINGS takes from the confidence that mail arrives and adds to the risk of sending it.
"""

import re
from dataclasses import replace
from enum import StrEnum

from postrider.engine.deliverability import known
from postrider.kit.address import InvalidAddress, domain_of, parse_address
from postrider.kit.dns import Mx
from postrider.kit.record import record

BASE_CONFIDENCE = 80  # of an address without findings: well-formed, its domain takes mail, its mailbox unseen
KNOWN_PROVIDER = 5  # more, where a provider that we know by its MX hosts runs the mail
BASE_RISK = 5
MX_TOLD_MAX = 10


class Mail(StrEnum):
    """Whether a domain takes mail, by its DNS."""

    MX = "mx"
    IMPLICIT = "implicit"  # no MX record, but an address: RFC 5321 5.1
    NONE = "none"  # the name is there and has neither
    NULL_MX = "null_mx"  # it says that it takes none: RFC 7505
    NO_DOMAIN = "no_domain"
    UNKNOWN = "unknown"  # the DNS did not answer, or was not asked

    @property
    def takes_mail(self) -> bool | None:
        if self is Mail.UNKNOWN:
            return None
        return self in (Mail.MX, Mail.IMPLICIT)


@record
class DomainMail:
    """What the DNS says of a domain; hosts by preference."""

    mail: Mail
    hosts: tuple[str, ...] = ()

    @classmethod
    def of_records(cls, records: tuple[Mx, ...]) -> "DomainMail":
        hosts = tuple(mx.host for mx in records if mx.host)
        return cls(Mail.MX, hosts[:MX_TOLD_MAX]) if hosts else cls(Mail.NULL_MX)


NOT_ASKED = DomainMail(Mail.UNKNOWN)


@record
class Finding:
    """What was found: its code, and its sentence for people."""

    code: str
    message: str


# code: (less confidence, more risk, sentence). What comes to 100 leaves nothing.
FINDINGS: dict[str, tuple[int, int, str]] = {
    "invalid_syntax": (100, 95, "It is no address that mail can be sent to."),
    "no_domain": (100, 95, "The domain does not exist."),
    "no_mail": (100, 95, "The domain has neither a mail host nor an address."),
    "null_mx": (100, 95, "The domain says that it takes no mail (null MX)."),
    "disposable": (60, 60, "The domain gives out mailboxes for an hour."),
    "misspelt": (30, 25, "The domain looks like a misspelling of a well-known one."),
    "no_mx": (25, 20, "The domain has no MX record; its own address would have to take the mail."),
    "random_local": (15, 15, "The part before the @ looks like letters at random."),
    "role": (10, 15, "It is an office's address, not a person's."),
    "dns_unknown": (0, 0, "The DNS did not answer: whether the domain takes mail is not known."),
}
_BY_MAIL = {
    Mail.NO_DOMAIN: "no_domain",
    Mail.NONE: "no_mail",
    Mail.NULL_MX: "null_mx",
    Mail.IMPLICIT: "no_mx",
    Mail.UNKNOWN: "dns_unknown",
}
# Confidence from which a word holds. The highest needs a mailbox that was seen, which nothing here does.
LABELS = ((90, "very_high"), (75, "high"), (50, "medium"), (25, "low"), (0, "very_low"))
# What a local part looks like (less its +tag); one word may be a name, a nickname, an initial and a name.
PATTERNS = (
    ("first.last", re.compile(r"[a-z]{2,}\.[a-z]{2,}", re.IGNORECASE)),
    ("f.last", re.compile(r"[a-z]\.[a-z]{2,}", re.IGNORECASE)),
    ("first.l", re.compile(r"[a-z]{2,}\.[a-z]", re.IGNORECASE)),
    ("first_last", re.compile(r"[a-z]{2,}_[a-z]{2,}", re.IGNORECASE)),
    ("first-last", re.compile(r"[a-z]{2,}-[a-z]{2,}", re.IGNORECASE)),
    ("word", re.compile(r"[a-z]+", re.IGNORECASE)),
    ("word_digits", re.compile(r"[a-z]+[._-]?\d+", re.IGNORECASE)),
    ("digits", re.compile(r"\d+")),
)
_RANDOM_MIN_CHARS = 10
_SWITCHES = re.compile(r"[a-z](?=\d)|\d(?=[a-z])", re.IGNORECASE)
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}", re.IGNORECASE)  # longer than in any name


@record
class Verdict:
    """What is known of an address; None where it is not."""

    email: str  # as it was given, less the spaces around it
    syntax_valid: bool
    domain_exists: bool | None = None
    mx_found: bool | None = None
    mx_hosts: tuple[str, ...] = ()
    takes_mail: bool | None = None  # the domain; whether the mailbox is there nobody asked
    is_disposable: bool | None = None
    is_role: bool | None = None
    is_free: bool | None = None
    provider: str | None = None  # None: no MX host, or none that we know
    pattern: str | None = None
    suggestion: str | None = None  # the address that was most likely meant
    confidence: int | None = None  # 0 to 100 that mail arrives
    risk: int | None = None  # 0 to 100 of sending to it
    findings: tuple[Finding, ...] = ()

    @property
    def is_valid(self) -> bool | None:
        """Well-formed, and its domain takes mail; None where the DNS did not say."""
        return self.syntax_valid and self.takes_mail

    @property
    def label(self) -> str:
        if self.confidence is None:
            return "unknown"
        return next(word for least, word in LABELS if self.confidence >= least)


def domain_asked(text: str) -> str | None:
    """The domain to ask the DNS about, as A-labels; None where the text is no address."""
    try:
        return domain_of(parse_address(text.strip()))
    except InvalidAddress:
        return None


def judge(text: str, dns: DomainMail) -> Verdict:
    """`dns` is what was found of the domain that `domain_asked` gave."""
    email, domain = text.strip(), domain_asked(text)
    if domain is None:
        return _sum_up(Verdict(email, syntax_valid=False), ["invalid_syntax"])
    local = email.rpartition("@")[0]
    stem = local.partition("+")[0] or local
    meant = known.domain_meant(domain)
    verdict = Verdict(
        email,
        syntax_valid=True,
        domain_exists=None if dns.mail is Mail.UNKNOWN else dns.mail is not Mail.NO_DOMAIN,
        mx_found=None if dns.mail is Mail.UNKNOWN else dns.mail is Mail.MX,
        mx_hosts=dns.hosts,
        takes_mail=dns.mail.takes_mail,
        is_disposable=known.is_disposable(domain),
        is_role=known.is_role(stem),
        is_free=known.is_free(domain),
        provider=known.provider_of(dns.hosts),
        pattern=_pattern(stem),
        suggestion=meant and f"{local}@{meant}",
    )
    said = {
        _BY_MAIL.get(dns.mail, ""): dns.mail in _BY_MAIL,
        "disposable": verdict.is_disposable,
        "misspelt": meant is not None,
        "random_local": _is_random(stem),
        "role": verdict.is_role,
    }
    return _sum_up(verdict, [code for code, holds in said.items() if holds])


def _sum_up(verdict: Verdict, codes: list[str]) -> Verdict:
    """With its findings and their points; unknown DNS leaves both figures unknown."""
    confidence, risk = BASE_CONFIDENCE + (KNOWN_PROVIDER if verdict.provider else 0), BASE_RISK
    for code in codes:
        less, more, _ = FINDINGS[code]
        confidence, risk = confidence - less, risk + more
    unknown = "dns_unknown" in codes
    return replace(
        verdict,
        confidence=None if unknown else max(0, confidence),
        risk=None if unknown else min(100, risk),
        findings=tuple(Finding(code, FINDINGS[code][2]) for code in codes),
    )


def _pattern(stem: str) -> str:
    if known.is_role(stem):
        return "role"
    return next((name for name, pattern in PATTERNS if pattern.fullmatch(stem)), "other")


def _is_random(stem: str) -> bool:
    """Letters and digits by turns, or consonants in a row, over some length."""
    if len(stem) < _RANDOM_MIN_CHARS:
        return False
    return len(_SWITCHES.findall(stem)) >= 4 or bool(_CONSONANTS.search(stem))
