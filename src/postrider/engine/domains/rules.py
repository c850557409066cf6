"""What a domain is called, what it publishes, and when it counts as verified. Pure: no store, no network."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from postrider.engine.domains.model import (
    Check,
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
from postrider.kit.ids import to_uuid

NAME_MAX_CHARS = 253
VERIFICATION_LABEL = "postrider"
RETURN_PATH_LABEL = "bounces"  # where the customer names none
HOSTING_PROVIDER_MAX_CHARS = 100
RECHECK_MS = clock.HOUR
UNPROVED_RECHECK_MS = clock.DAY  # of a domain that was never verified, after its first day
BAD_CHECKS_MAX = 3  # so many in a row take a verified domain's status: one slip of the DNS stops no mail
RETIRED_KEPT_MS = 30 * clock.DAY  # longer than any mail is under way, or read for the first time
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$){_LABEL}")  # two labels at least; no IPv4 address
_ONE_LABEL = re.compile(_LABEL)
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


def return_path_label(text: str, domain: str) -> str:
    """One DNS label (RFC 1035 2.3.1) in lower case, which fits before the domain; raises Invalid."""
    label = text.strip().lower()
    if not _ONE_LABEL.fullmatch(label) or len(return_path_name(domain, label)) > NAME_MAX_CHARS:
        raise Invalid(
            field="return_path_label",
            message="The return path's label must be of letters, digits and hyphens, such as bounces.",
        )
    return label


def hosting_provider(text: str | None) -> str | None:
    """A name of one line, None where it says nothing; raises Invalid."""
    name = (text or "").strip()
    if len(name) > HOSTING_PROVIDER_MAX_CHARS or not name.isprintable():
        raise Invalid(
            field="hosting_provider",
            message=f"The provider must be a line of at most {HOSTING_PROVIDER_MAX_CHARS} characters.",
        )
    return name or None


def records(domain: Domain, keys: Sequence[DkimKey], hostname: str) -> list[DnsRecord]:
    """What to publish for the domain: ownership, SPF, every key, DMARC, return path.

    `hostname` is the installation's. Keys that do not sign have None.
    """
    return [
        DnsRecord(
            "TXT",
            verification_name(domain.name),
            verification_value(domain.verification_token),
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
            "CNAME",
            return_path_name(domain.name, domain.return_path_label),
            hostname,
            Purpose.RETURN_PATH,
            domain.return_path_ok,
        ),
    ]


def status_after(domain: Domain, checks: Checks) -> DomainStatus:
    """Ownership and DKIM decide; SPF, DMARC and the return path are reported only.

    SPF speaks for the envelope's domain, which is the installation's unless the return path is set: DMARC
    passes by DKIM alone. Where the DNS did not answer nothing changes; where a record is only missing and the
    domain never was verified, it is still pending. A verified domain stays so until BAD_CHECKS_MAX bad checks
    in a row.
    """
    if _is_proved(after_check(domain, checks)):
        return DomainStatus.VERIFIED
    if domain.is_verified and bad_checks_after(domain, checks) < BAD_CHECKS_MAX:
        return DomainStatus.VERIFIED
    verdicts = {check.verdict for check in _deciding(checks).values()}
    if Verdict.WRONG in verdicts:
        return DomainStatus.FAILED
    if Verdict.MISSING in verdicts:
        return DomainStatus.PENDING if domain.verified_at is None else DomainStatus.FAILED
    return domain.status


def bad_checks_after(domain: Domain, checks: Checks) -> int:
    """Bad checks in a row, counted to BAD_CHECKS_MAX; silence of the DNS neither counts nor clears."""
    if {Verdict.WRONG, Verdict.MISSING} & {check.verdict for check in _deciding(checks).values()}:
        return min(domain.bad_checks + 1, BAD_CHECKS_MAX)
    return 0 if _is_proved(after_check(domain, checks)) else domain.bad_checks


def next_check_after(domain: Domain, checks: Checks, now: int) -> int | None:
    """When to look again: hourly, after its first day daily for what never was verified.

    None for a domain that has the operator's word, until a check has found its records.
    """
    if domain.next_check_at is None and not checks.verified:
        return None
    unproved = domain.verified_at is None and not _is_proved(after_check(domain, checks))
    is_old = now - domain.created_at >= clock.DAY
    return now + (UNPROVED_RECHECK_MS if unproved and is_old else RECHECK_MS)


def drift(before: Domain, after: Domain, checks: Checks) -> dict[str, Any]:
    """What an event says of a change of status: which records changed, and what is wrong with them.

    A verified domain that fails lost its records over several checks: they are among what changed.
    """
    flags = {name: getattr(after, name) for name in after_check(before, checks)}
    lost = {f"{name}_ok" for name in _deciding(checks)} if before.is_verified else set()
    return {
        "domain_id": to_uuid(after.id),
        "domain": after.name,
        "from": before.status.value,
        "to": after.status.value,
        "changed": {
            name: flag
            for name, flag in flags.items()
            if flag is not getattr(before, name) or (name in lost and not flag)
        },
        "reasons": {name: check.reason for name, check in _deciding(checks).items() if check.reason},
    }


def after_check(domain: Domain, checks: Checks) -> dict[str, bool]:
    """The domain's flags by column: each as the check says, or as before where it could not say."""
    asked = checks.return_path_name
    is_stale = asked not in (None, return_path_name(domain.name, domain.return_path_label))
    before_and_now = {
        "ownership_ok": (domain.ownership_ok, checks.ownership),
        "spf_ok": (domain.spf_ok, checks.spf),
        "dkim_ok": (domain.dkim_ok, checks.dkim),
        "dmarc_ok": (domain.dmarc_ok, checks.dmarc),
        "return_path_ok": (domain.return_path_ok, _UNKNOWN if is_stale else checks.return_path),
    }
    return {
        name: before if check.verdict is Verdict.UNKNOWN else check.ok
        for name, (before, check) in before_and_now.items()
    }


def next_selector(keys: Sequence[DkimKey]) -> str:
    """pr1, pr2, …: never one that was used before, for resolvers may still hold its old key."""
    used = [int(match[1]) for key in keys if (match := _SELECTOR.fullmatch(key.selector))]
    return f"pr{max(used, default=0) + 1}"


def verification_name(domain: str) -> str:
    return f"_{VERIFICATION_LABEL}.{domain}"


def verification_value(token: str) -> str:
    return f"{VERIFICATION_LABEL}-verification={token}"


def spf_term(hostname: str) -> str:
    return f"include:spf.{hostname}"


def key_name(selector: str, domain: str) -> str:
    return f"{selector}._domainkey.{domain}"


def dmarc_name(domain: str) -> str:
    return f"_dmarc.{domain}"


def return_path_name(domain: str, label: str) -> str:
    return f"{label}.{domain}"


_UNKNOWN = Check(Verdict.UNKNOWN)


def _deciding(checks: Checks) -> dict[str, Check]:
    return {"ownership": checks.ownership, "dkim": checks.dkim}


def _is_proved(flags: Mapping[str, bool]) -> bool:
    return flags["ownership_ok"] and flags["dkim_ok"]
