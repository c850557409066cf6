"""What a domain is called, what it publishes, and when it counts as verified. Pure: no store, no network."""

import re
from collections.abc import Sequence

from postrider.engine.domains.model import (
    Checks,
    DkimKey,
    DnsRecord,
    Domain,
    DomainStatus,
    KeyState,
    Purpose,
    Verdict,
)
from postrider.engine.errors import Invalid
from postrider.kit import clock
from postrider.kit.address import InvalidAddress, ascii_domain

NAME_MAX_CHARS = 253
VERIFICATION_LABEL = "postrider"
RETIRED_KEPT_MS = 30 * clock.DAY  # longer than any mail is under way, or read for the first time
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$){_LABEL}")  # two labels at least; no IPv4 address
_SELECTOR = re.compile(r"pr(\d+)")


def domain_name(text: str) -> str:
    """The name as A-labels in lower case; Invalid for what is no full host name: one label, an IP address."""
    try:
        name = ascii_domain(text.strip().removesuffix("."))
    except InvalidAddress:
        name = ""
    if len(name) > NAME_MAX_CHARS or not _NAME.fullmatch(name):
        raise Invalid(
            field="domain", message="The domain must be a full domain name, such as mail.example.com."
        )
    return name


def records(
    domain: Domain, keys: Sequence[DkimKey], hostname: str, *, label: str = VERIFICATION_LABEL
) -> list[DnsRecord]:
    """What to publish for the domain: ownership, SPF, every key, DMARC, return path.

    `hostname` is the installation's; `label` names the ownership record. Keys that do not sign have None.
    """
    return [
        DnsRecord(
            "TXT",
            verification_name(domain.name, label),
            verification_value(domain.verification_token, label),
            Purpose.VERIFICATION,
            domain.ownership_ok,
        ),
        DnsRecord("TXT", domain.name, f"v=spf1 {spf_term(hostname)} ~all", Purpose.SPF, domain.spf_ok),
        *(
            DnsRecord(
                "TXT",
                key_name(key.selector, domain.name),
                f"v=DKIM1; k={key.algorithm.key_type}; p={key.public_key}",
                Purpose.DKIM,
                domain.dkim_ok if key.state is KeyState.ACTIVE else None,
            )
            for key in keys
        ),
        DnsRecord("TXT", dmarc_name(domain.name), "v=DMARC1; p=none", Purpose.DMARC, domain.dmarc_ok),
        DnsRecord(
            "CNAME", return_path_name(domain.name), hostname, Purpose.RETURN_PATH, domain.return_path_ok
        ),
    ]


def status_after(domain: Domain, checks: Checks) -> DomainStatus:
    """Ownership and DKIM decide; SPF, DMARC and the return path are reported only.

    SPF speaks for the envelope's domain, which is the installation's unless the return path is set: DMARC
    passes by DKIM alone. Where the DNS did not answer nothing changes; where a record is only missing and the
    domain never was verified, it is still pending.
    """
    flags = after_check(domain, checks)
    if flags["ownership_ok"] and flags["dkim_ok"]:
        return DomainStatus.VERIFIED
    verdicts = {checks.ownership.verdict, checks.dkim.verdict}
    if Verdict.WRONG in verdicts:
        return DomainStatus.FAILED
    if Verdict.MISSING in verdicts:
        return DomainStatus.PENDING if domain.verified_at is None else DomainStatus.FAILED
    return domain.status


def after_check(domain: Domain, checks: Checks) -> dict[str, bool]:
    """The domain's flags by column: each as the check says, or as before where it could not say."""
    before_and_now = {
        "ownership_ok": (domain.ownership_ok, checks.ownership),
        "spf_ok": (domain.spf_ok, checks.spf),
        "dkim_ok": (domain.dkim_ok, checks.dkim),
        "dmarc_ok": (domain.dmarc_ok, checks.dmarc),
        "return_path_ok": (domain.return_path_ok, checks.return_path),
    }
    return {
        name: before if check.verdict is Verdict.UNKNOWN else check.ok
        for name, (before, check) in before_and_now.items()
    }


def next_selector(keys: Sequence[DkimKey]) -> str:
    """pr1, pr2, …: never one that was used before, for resolvers may still hold its old key."""
    used = [int(match[1]) for key in keys if (match := _SELECTOR.fullmatch(key.selector))]
    return f"pr{max(used, default=0) + 1}"


def verification_name(domain: str, label: str) -> str:
    return f"_{label}.{domain}"


def verification_value(token: str, label: str) -> str:
    return f"{label}-verification={token}"


def spf_term(hostname: str) -> str:
    return f"include:spf.{hostname}"


def key_name(selector: str, domain: str) -> str:
    return f"{selector}._domainkey.{domain}"


def dmarc_name(domain: str) -> str:
    return f"_dmarc.{domain}"


def return_path_name(domain: str) -> str:
    return f"bounces.{domain}"
