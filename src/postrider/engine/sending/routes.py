"""Which site a recipient's mail waits at: by how the installation delivers; accepting asks no DNS."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

SIMULATOR_DOMAIN = "simulator.postrider.test"
ASKED = "mx:?"  # and the domain: a site until the DNS has named its MX set


class Delivery(StrEnum):
    CAPTURE = "capture"
    RELAY = "relay"
    DIRECT = "direct"


def one_slot(site: str) -> int:
    """Every site is small."""
    return 1


def no_limit_known(site: str) -> int | None:
    """What the installation's setting says holds."""
    return None


@dataclass(frozen=True, slots=True)
class Routes:
    """Site names: `capture`, `simulator`, `relay`; `mx:` and an MX set, or `mx:?` and a domain."""

    delivery: Delivery
    site_connections: int = 20  # to a stranger's servers
    relay_connections: int = 40  # to our own relay; capture and simulator alike
    slots_of: Callable[[str], int] = one_slot  # into how many slots a site is split
    connections_to: Callable[[str], int | None] = no_limit_known  # of one slot of a large site

    @property
    def asks_dns(self) -> bool:
        return self.delivery is Delivery.DIRECT

    def connections_of(self, site: str) -> int:
        """How many connections one slot of the site may have."""
        if not site.startswith("mx:"):
            return self.relay_connections
        return self.connections_to(site) or self.site_connections

    def site_of(self, domain: str, known: Mapping[str, str], *, is_sandbox: bool) -> str:
        """`known` holds the sites at which domains were found lately."""
        if domain == SIMULATOR_DOMAIN:
            return "simulator"
        if is_sandbox or self.delivery is Delivery.CAPTURE:
            return "capture"
        if self.delivery is Delivery.RELAY:
            return "relay"
        return known.get(domain) or ASKED + domain

    def slot_of(self, site: str, address_key: str) -> int:
        """The slot that serves a recipient: the same one for the same address."""
        slots = self.slots_of(site)
        return zlib.crc32(address_key.encode()) % slots if slots > 1 else 0
