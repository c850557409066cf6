"""Sending domains: adding, proving and removing them, the records to publish, the keys that sign for them."""

from postrider.engine.domains.add import add
from postrider.engine.domains.due import claim_due, has_due, settle_due
from postrider.engine.domains.find import (
    by_name,
    by_number,
    find_verified,
    first_verified,
    get,
    keys_of,
    keys_of_all,
    list_domains,
    signing_keys,
)
from postrider.engine.domains.model import (
    Algorithm,
    Checks,
    DkimKey,
    DnsRecord,
    Domain,
    DomainStatus,
    SigningKey,
)
from postrider.engine.domains.remove import remove
from postrider.engine.domains.rotate import activate, rotate
from postrider.engine.domains.rules import records
from postrider.engine.domains.update import update
from postrider.engine.domains.verify import apply_checks, check

__all__ = [
    "Algorithm",
    "Checks",
    "DkimKey",
    "DnsRecord",
    "Domain",
    "DomainStatus",
    "SigningKey",
    "activate",
    "add",
    "apply_checks",
    "by_name",
    "by_number",
    "check",
    "claim_due",
    "find_verified",
    "first_verified",
    "get",
    "has_due",
    "keys_of",
    "keys_of_all",
    "list_domains",
    "records",
    "remove",
    "rotate",
    "settle_due",
    "signing_keys",
    "update",
]
