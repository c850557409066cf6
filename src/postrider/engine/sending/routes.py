"""Which site a recipient's mail waits at: by how the installation delivers; accepting looks nothing up."""

from dataclasses import dataclass
from enum import StrEnum

SIMULATOR_DOMAIN = "simulator.postrider.test"


class Delivery(StrEnum):
    CAPTURE = "capture"
    RELAY = "relay"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Routes:
    """Site names: `capture`, `simulator`, `relay`; `mx:` and the domain until its MX set is known."""

    delivery: Delivery
    site_connections: int = 20  # to a stranger's servers
    relay_connections: int = 40  # to our own relay; capture and simulator alike

    def connections_of(self, site: str) -> int:
        return self.site_connections if site.startswith("mx:") else self.relay_connections

    def site_of(self, domain: str, *, is_sandbox: bool) -> str:
        if domain == SIMULATOR_DOMAIN:
            return "simulator"
        if is_sandbox or self.delivery is Delivery.CAPTURE:
            return "capture"
        return "relay" if self.delivery is Delivery.RELAY else f"mx:{domain}"
