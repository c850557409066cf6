"""Where mail for a domain goes: its MX hosts and their addresses (RFC 5321 5.1, RFC 7505). Faults are values.

It looks up and judges. Which of equal hosts is tried first, and what follows a fault, is decided elsewhere.
"""

import asyncio
import re
from itertools import chain, groupby, zip_longest

from postrider.kit.dns import Answer, Mx, Outcome, Resolver
from postrider.kit.networks import is_public
from postrider.kit.record import record

HOSTS_MAX = 10  # the best of a domain's; the world's largest have five
ADDRESSES_MAX = 4  # of one host
NAME_MAX_CHARS = 253
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
# Two labels at least: no mail is sent to a top-level domain or to localhost. The last one is no number, or an
# IP address would pass for a name.
_NAME = re.compile(rf"(?:{_LABEL}\.)+(?!\d+\Z){_LABEL}")


@record
class Host:
    """A mail host that has an address; IPv4 and IPv6 by turns, IPv4 first."""

    name: str
    addresses: tuple[str, ...]


@record
class Route:
    """Where a domain's mail can go.

    `names` are all its mail hosts, sorted: they name the site, so they do not depend on what could be looked
    up just now. `groups` are the hosts with an address, the most preferred first, equals together.
    """

    domain: str
    names: tuple[str, ...]
    groups: tuple[tuple[Host, ...], ...]

    @property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(chain.from_iterable(self.groups))


@record
class NoRoute:
    """Why there is no way, in the form of a reply: 5xx for good, no code where nothing is known for now."""

    code: int | None
    enhanced: str
    text: str


async def resolve(
    domain: str, resolver: Resolver, *, our_hostname: str, allow_private: bool
) -> Route | NoRoute:
    """The route of a domain in ASCII (A-labels).

    `our_hostname` is the name this installation goes by: mail for which it is the best host would come back.
    Without `allow_private` only public addresses count, so that no stranger's record leads into our network.
    """
    domain = _plain(domain)
    if domain.startswith("["):  # RFC 5321 4.1.3; no customer needs it, and it would pass by every DNS record
        return NoRoute(550, "5.1.2", "address literals take no mail from here")
    if not _is_name(domain):
        return NoRoute(550, "5.1.2", "the address has no domain that could exist")
    found = _mail_hosts(domain, await resolver.mx(domain))
    if isinstance(found, NoRoute):
        return found
    ahead = _ahead_of_us(found, _plain(our_hostname))[:HOSTS_MAX]
    if not ahead:
        return NoRoute(
            550, "5.4.6", f"mail for {domain} loops back to us: {our_hostname} is its best mail host"
        )
    return await _with_addresses(domain, ahead, resolver, allow_private=allow_private)


def _mail_hosts(domain: str, answer: Answer[Mx]) -> list[Mx] | NoRoute:
    """The hosts by preference, each once; the domain itself where it has no MX record (the implicit MX)."""
    match answer.outcome:
        case Outcome.NO_NAME:
            return NoRoute(550, "5.1.2", f"the domain {domain} does not exist")
        case Outcome.FAILED:  # an implicit MX may not be guessed
            return NoRoute(None, "4.4.3", f"the look-up of MX {domain} failed: {answer.reason}")
        case Outcome.NO_DATA:
            return [Mx(0, domain)]
    if not any(mx.host for mx in answer.records):
        return NoRoute(556, "5.1.10", f"the domain {domain} takes no mail (null MX)")
    best: dict[str, Mx] = {}
    for mx in sorted(answer.records):
        if _is_name(host := _plain(mx.host)):  # an IP address there is a common mistake, and no name
            best.setdefault(host, Mx(mx.preference, host))
    return list(best.values()) or NoRoute(550, "5.4.4", f"no MX record of {domain} names a host")


def _ahead_of_us(hosts: list[Mx], our_hostname: str) -> list[Mx]:
    """Those that are preferred to us: equals and worse would hand the mail to us again (RFC 5321 5.1)."""
    ours = [mx.preference for mx in hosts if mx.host == our_hostname]
    return [mx for mx in hosts if mx.preference < min(ours)] if ours else hosts


async def _with_addresses(
    domain: str, hosts: list[Mx], resolver: Resolver, *, allow_private: bool
) -> Route | NoRoute:
    answers = await asyncio.gather(*(_addresses(mx.host, resolver) for mx in hosts))
    usable: list[tuple[int, Host]] = []
    for mx, answered in zip(hosts, answers, strict=True):
        taken = [address for address in _by_turns(*answered) if allow_private or is_public(address)]
        if taken:
            usable.append((mx.preference, Host(mx.host, tuple(taken[:ADDRESSES_MAX]))))
    if not usable:
        return _unroutable(domain, list(chain.from_iterable(answers)))
    groups = groupby(usable, key=lambda each: each[0])
    return Route(
        domain,
        tuple(sorted(mx.host for mx in hosts)),
        tuple(tuple(host for _, host in group) for _, group in groups),
    )


async def _addresses(host: str, resolver: Resolver) -> tuple[Answer[str], Answer[str]]:
    ipv4, ipv6 = await asyncio.gather(resolver.a(host), resolver.aaaa(host))
    return ipv4, ipv6


def _by_turns(ipv4: Answer[str], ipv6: Answer[str]) -> list[str]:
    """Both kinds, so that a limit cuts off neither; IPv4 first: large receivers refuse for good what comes
    from an IPv6 address without a name.
    """
    pairs = zip_longest(ipv4.records, ipv6.records)
    return [address for pair in pairs for address in pair if address is not None]


def _unroutable(domain: str, answers: list[Answer[str]]) -> NoRoute:
    """Only what is known of every host is for good."""
    for answer in answers:
        if not answer.is_known:
            return NoRoute(None, "4.4.3", f"the look-up of an address for {domain} failed: {answer.reason}")
    if any(answer.records for answer in answers):
        return NoRoute(550, "5.4.4", f"the mail hosts of {domain} are on private addresses")
    return NoRoute(550, "5.4.4", f"no mail host of {domain} has an address")


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_name(name: str) -> bool:
    return len(name) <= NAME_MAX_CHARS and _NAME.fullmatch(name) is not None
