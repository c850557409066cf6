"""What is known of an address that hits come from: whose it is by the operator's list, and its place."""

from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import maxminddb

from postrider.engine.engagement import agents

CACHE_MAX_ADDRESSES = 20_000
NAME_MAX_CHARS = 100
_LANGUAGE = "en"


class Sources:
    """One for the process. Files are read once, at start; a file that cannot be read is an error there."""

    def __init__(self, ranges: "Ranges | None" = None, places: maxminddb.Reader | None = None) -> None:
        self._ranges = ranges or Ranges(())
        self._places = places
        self.range_of = lru_cache(CACHE_MAX_ADDRESSES)(self._ranges.name_of)
        self.place_of = lru_cache(CACHE_MAX_ADDRESSES)(self._place_of)

    @classmethod
    def load(cls, *, ranges_file: str, geoip_file: str) -> "Sources":
        """Raises OSError for a missing file, ValueError for a line that is no network or no such database."""
        ranges = Ranges.read(Path(ranges_file).read_text()) if ranges_file else None
        try:
            places = maxminddb.open_database(geoip_file) if geoip_file else None
        except maxminddb.InvalidDatabaseError as error:
            raise ValueError(f"{geoip_file}: {error}") from None
        agents.get_ready()
        return cls(ranges, places)

    def _place_of(self, ip: str) -> dict[str, str] | None:
        """{country (ISO 3166), country_name, region, city}, as far as they are known."""
        if self._places is None:
            return None
        try:
            found: Any = self._places.get(ip)
        except (ValueError, maxminddb.InvalidDatabaseError):  # no address; IPv6 in a database of IPv4
            return None
        if not isinstance(found, dict):
            return None
        country = found.get("country") or found.get("registered_country") or {}
        regions = found.get("subdivisions") or [{}]
        place = {
            "country": country.get("iso_code"),
            "country_name": _name(country),
            "region": _name(regions[0]),
            "city": _name(found.get("city") or {}),
        }
        return {key: value for key, value in place.items() if value} or None


class Ranges:
    """Networks with names; of several that hold an address the smallest tells."""

    def __init__(self, networks: "tuple[tuple[str, str], ...]") -> None:
        self._by_size: dict[tuple[int, int], dict[int, str]] = {}
        for text, name in networks:
            network = ip_network(text, strict=False)
            shift = network.max_prefixlen - network.prefixlen
            names = self._by_size.setdefault((network.version, shift), {})
            names[int(network.network_address) >> shift] = name
        self._sizes = sorted(self._by_size, key=lambda size: size[1])

    @classmethod
    def read(cls, text: str) -> "Ranges":
        """A CIDR a line, a name after it if there is one; `#` begins a comment."""
        networks = []
        for number, line in enumerate(text.splitlines(), 1):
            network, _, name = line.partition("#")[0].strip().partition(" ")
            if not network:
                continue
            try:
                ip_network(network, strict=False)
            except ValueError as error:
                raise ValueError(f"scanner ranges, line {number}: {error}") from None
            networks.append((network, name.strip()[:NAME_MAX_CHARS] or network))
        return cls(tuple(networks))

    def name_of(self, ip: str) -> str | None:
        if not self._sizes:
            return None
        try:
            address = ip_address(ip)
        except ValueError:
            return None
        number, version = int(address), address.version
        for size in self._sizes:
            if size[0] == version and (name := self._by_size[size].get(number >> size[1])) is not None:
                return name
        return None


@lru_cache(CACHE_MAX_ADDRESSES)
def source_of(ip: str) -> str:
    """Who hits of one address are of: an IPv4 address, the /64 of an IPv6 one."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    return ip if address.version == 4 else str(int(address) >> 64)


def _name(place: dict[str, Any]) -> str | None:
    names = place.get("names")
    name = names.get(_LANGUAGE) if isinstance(names, dict) else None
    return name if isinstance(name, str) else None
