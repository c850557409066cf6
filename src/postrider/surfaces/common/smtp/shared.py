"""What the connections of one server have in common: who there is, how many, from where. No protocol here."""

import asyncio
import ssl
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Generic

from postrider.surfaces.common.smtp.backend import Backend, S
from postrider.surfaces.common.smtp.options import SmtpOptions

if TYPE_CHECKING:
    from postrider.surfaces.common.smtp.protocol import Connection


@dataclass(slots=True)
class Counters:
    """Since the start; for metrics."""

    connections: int = 0
    connections_refused: int = 0
    accepted: int = 0  # messages answered 2xx
    refused: int = 0  # complete messages answered otherwise
    octets: int = 0  # of the messages given to the backend
    auth_failures: int = 0
    tls_failures: int = 0
    timeouts: int = 0
    backend_failures: int = 0


@dataclass(slots=True)
class Shared(Generic[S]):
    """One server's state; `empty` is set whenever the last connection has left."""

    backend: Backend[S]
    options: SmtpOptions
    ssl_context: ssl.SSLContext | None
    counters: Counters = field(default_factory=Counters)
    connections: "set[Connection[S]]" = field(default_factory=set)
    per_network: dict[str, int] = field(default_factory=dict)
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False

    def enter(self, connection: "Connection[S]") -> None:
        self.counters.connections += 1
        self.connections.add(connection)
        self.per_network[connection.network] = self.per_network.get(connection.network, 0) + 1

    def leave(self, connection: "Connection[S]") -> None:
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        left = self.per_network.pop(connection.network) - 1
        if left:
            self.per_network[connection.network] = left
        if not self.connections:
            self.empty.set()

    def crowded(self, network: str) -> bool:
        """Does this make one limited connection too many?"""
        return (
            len(self.connections) > self.options.connections_max
            or self.per_network.get(network, 0) > self.options.connections_per_ip_max
        )


def peer_of(transport: asyncio.BaseTransport) -> tuple[str, str]:
    """The peer's IP address, and the network that counts as one peer: itself, or for IPv6 its /64."""
    peername = transport.get_extra_info("peername")
    if not peername:
        return "", ""
    address = ip_address(str(peername[0]).partition("%")[0])
    if not isinstance(address, IPv6Address):
        return str(address), str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped), str(address.ipv4_mapped)
    return str(address), str(IPv6Address(int(address) >> 64 << 64))
