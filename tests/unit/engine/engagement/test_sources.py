"""What is known of addresses: the operator's ranges, places out of a database, and who is one source."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.engagement import mmdb

from postrider.engine.engagement import Sources
from postrider.engine.engagement.sources import Ranges, source_of

RANGES = """
# the gateway of our largest customer
198.51.100.0/24  Example Shield
198.51.100.128/25 Example Shield, second site
2001:db8::/32
203.0.113.7
"""
NEW_YORK = {
    "country": {"iso_code": "US", "names": {"en": "United States", "de": "USA"}},
    "subdivisions": [{"iso_code": "NY", "names": {"en": "New York"}}],
    "city": {"names": {"en": "New York"}},
}


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        ("198.51.100.1", "Example Shield"),
        ("198.51.100.200", "Example Shield, second site"),
        ("198.51.101.1", None),
        ("2001:db8::1", "2001:db8::/32"),
        ("2001:db9::1", None),
        ("203.0.113.7", "203.0.113.7"),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_smallest_range_that_holds_an_address_names_it(ip: str, name: str | None) -> None:
    assert Ranges.read(RANGES).name_of(ip) == name


def test_a_file_that_cannot_be_read_is_told_at_start_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "ranges").write_text("198.51.100.0/24\n198.51.100.0/33 no\n")
    with pytest.raises(ValueError, match="line 2"):
        Sources.load(ranges_file=str(tmp_path / "ranges"), geoip_file="")
    with pytest.raises(ValueError, match="ranges"):
        Sources.load(ranges_file="", geoip_file=str(tmp_path / "ranges"))
    with pytest.raises(FileNotFoundError):
        Sources.load(ranges_file=str(tmp_path / "none"), geoip_file="")
    with pytest.raises(FileNotFoundError):
        Sources.load(ranges_file="", geoip_file=str(tmp_path / "none"))


def test_a_place_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    places: dict[str, dict[str, Any]] = {
        "203.0.113.0/24": NEW_YORK,
        "198.51.100.0/24": {"country": {"iso_code": "DE", "names": {"en": "Germany"}}},
        "192.0.2.0/24": {"continent": {"names": {"en": "Europe"}}},
    }
    (tmp_path / "city.mmdb").write_bytes(mmdb.write(places))
    sources = Sources.load(ranges_file="", geoip_file=str(tmp_path / "city.mmdb"))
    assert sources.place_of("203.0.113.9") == {
        "country": "US", "country_name": "United States", "region": "New York", "city": "New York",
    }  # fmt: skip
    assert sources.place_of("198.51.100.9") == {"country": "DE", "country_name": "Germany"}
    for ip in ("192.0.2.1", "8.8.8.8", "2001:db8::1", "nonsense", ""):
        assert sources.place_of(ip) is None, ip
    assert Sources().place_of("203.0.113.9") is None


def test_a_source_is_an_address_or_the_network_of_one() -> None:
    assert source_of("203.0.113.1") != source_of("203.0.113.2")
    assert source_of("2001:db8::1") == source_of("2001:db8::2") != source_of("2001:db8:0:1::1")
    assert source_of("nonsense") == "nonsense"
