"""Proving a domain: ask the DNS for every record (`check`, no transaction), then keep what it said.

`apply_checks` is the one place where a domain's status changes, so a change is recorded once, whoever asked.
"""

import asyncio
from collections.abc import Mapping, Sequence

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.domains import judge, rules, store
from postrider.engine.domains.add import WRITE
from postrider.engine.domains.model import Check, Checks, DkimKey, Domain, DomainStatus, KeyState, Verdict
from postrider.engine.errors import NotFound
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.kit.dns import Answer, Resolver
from postrider.kit.ids import RowId

DMARC_WALK_MAX = 8  # RFC 9989: names asked for one policy
NOT_ASKED = Check(Verdict.UNKNOWN, "The check did not look for it.")
_EVENTS = {DomainStatus.VERIFIED: EventKind.DOMAIN_VERIFIED, DomainStatus.FAILED: EventKind.DOMAIN_FAILED}


async def check(
    domain: Domain,
    keys: Sequence[DkimKey],
    resolver: Resolver,
    hostname: str,
) -> Checks:
    """What the DNS says now, past the cache; ends within the resolver's time-out and raises nothing for it.

    Keys that are retired are not looked for.
    """
    live = [key for key in keys if key.state is not KeyState.RETIRED]
    return_path_name = rules.return_path_name(domain.name, domain.return_path_label)
    owner, of_keys, spf, dmarc, return_path = await asyncio.gather(
        resolver.txt(rules.verification_name(domain.name), fresh=True),
        _txt(resolver, [rules.key_name(key.selector, domain.name) for key in live]),
        resolver.txt(domain.name, fresh=True),
        _txt(resolver, [rules.dmarc_name(name) for name in _with_parents(domain.name)]),
        resolver.cname(return_path_name, fresh=True),
    )
    by_key = {key.id: judge.dkim_key(answer, key) for key, answer in zip(live, of_keys, strict=True)}
    return Checks(
        ownership=judge.ownership(owner, domain.verification_token),
        spf=judge.spf(spf, hostname),
        dkim=judge.dkim(signing_checks(live, by_key)),
        dmarc=judge.dmarc(dmarc),
        return_path=judge.return_path(return_path, hostname),
        keys=by_key,
        return_path_name=return_path_name,
    )


def apply_checks(tx: Tx, principal: Principal, domain_id: RowId, checks: Checks, now: int) -> Domain:
    """Keep what a check said; the status follows by `rules.status_after`, its change is recorded.

    Raises NotFound.
    """
    principal.require(WRITE)
    before = store.hold(tx, principal.organization_id, domain_id)
    if before is None:
        raise NotFound(noun="domain")
    store.update_checks(
        tx,
        before,
        flags=rules.after_check(before, checks),
        status=rules.status_after(before, checks),
        bad_checks=rules.bad_checks_after(before, checks),
        next_check_at=rules.next_check_after(before, checks, now),
        now=now,
    )
    after = store.get(tx, principal.organization_id, domain_id)
    assert after is not None
    if after.status is not before.status and (kind := _EVENTS.get(after.status)) is not None:
        data = rules.drift(before, after, checks)
        journal.record(tx, [Event(before.organization_id, kind, now, data=data)])
    return after


def signing_checks(keys: Sequence[DkimKey], found: Mapping[RowId, Check]) -> list[Check]:
    """What was found of those keys that sign; a key that was not looked for is unknown."""
    return [found.get(key.id, NOT_ASKED) for key in keys if key.state is KeyState.ACTIVE]


async def _txt(resolver: Resolver, names: Sequence[str]) -> list[Answer[str]]:
    return await asyncio.gather(*(resolver.txt(name, fresh=True) for name in names))


def _with_parents(name: str) -> list[str]:
    """The name and its parents of two labels and more, nearest first."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)][:DMARC_WALK_MAX]
