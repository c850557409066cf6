"""DNS look-ups with a cache and hard limits: every answer is a value, also the failures.

It is a stub: it asks recursive resolvers and follows no CNAME beyond the answer it was given. It refuses to
raise for anything that the network or a server says.
"""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
from dns.rdatatype import RdataType

from postrider.kit import clock

TRY_TIMEOUT_S = 2.0  # for one question to one server
TOTAL_TIMEOUT_S = 5.0  # for a look-up with all its tries, and its wait for its turn
LOOKUPS_AT_ONCE = 256  # each holds a socket
CACHE_MAX_ENTRIES = 20_000
TTL_MIN_S = 5
TTL_MAX_S = 3_600
NEGATIVE_TTL_MAX_S = 300  # RFC 2308 allows hours; people publish records and want them seen
FAILURE_TTL_S = 5
RECORDS_MAX = 100  # of one name and type
UDP_PAYLOAD_BYTES = 1_232  # fits an unfragmented packet; what is larger comes by TCP (at most 65,535 bytes)

T = TypeVar("T")


class Outcome(Enum):
    FOUND = "found"
    NO_NAME = "no such name"  # NXDOMAIN
    NO_DATA = "no record of this type"
    FAILED = "failed"  # nothing is known: time-out, SERVFAIL, nonsense


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`records` where the outcome is FOUND, a `reason` for people where it is FAILED."""

    outcome: Outcome
    records: tuple[T, ...] = ()
    reason: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the DNS answered: with records, or that there are none."""
        return self.outcome is not Outcome.FAILED


@dataclass(frozen=True, slots=True, order=True)
class Mx:
    """A mail host; the empty host is the null MX (RFC 7505): the domain takes no mail."""

    preference: int
    host: str


class Resolver:
    """Look-ups through `servers`, each (IP address, port), in order; the system's where none is given.

    `fresh=True` asks again although an answer is cached: for people who have just changed a record.
    """

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        self._client = _client_of(servers)
        self._backend = dns.asyncbackend.get_backend("asyncio")
        self._cache: OrderedDict[tuple[str, RdataType], tuple[int, Answer[Any]]] = OrderedDict()
        self._running: dict[tuple[str, RdataType], asyncio.Task[Answer[Any]]] = {}
        self._turns = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def txt(self, name: str, *, fresh: bool = False) -> Answer[str]:
        """Each record's strings joined, as RFC 7208 3.3 and RFC 6376 3.6.2.2 read them."""
        return await self._look_up(name, RdataType.TXT, fresh=fresh)

    async def cname(self, name: str, *, fresh: bool = False) -> Answer[str]:
        """The target in lower case, without the last dot."""
        return await self._look_up(name, RdataType.CNAME, fresh=fresh)

    async def mx(self, name: str, *, fresh: bool = False) -> Answer[Mx]:
        """Lowest preference first."""
        return await self._look_up(name, RdataType.MX, fresh=fresh)

    async def a(self, name: str, *, fresh: bool = False) -> Answer[str]:
        return await self._look_up(name, RdataType.A, fresh=fresh)

    async def aaaa(self, name: str, *, fresh: bool = False) -> Answer[str]:
        return await self._look_up(name, RdataType.AAAA, fresh=fresh)

    async def ptr(self, address: str, *, fresh: bool = False) -> Answer[str]:
        """The name of an IP address, in lower case without the last dot."""
        return await self._look_up(ipaddress.ip_address(address).reverse_pointer, RdataType.PTR, fresh=fresh)

    async def _look_up(self, name: str, kind: RdataType, *, fresh: bool) -> Answer[Any]:
        key = (name.lower().rstrip("."), kind)
        cached = self._cache.get(key)
        if cached is not None and not fresh and clock.now_ms() < cached[0]:
            self._cache.move_to_end(key)
            return cached[1]
        # Those who ask for one name at one time share a look-up, which goes on when one of them gives up.
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask_and_keep(key))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def _ask_and_keep(self, key: tuple[str, RdataType]) -> Answer[Any]:
        answer, ttl_s = await self._ask(*key)
        self._cache[key] = (clock.now_ms() + ttl_s * clock.SECOND, answer)
        self._cache.move_to_end(key)
        if len(self._cache) > CACHE_MAX_ENTRIES:
            self._cache.popitem(last=False)
        return answer

    async def _ask(self, name: str, kind: RdataType) -> tuple[Answer[Any], int]:
        try:
            question = dns.name.from_text(name)
            async with asyncio.timeout(TOTAL_TIMEOUT_S), self._turns:
                found = await self._client.resolve(
                    question, kind, search=False, raise_on_no_answer=False, backend=self._backend
                )
        except dns.resolver.NXDOMAIN as error:
            (response,) = error.kwargs["responses"].values()
            return Answer(Outcome.NO_NAME), _ttl_s(response.resolve_chaining(), NEGATIVE_TTL_MAX_S)
        except (dns.exception.DNSException, UnicodeError, TimeoutError) as error:
            return Answer(Outcome.FAILED, reason=_reason(error)), FAILURE_TTL_S
        if found.rrset is None:
            return Answer(Outcome.NO_DATA), _ttl_s(found.chaining_result, NEGATIVE_TTL_MAX_S)
        if len(found.rrset) > RECORDS_MAX:
            return Answer(Outcome.FAILED, reason=f"more than {RECORDS_MAX} records"), FAILURE_TTL_S
        records = tuple(sorted(_READERS[kind](record) for record in found.rrset))
        return Answer(Outcome.FOUND, records), _ttl_s(found.chaining_result, TTL_MAX_S)


def _client_of(servers: Sequence[tuple[str, int]]) -> dns.asyncresolver.Resolver:
    try:
        client = dns.asyncresolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration:  # no /etc/resolv.conf: each look-up will say so
        client = dns.asyncresolver.Resolver(configure=False)
    if servers:
        client.nameservers = [
            dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(host)), port) for host, port in servers
        ]
    client.timeout = TRY_TIMEOUT_S
    client.lifetime = TOTAL_TIMEOUT_S
    client.cache = None
    client.use_edns(0, 0, UDP_PAYLOAD_BYTES)
    return client


def _ttl_s(chain: dns.message.ChainingResult, max_s: int) -> int:
    """The least of all records on the way, with the SOA's word on absence (RFC 2308 5)."""
    return max(TTL_MIN_S, min(chain.minimum_ttl, max_s))


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError() | dns.resolver.LifetimeTimeout():
            return "no answer in time"
        case dns.resolver.NoNameservers():
            faults = [fault[3] for fault in error.kwargs.get("errors", ())]
            said = faults[-1] if faults else "no server to ask"
            return said if isinstance(said, str) else str(said) or type(said).__name__
        case UnicodeError() | dns.name.LabelTooLong() | dns.name.NameTooLong() | dns.name.EmptyLabel():
            return "not a domain name"
    return str(error)


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


_READERS: dict[RdataType, Callable[[Any], Any]] = {
    RdataType.TXT: lambda record: b"".join(record.strings).decode("utf-8", "replace"),
    RdataType.CNAME: lambda record: _host(record.target),
    RdataType.PTR: lambda record: _host(record.target),
    RdataType.MX: lambda record: Mx(record.preference, _host(record.exchange)),
    RdataType.A: lambda record: str(record.address),
    RdataType.AAAA: lambda record: str(record.address),
}
