"""The site a route belongs to: a set of MX hosts by its name, the large receivers by sites.toml. Pure.

Limits, pace and rest apply by this name, so that one receiver is one site however many domains it serves.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib import resources
from typing import cast

from postrider.engine.delivery.mx import Route

NAME_MAX_CHARS = 200
PREFIX = "mx:"
PROVISIONAL = "mx:?"  # and the domain: a site until its MX set is known; no host's name begins so
DIGEST_CHARS = 16
NAMES_KEPT = 20_000
_FILE = "sites.toml"


class InvalidSites(ValueError):
    """sites.toml does not hold what it must; the text names the site."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One entry of the file."""

    name: str
    hosts: frozenset[str]
    ends: tuple[str, ...]  # each begins with a dot or a hyphen
    slots: int
    max_connections: int

    def has(self, host: str) -> bool:
        return host in self.hosts or host.endswith(self.ends)


def site_name(route: Route) -> str:
    """`mx:` and a large receiver's name, or the hosts in order; past 200 characters the rest as a hash."""
    return _name(route.names)


def slots_of(name: str) -> int:
    """How many workers may serve the site at once: 1 unless sites.toml says more."""
    receiver = _by_site().get(name)
    return receiver.slots if receiver else 1


def is_shared(name: str) -> bool:
    """Whether many MX sets make up the site: what is true of one domain's hosts need not be of all."""
    return name in _by_site()


def connections_of(name: str) -> int | None:
    """The most connections of one slot; None where the installation's setting holds."""
    receiver = _by_site().get(name)
    return receiver.max_connections if receiver else None


def read_sites(source: str) -> tuple[Receiver, ...]:
    """Raises InvalidSites for anything but complete entries with hosts of their own."""
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSites(str(error)) from None
    entries = document.get("site")
    if set(document) != {"site"} or not isinstance(entries, list):
        raise InvalidSites("expected [[site]] entries and nothing else")
    receivers = tuple(_read(entry) for entry in entries)
    for words in ([each.name for each in receivers], [host for entry in entries for host in entry["hosts"]]):
        if len(set(words)) != len(words):
            raise InvalidSites("two sites have one name or host")
    return receivers


@lru_cache(NAMES_KEPT)
def _name(hosts: tuple[str, ...]) -> str:
    for receiver in _by_site().values():
        if all(receiver.has(host) for host in hosts):
            return PREFIX + receiver.name
    name = PREFIX + ",".join(sorted(hosts))
    if len(name) <= NAME_MAX_CHARS:
        return name
    digest = sha256(name.encode()).hexdigest()[:DIGEST_CHARS]
    return f"{name[: NAME_MAX_CHARS - DIGEST_CHARS - 1]}~{digest}"


@lru_cache(1)
def _by_site() -> Mapping[str, Receiver]:
    receivers = read_sites(resources.files(__package__).joinpath(_FILE).read_text("utf-8"))
    return {PREFIX + receiver.name: receiver for receiver in receivers}


_ENDS = (".", "-")
_Numbers = tuple[list[str], int, int]
_KEYS = {"name": str, "hosts": list, "slots": int, "max_connections": int}


def _read(entry: Mapping[str, object]) -> Receiver:
    name = entry.get("name", "a site without name")
    if set(entry) != set(_KEYS) or not all(isinstance(entry[key], kind) for key, kind in _KEYS.items()):
        raise InvalidSites(f"{name}: expected {', '.join(_KEYS)}")
    hosts, slots, connections = cast(_Numbers, (entry["hosts"], entry["slots"], entry["max_connections"]))
    if not hosts or not all(isinstance(host, str) and "." in host[1:] for host in hosts):
        raise InvalidSites(f"{name}: hosts are names with a dot")
    if not str(name).isalnum() or min(slots, connections) < 1:
        raise InvalidSites(f"{name}: a name is letters and digits, numbers are 1 at least")
    ends = tuple(host for host in hosts if host.startswith(_ENDS))
    return Receiver(str(name), frozenset(hosts).difference(ends), ends, slots, connections)
