"""What is public and what is not, by name and against the standard library's registry."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.kit.networks import DENIED_4, DENIED_6, WRAPPINGS, is_public

PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "192.0.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1"),
    *("169.253.1.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "168.63.129.17", "11.0.0.1"),
    *("2606:4700:4700::1111", "2a00:1450:400c:c0c::1b", "2001:4860:4860::8888", "2620:4f:8001::1"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"),
    "2001:0:4136:e378:8000:63bf:f7f7:f7f7",  # Teredo: server 65.54.227.120, client 8.8.8.8
    "2606:4700::5efe:808:808",  # ISATAP around 8.8.8.8
]
NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "127.0.0.1", "127.255.255.254", "172.16.0.1"),
    *("172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255", "169.254.0.1", "192.88.99.1"),
    *("192.0.0.1", "192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "198.19.255.255"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.31.196.1", "192.175.48.6"),
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    *("::", "::1", "::127.0.0.1", "::8.8.8.8", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fdff::1"),
    *("ff02::1", "100::1", "2001:db8::1", "3fff::1", "2001:2::1", "2001:20::1", "5f00::1", "4000::1"),
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:8.8.8.8"),
    *("64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::8.8.8.8", "2002:7f00:1::1", "2002:a9fe:a9fe::"),
    *("2002:c0a8:101::1", "2606:4700:4700::1111%eth0"),
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo: client 127.0.0.1
    "2001:0:7f00:1:8000:63bf:f7f7:f7f7",  # Teredo: server 127.0.0.1
    *("2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1"),  # ISATAP
]
NO_ADDRESS = ["", " ", "localhost", "8.8.8", "8.8.8.8.8", "08.8.8.8", "0x8.8.8.8", "134744072", "8.8.8.8/32"]
NO_ADDRESS += ["8.8.8.8 ", "[::1]", "::1::", "8.8.8.8\n", "example.com", "٨.٨.٨.٨"]


@pytest.mark.parametrize("ip", PUBLIC)
def test_a_public_address_is_public(ip: str) -> None:
    assert is_public(ip)


@pytest.mark.parametrize("ip", NOT_PUBLIC)
def test_what_leads_inside_is_not_public(ip: str) -> None:
    assert not is_public(ip)


@pytest.mark.parametrize("ip", NO_ADDRESS)
def test_what_is_no_address_is_not_public(ip: str) -> None:
    assert not is_public(ip)


@pytest.mark.parametrize("network", [*DENIED_4, *DENIED_6], ids=str)
def test_a_denied_network_is_denied_from_its_first_address_to_its_last(network: object) -> None:
    assert not is_public(str(network[0]))  # type: ignore[index]
    assert not is_public(str(network[-1]))  # type: ignore[index]


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_ipv4_address_is_public_that_the_registry_calls_private(ip: IPv4Address) -> None:
    assert ip.is_global or not is_public(str(ip))


@given(st.integers(2**125, 2**126 - 1).map(IPv6Address))
def test_no_native_ipv6_address_is_public_that_the_registry_calls_private(ip: IPv6Address) -> None:
    assert ip.is_global or any(ip in network for network, _ in WRAPPINGS) or not is_public(str(ip))


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_address_in_wraps_is_as_public_as_it_is_alone(ip: IPv4Address) -> None:
    bits = int(ip)
    wrapped = (
        *(f"::ffff:{ip}", f"64:ff9b::{ip}", str(IPv6Address((0x2002 << 112) | (bits << 80) | 1))),
        str(IPv6Address((0x20010000_41_36_E3_78 << 64) | (bits ^ 0xFFFFFFFF))),
    )
    assert {is_public(each) for each in wrapped} == {is_public(str(ip))}
    assert ip_address(wrapped[2]).sixtofour == ip  # type: ignore[union-attr]
    assert ip_address(wrapped[3]).teredo[1] == ip  # type: ignore[union-attr, index]
