"""Direct delivery: a courier that finds the recipient's mail hosts and tries them in turn (RFC 5321 5.1).

It keeps its connection while the next mail can use it. Where a domain belongs to another site than the one it
serves, it says so and touches nothing: limits hold only while each site's mail goes through that site.
"""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Generic, TypeVar

from postrider.engine.content.model import Mail
from postrider.engine.delivery import classify, sites
from postrider.engine.delivery.couriers import ConnectedCourier, open_connection, outcome_of, unreachable
from postrider.engine.delivery.model import Elsewhere, Job, Outcome, Verdict, Via
from postrider.engine.delivery.mx import Host, NoRoute, Route, resolve
from postrider.engine.delivery.smtp import Answer, Connection, Failure, Stage, Timeouts, Tls
from postrider.engine.delivery.tls import ResumingContext, opportunistic_context
from postrider.engine.messages import Claimed
from postrider.kit.dns import Resolver
from postrider.kit.ids import RowId

# A host that does not answer may not hold a connection's place for the minutes that RFC 5321 4.5.3.2 grants:
# its neighbours, and the other mail of the site, want that place.
TIMEOUTS = Timeouts(connect=15, greeting=60, ehlo=60, tls=30)
READY_MAX_S = 90.0  # for the look-ups and all hosts together
ADDRESSES_TRIED_MAX = 8  # in one `ready`
DELIVERIES_A_CONNECTION = 100  # to a stranger: OpenSMTPD refuses the 101st, others hang up sooner or later
RECEIVED_MAX = 50  # RFC 5321 6.3 asks for 100 at least in a server; a sender's own mail has passed few
ROUTE_KEPT_S = 5.0  # no longer than the resolver keeps the shortest-lived record
DEAD_S = 60.0  # an address at which nobody answered is tried last for so long
ROUND_S = 60.0  # a try that follows so soon is the same round, and goes to hosts not tried in it
ALIVE_S = 300.0
SITE_CHANGES_MAX = 3  # of one domain within SITE_CHANGES_S; then its mail goes from where it is
SITE_CHANGES_S = 600.0
KEPT_MAX = 10_000  # of each of the things remembered
CLOSING, TOO_MANY = 421, "4.5.3"
NOBODY = Failure(Stage.CONNECT, None, "4.4.1", "no mail host answered in time")
IN_A_LOOP = Answer(
    Stage.CONNECT, 554, "5.4.6", f"the mail has passed more than {RECEIVED_MAX} servers: it is in a loop"
)

K = TypeVar("K")
V = TypeVar("V")


class Lately(Generic[K, V]):
    """What was so a short while ago: forgotten after some seconds, or as the oldest of too many."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        until, value = self._kept.get(key, (0.0, None))
        return value if time.monotonic() < until else None

    def put(self, key: K, value: V) -> None:
        self._kept.pop(key, None)
        self._kept[key] = (time.monotonic() + self._seconds, value)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Direct:
    """How this process delivers by itself, and what its couriers tell each other."""

    hostname: str
    resolver: Resolver
    port: int = 25
    allow_private: bool = False
    context: ResumingContext = field(default_factory=opportunistic_context)  # keeps sessions by host
    timeouts: Timeouts = TIMEOUTS
    ready_max_s: float = READY_MAX_S
    routes: Lately[str, Route | NoRoute] = field(default_factory=lambda: Lately(ROUTE_KEPT_S))  # by domain
    dead: Lately[str, bool] = field(default_factory=lambda: Lately(DEAD_S))  # by IP address
    alive: Lately[str, bool] = field(default_factory=lambda: Lately(ALIVE_S))  # by site
    tried: Lately[RowId, frozenset[str]] = field(default_factory=lambda: Lately(ROUND_S))  # hosts by message
    places: Lately[str, tuple[str, int]] = field(default_factory=lambda: Lately(SITE_CHANGES_S))

    async def route(self, domain: str) -> Route | NoRoute:
        """As `resolve`, kept for seconds: even from the resolver's cache ten hosts cost hundreds of us."""
        route = self.routes.get(domain)
        if route is None:
            route = await resolve(
                domain, self.resolver, our_hostname=self.hostname, allow_private=self.allow_private
            )
            self.routes.put(domain, route)
        return route

    def place(self, domain: str, site: str) -> tuple[str, int]:
        """The site of a domain, and how often it has changed lately."""
        last, changes = self.places.get(domain) or ("", -1)
        if site != last:
            changes += 1
            self.places.put(domain, (site, changes))
        return site, changes


