"""The name by which limits apply to a set of mail hosts."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.engine.delivery.mx import Route
from postrider.engine.delivery.sites import (
    NAME_MAX_CHARS,
    PROVISIONAL,
    InvalidSites,
    connections_of,
    is_shared,
    read_sites,
    site_name,
    slots_of,
)

GOOGLE = ["aspmx.l.google.com", "alt1.aspmx.l.google.com", "alt2.aspmx.l.google.com", "aspmx3.googlemail.com"]


def _site(*names: str) -> str:
    return site_name(Route("y.test", names, ()))


def test_a_site_is_named_by_its_hosts_in_whatever_order() -> None:
    hosts = ("mx1.y.test", "mx2.y.test", "backup.z.test")
    assert {_site(*order) for order in itertools.permutations(hosts)} == {
        "mx:backup.z.test,mx1.y.test,mx2.y.test"
    }


def test_two_sets_of_hosts_are_two_sites() -> None:
    assert len({_site("a.test"), _site("b.test"), _site("a.test", "b.test")}) == 3


@given(st.sets(st.from_regex(r"[a-z]{1,60}\.[a-z]{2,60}\.test", fullmatch=True), min_size=1, max_size=10))
def test_a_name_is_short_and_never_provisional(hosts: set[str]) -> None:
    name = _site(*hosts)
    assert len(name) <= NAME_MAX_CHARS
    assert name == _site(*sorted(hosts, reverse=True))
    assert name.startswith("mx:")
    assert not name.startswith(PROVISIONAL)
    assert name.isprintable()


def test_long_sets_that_begin_alike_are_told_apart() -> None:
    common = [f"mail-exchanger-number-{number:02}.a-rather-long-name.test" for number in range(8)]
    one, other = _site(*common, "zz1.test"), _site(*common, "zz2.test")
    assert one != other
    assert len(one) == len(other) == NAME_MAX_CHARS
    assert one.startswith("mx:mail-exchanger-number-00.a-rather-long-name.test,")


@pytest.mark.parametrize(
    ("hosts", "site"),
    [
        (GOOGLE, "mx:google"),
        (["gmail-smtp-in.l.google.com", "alt4.gmail-smtp-in.l.google.com"], "mx:google"),
        (["smtp.google.com"], "mx:google"),
        (["contoso-com.mail.protection.outlook.com"], "mx:microsoft"),
        (["outlook-com.olc.protection.outlook.com"], "mx:microsoft"),
        (["contoso-com.o-v1.mx.microsoft"], "mx:microsoft"),
        (["mta5.am0.yahoodns.net", "mta6.am0.yahoodns.net", "mta7.am0.yahoodns.net"], "mx:yahoo"),
        (["mx-aol.mail.gm0.yahoodns.net"], "mx:yahoo"),
        (["mx01.mail.icloud.com", "mx02.mail.icloud.com"], "mx:icloud"),
        (["eu-smtp-inbound-1.mimecast.com", "eu-smtp-inbound-2.mimecast.com"], "mx:mimecast"),
        (["mxa-0012ab01.gslb.pphosted.com", "mxb-0012ab01.gslb.pphosted.com"], "mx:proofpoint"),
    ],
)
def test_a_large_receiver_is_one_site(hosts: list[str], site: str) -> None:
    assert _site(*hosts) == site
    assert is_shared(site)


@pytest.mark.parametrize(
    "hosts",
    [
        ["www.google.com"],
        ["evil-aspmx.l.google.com"],
        ["aspmx.l.google.com.evil.test"],
        ["mail.protection.outlook.com"],
        ["www.mimecast.com"],
        [*GOOGLE, "backup.evil.test"],
    ],
)
def test_a_stranger_does_not_get_into_a_large_receivers_site(hosts: list[str]) -> None:
    assert _site(*hosts) == "mx:" + ",".join(sorted(hosts))


def test_a_large_site_has_slots_and_connections_of_its_own() -> None:
    assert slots_of("mx:google") > 1
    assert (connections_of("mx:google") or 0) > 1
    assert (slots_of("mx:mx.y.test"), connections_of("mx:mx.y.test")) == (1, None)
    assert (slots_of("relay"), connections_of("relay")) == (1, None)
    assert not is_shared("mx:mx.y.test")


ENTRY = '[[site]]\nname = "a"\nhosts = ["mx.a.test"]\nslots = 1\nmax_connections = 1\n'


@pytest.mark.parametrize(
    "source",
    [
        "",
        "site = 3",
        "not toml",
        ENTRY + "other = 1\n",
        "other = 1\n" + ENTRY,
        ENTRY + ENTRY,
        ENTRY + ENTRY.replace('"a"', '"b"'),
        ENTRY.replace('"a"', '"a.test"'),
        ENTRY.replace('"a"', '"?a"'),
        ENTRY.replace('"a"', '""'),
        ENTRY.replace('["mx.a.test"]', "[]"),
        ENTRY.replace('["mx.a.test"]', "[1]"),
        ENTRY.replace('["mx.a.test"]', '[".test"]'),
        ENTRY.replace("slots = 1", "slots = 0"),
        ENTRY.replace("slots = 1", 'slots = "1"'),
        ENTRY.replace("slots = 1\n", ""),
        ENTRY.replace("max_connections = 1", "max_connections = -1"),
    ],
)
def test_faulty_sites_are_refused_on_load(source: str) -> None:
    assert read_sites(ENTRY)[0].has("mx.a.test")
    with pytest.raises(InvalidSites):
        read_sites(source)
