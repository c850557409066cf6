"""What is known beforehand of domains and local parts: the files beside this module, read once."""

import tomllib
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib import resources

_COM_MISSPELT = frozenset(["con", "cmo", "ocm", "vom", "xom", "comm", "coom", "cpm", "clm", "cim"])
_LABEL_MIN_CHARS = 5  # of a name that is guessed at: every short one is near to another
_GUESSED_MAX_CHARS = 24
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-"


def is_disposable(domain: str) -> bool:
    """Of the domain or one that it is below."""
    return any(name in _words("disposable.txt") for name in _with_parents(domain))


def is_free(domain: str) -> bool:
    """Whether anybody gets a mailbox there for nothing."""
    return domain in _words("free.txt")


def is_shortener(host: str) -> bool:
    """Whether its links hide where they lead."""
    return host.removeprefix("www.") in _words("shorteners.txt")


def is_role(local: str) -> bool:
    return local.casefold() in _words("roles.txt")


def provider_of(hosts: Sequence[str]) -> str | None:
    """Who runs the mail of these MX hosts, as providers.toml names them."""
    ends = _ends()
    named = (ends[end] for host in hosts for end in _with_parents(host) if end in ends)
    return next(named, None)


@lru_cache(maxsize=16_384)
def domain_meant(domain: str) -> str | None:
    """The well-known domain of which this is most likely a misspelling: one letter too many, too few, wrong
    or out of turn; or `.com` misspelt."""
    if domain in _words("free.txt") or is_disposable(domain):
        return None
    stem, _, top = domain.rpartition(".")
    if top in _COM_MISSPELT and stem:
        return _near(f"{stem}.com") or f"{stem}.com"
    return _near(domain)


def _near(domain: str) -> str | None:
    free = _words("free.txt")
    if domain in free:
        return domain
    if len(domain) > _GUESSED_MAX_CHARS:
        return None
    meant = (
        slip for slip in _slips(domain) if slip in free and len(slip.partition(".")[0]) >= _LABEL_MIN_CHARS
    )
    return next((slip for slip in meant if not _another_country(domain, slip)), None)


def _another_country(domain: str, meant: str) -> bool:
    """yahoo.ie is no misspelling of yahoo.it."""
    tops = {domain.rpartition(".")[2], meant.rpartition(".")[2]}
    return len(tops) == 2 and all(len(top) == 2 for top in tops)


def _slips(domain: str) -> Iterator[str]:
    for at in range(len(domain)):
        before, here, after = domain[:at], domain[at], domain[at + 1 :]
        yield before + after
        if after:
            yield before + after[0] + here + after[1:]
        for letter in _ALPHABET:
            yield before + letter + after
            yield before + letter + here + after
    yield from (domain + letter for letter in _ALPHABET)


def _with_parents(domain: str) -> list[str]:
    labels = domain.split(".")
    return [".".join(labels[at:]) for at in range(len(labels) - 1)]


@cache
def _words(file: str) -> dict[str, None]:
    """In the order of the file."""
    lines = resources.files(__package__).joinpath(file).read_text(encoding="utf-8").splitlines()
    return dict.fromkeys(line for line in lines if line and not line.startswith("#"))


@cache
def _ends() -> dict[str, str]:
    """The ends of MX hosts' names without their dot, and whose they are."""
    text = resources.files(__package__).joinpath("providers.toml").read_text(encoding="utf-8")
    return {end.removeprefix("."): name for name, ends in tomllib.loads(text).items() for end in ends}
