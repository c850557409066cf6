"""Which IP addresses lie on the public internet, by a deny list of our own. Pure: it looks nothing up.

What a stranger's DNS record or URL names is connected to only if it is public: nothing leads inside. What
cannot be read as an address is not public. A NAT64 prefix of a network's own cannot be told from any other.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

CACHE_MAX_ENTRIES = 4_096

# RFC 6890 and its registry, with what clouds answer on beside it.
DENIED_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT; 100.100.100.200 is Alibaba's metadata
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's metadata, on an address that looks public
            "169.254.0.0/16",  # link-local; 169.254.169.254 is everybody's metadata
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
GLOBAL_6 = IPv6Network("2000::/3")  # all else is reserved, local or multicast
DENIED_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: benchmarks, ORCHID (Teredo, in it, is looked into first)
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
# IPv6 that carries IPv4: its network, and where the IPv4 addresses are (bits from the right, and a mask to
# XOR with). It is as public as the addresses it carries.
WRAPPINGS = (
    (IPv6Network("::ffff:0:0/96"), ((0, 0),)),  # mapped
    (IPv6Network("64:ff9b::/96"), ((0, 0),)),  # NAT64 (RFC 6052)
    (IPv6Network("2002::/16"), ((80, 0),)),  # 6to4 (RFC 3056)
    (IPv6Network("2001::/32"), ((64, 0), (0, 0xFFFFFFFF))),  # Teredo (RFC 4380): its server, its client
)
ISATAP = (0x00005EFE, 0x02005EFE)  # before the IPv4 address in the last 64 bits (RFC 5214), in any network


@lru_cache(CACHE_MAX_ENTRIES)
def is_public(ip: str) -> bool:
    """Whether `ip` is an address that anybody on the internet may be reached at."""
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    return _is_public_4(address) if isinstance(address, IPv4Address) else _is_public_6(address)


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in network for network in DENIED_4)


def _is_public_6(address: IPv6Address) -> bool:
    if address.scope_id is not None:  # means something on this machine only
        return False
    bits = int(address)
    for network, places in WRAPPINGS:
        if address in network:
            return all(_is_public_4(_carried(bits, shift, mask)) for shift, mask in places)
    if address not in GLOBAL_6 or any(address in network for network in DENIED_6):
        return False
    return bits >> 32 & 0xFFFFFFFF not in ISATAP or _is_public_4(_carried(bits, 0, 0))


def _carried(bits: int, shift: int, mask: int) -> IPv4Address:
    return IPv4Address((bits >> shift & 0xFFFFFFFF) ^ mask)
