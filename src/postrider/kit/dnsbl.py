"""DNS blocklists (RFC 5782): which name to ask for an address or a host, and what an answer means. Pure."""

import ipaddress
from collections.abc import Sequence

# Lists tell by other codes that they do not answer this resolver, or not this sort of question.
_REFUSALS = (ipaddress.IPv4Network("127.255.255.0/24"), ipaddress.IPv4Network("127.0.1.255/32"))
_LISTED = ipaddress.IPv4Network("127.0.0.0/8")


def question(subject: str, zone: str) -> str:
    """The name to look up (A): 192.0.2.99 at bl.example is 99.2.0.192.bl.example; of IPv6 every nibble."""
    try:
        address = ipaddress.ip_address(subject)
    except ValueError:
        return f"{subject.rstrip('.').lower()}.{zone}"
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa") + "." + zone


def is_listed(records: Sequence[str]) -> bool:
    """Whether the records of a list's answer say so; a parked domain answers with any address at all."""
    addresses = [ipaddress.IPv4Address(record) for record in records]
    if any(address not in _LISTED for address in addresses):
        return False
    return any(not any(address in refusal for refusal in _REFUSALS) for address in addresses)
