"""Sending domains, their keys, the records they publish and what the DNS said of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from postrider.kit.ids import RowId


class DomainStatus(StrEnum):
    PENDING = "pending"  # not proved yet
    VERIFIED = "verified"
    FAILED = "failed"  # a record is wrong, or one that was there is gone


class KeyState(StrEnum):
    NEXT = "next"  # published, not yet signing
    ACTIVE = "active"
    RETIRED = "retired"  # published for the mail under way, no longer signing


class Algorithm(StrEnum):
    """As in a signature's a= (RFC 6376, RFC 8463)."""

    RSA = "rsa-sha256"
    ED25519 = "ed25519-sha256"

    @property
    def key_type(self) -> str:
        """As in a key record's k=."""
        return self.value.partition("-")[0]


class Purpose(StrEnum):
    VERIFICATION = "verification"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    RETURN_PATH = "return_path"


@dataclass(frozen=True, slots=True)
class Domain:
    """A sending domain of one organization; two organizations may have one name, each with its own proof."""

    organization_id: int
    id: RowId
    number: int  # counted per organization
    name: str  # A-labels, lower case
    status: DomainStatus
    verification_token: str
    ownership_ok: bool
    spf_ok: bool
    dkim_ok: bool
    dmarc_ok: bool
    return_path_ok: bool
    tracking_enabled: bool | None  # None: as the organization has it
    open_tracking_enabled: bool | None
    click_tracking_enabled: bool | None
    unsubscribe_header_enabled: bool | None
    tracking_domain_id: RowId | None
    return_path_label: str  # one DNS label below the name
    hosting_provider: str | None  # as the customer names it; told back, nothing follows from it
    checked_at: int | None
    next_check_at: int | None  # None: nobody looks by himself, the operator's word holds
    bad_checks: int  # in a row, counted to rules.BAD_CHECKS_MAX
    verified_at: int | None  # the first time
    created_at: int

    @property
    def is_verified(self) -> bool:
        return self.status is DomainStatus.VERIFIED


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A key as it is listed: its private half stays in the store."""

    organization_id: int
    id: RowId
    domain_id: RowId
    selector: str
    algorithm: Algorithm
    state: KeyState
    public_key: str  # base64, as it stands in p=
    created_at: int
    activated_at: int | None
    retired_at: int | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair that has no domain yet; `sealed` is bound to `id`."""

    id: RowId
    algorithm: Algorithm
    sealed: bytes = field(repr=False)  # PKCS#8 DER
    public_key: str


class SigningKey(NamedTuple):
    """What the delivering side needs to sign: `Sealer.unseal(sealed, key_id)` gives PKCS#8 DER."""

    selector: str
    algorithm: Algorithm
    sealed: bytes
    key_id: RowId
    domain: str
    return_path: str | None = None  # the domain's own host for bounces, where the DNS points it to us


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record to publish. `verified` is what the last check said; None where it says nothing."""

    type: str  # TXT, CNAME
    name: str
    value: str  # a TXT value unquoted and uncut: zone files want it in strings of at most 255 octets
    purpose: Purpose
    verified: bool | None


class Verdict(StrEnum):
    OK = "ok"
    MISSING = "missing"  # the DNS says that there is no such record
    WRONG = "wrong"  # there is one, and it is not as it should be
    UNKNOWN = "unknown"  # the DNS did not say: nothing may be concluded


@dataclass(frozen=True, slots=True)
class Check:
    verdict: Verdict
    reason: str = ""  # a sentence for people, empty where all is well

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.OK


@dataclass(frozen=True, slots=True)
class Checks:
    """What the DNS said of a domain at one time; `dkim` is of all that sign, `keys` of each key by its id."""

    ownership: Check
    spf: Check
    dkim: Check
    dmarc: Check
    return_path: Check
    keys: Mapping[RowId, Check] = field(default_factory=dict)
    return_path_name: str | None = None  # what was asked for; a label changed meanwhile makes it another

    @property
    def verified(self) -> bool:
        """Ownership and DKIM: what `apply_checks` asks for."""
        return self.ownership.ok and self.dkim.ok