class DirectCourier(ConnectedCourier):
    """One connection to a host of one site."""

    via = Via.DIRECT

    def __init__(self, direct: Direct, site_name: str) -> None:
        super().__init__()
        self._direct = direct
        self._site_name = site_name
        # Of the job at hand: where it may go, in which order; names of hosts it met; the worst that was said.
        self._route: Route | None = None
        self._hosts: list[Host] = []
        self._tried: set[str] = set()
        self._refused: Outcome | None = None

    async def ready(self, job: Job) -> Outcome | Elsewhere | None:
        """Connected to a host of the recipient's domain (None), or why not; ends within `ready_max_s`."""
        self._route, self._hosts, self._tried, self._refused = None, [], set(), None
        try:
            async with asyncio.timeout(self._direct.ready_max_s):
                return await self._ready(job)
        except TimeoutError:
            self.abort()
            return self._in_vain()

    def adapt(self, mail: Mail) -> Mail | Outcome:
        if sum(name.lower() == "received" for name, _ in mail.headers) > RECEIVED_MAX:
            return outcome_of(self.via, IN_A_LOOP)
        return super().adapt(mail)

    async def deliver(self, job: Job, return_path: str, mail: Mail, data: Sequence[bytes]) -> Outcome:
        outcome = await super().deliver(job, return_path, mail, data)
        if outcome.verdict is Verdict.DEFERRED:
            self._direct.tried.put(job.claimed.id, frozenset(self._tried))
            return replace(outcome, hosts_left=self._hosts_left)
        return outcome

    async def _ready(self, job: Job) -> Outcome | Elsewhere | None:
        route = await self._direct.route(job.claimed.address_key.rpartition("@")[2])
        if isinstance(route, NoRoute):
            return outcome_of(self.via, Answer(Stage.CONNECT, route.code, route.enhanced, route.text))
        site, changes = self._direct.place(route.domain, sites.site_name(route))
        # A domain whose MX set is another at every look would be sent from site to site for ever.
        if site != self._site_name and changes <= SITE_CHANGES_MAX:
            return Elsewhere(site)
        self._route = route
        self._hosts = self._order(route, job.claimed)
        if self._fits(job.claimed):
            return None
        await self.close()
        return await self._open()

    def _order(self, route: Route, claimed: Claimed) -> list[Host]:
        """The hosts by preference, equals in any order; a second attempt never begins where the first did."""
        hosts = [host for group in route.groups for host in random.sample(group, len(group))]
        if claimed.attempts != 1:
            return hosts
        before = self._direct.tried.get(claimed.id)
        if before is None:  # long ago, or in another process: it began with the first
            return hosts[1:] + hosts[:1]
        return [host for host in hosts if host.name not in before] or hosts

    def _fits(self, claimed: Claimed) -> bool:
        """Whether the connection there is can be used."""
        hosts = self._hosts[:1] if claimed.attempts == 1 else self._hosts
        if self._connection is None or not self._has_room(DELIVERIES_A_CONNECTION):
            return False
        if self._connection.host not in [host.name for host in hosts]:
            return False
        self._tried.add(self._connection.host)
        return True

    async def _open(self) -> Outcome | None:
        for host, address in islice(self._addresses(), ADDRESSES_TRIED_MAX):
            self._tried.add(host.name)
            if await self._open_at(host.name, address):
                return None
        return self._in_vain()

    def _addresses(self) -> list[tuple[Host, str]]:
        """Every address of every host in turn, those at which nobody answered a moment ago last."""
        pairs = [(host, address) for host in self._hosts for address in host.addresses]
        return sorted(pairs, key=lambda pair: self._is_dead(pair[1]))

    async def _open_at(self, host: str, address: str) -> bool:
        """Connect to one address; a failure is kept where it says more than what was kept."""
        direct = self._direct
        opened = await open_connection(
            host, direct.port, ip=address, hostname=direct.hostname, tls=Tls.OPPORTUNISTIC,
            ssl_context=direct.context, timeouts=direct.timeouts,
        )  # fmt: skip
        if isinstance(opened, Connection):
            self._use(opened)
            direct.alive.put(self._site_name, True)
            return True
        if opened.code is None:
            direct.dead.put(address, True)
        if self._refused is None or opened.code is not None:
            self._refused = unreachable(self.via, opened, host=host, ip=address)
        return False

    async def _open_again(self, outcome: Outcome) -> Outcome | None:
        """To the same host, for which the mail was made to fit; another one is the next attempt's."""
        assert outcome.host is not None
        assert outcome.ip is not None
        if await self._open_at(outcome.host, outcome.ip):
            return None
        return outcome if self._hosts_left else self._in_vain()

    def _is_spent(self, answer: Answer) -> bool:
        """Also where the peer took mail on this connection and has had enough of it."""
        is_tired = answer.code == CLOSING or answer.enhanced == TOO_MANY
        return super()._is_spent(answer) or (is_tired and self._delivered > 1)

    @property
    def _hosts_left(self) -> int:
        """Hosts worth a try that this attempt did not meet."""
        hosts = self._route.hosts if self._route is not None else ()
        return sum(
            host.name not in self._tried and not all(map(self._is_dead, host.addresses)) for host in hosts
        )

    def _is_dead(self, address: str) -> bool:
        return self._direct.dead.get(address) is True

    def _in_vain(self) -> Outcome:
        """No host took us, which is the site's trouble, unless others there are known to answer."""
        refused = self._refused or unreachable(self.via, NOBODY)
        is_partial = self._route is not None and len(self._hosts) < len(self._route.hosts)
        is_one_of_many = sites.is_shared(self._site_name) and self._direct.alive.get(self._site_name)
        if is_partial or (is_one_of_many and refused.code is None):
            return _deferred(refused)
        return refused


def _deferred(outcome: Outcome) -> Outcome:
    """The mail waits for its next try: a refusal before it was offered is no verdict on it."""
    assert outcome.classified is not None
    classified = replace(outcome.classified, verdict=classify.Verdict.DEFERRED, bounce_class=None)
    return replace(outcome, verdict=Verdict.DEFERRED, classified=classified)
