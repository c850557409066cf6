"""Addresses validated: each domain asked of the DNS once, a bounded number at a time, within a time.

The answers are kept by the resolver, as long as their records say and in bounded number: what was asked a
moment ago is judged again without a question.
"""

import asyncio
from collections.abc import Sequence

from postrider.engine.deliverability.address import (
    NOT_ASKED,
    DomainMail,
    Mail,
    Verdict,
    domain_asked,
    judge,
)
from postrider.kit.dns import Outcome, Resolver

BATCH_MAX = 100
DOMAINS_AT_ONCE = 32  # of all requests together: deliveries ask the same resolver
BATCH_TIMEOUT_S = 15.0  # what the DNS has not said by then is unknown


class Validator:
    """One for the process."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._turns = asyncio.Semaphore(DOMAINS_AT_ONCE)

    async def validate(self, emails: Sequence[str]) -> list[Verdict]:
        """A verdict for each, in their order; raises nothing for what an address or the DNS says."""
        assert len(emails) <= BATCH_MAX
        domains = [domain_asked(email) for email in emails]
        found = await self._look_up({domain for domain in domains if domain is not None})
        return [
            judge(email, found.get(domain or "", NOT_ASKED))
            for email, domain in zip(emails, domains, strict=True)
        ]

    async def _look_up(self, domains: set[str]) -> dict[str, DomainMail]:
        """Of every domain that was answered in time."""
        if not domains:
            return {}
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(self._one(domain)): domain for domain in domains}
        try:
            done, _ = await asyncio.wait(tasks, timeout=BATCH_TIMEOUT_S)
        finally:
            for task in tasks:
                task.cancel()
        return {tasks[task]: task.result() for task in done}

    async def _one(self, domain: str) -> DomainMail:
        async with self._turns:
            mx = await self._resolver.mx(domain)
            match mx.outcome:
                case Outcome.FOUND:
                    return DomainMail.of_records(mx.records)
                case Outcome.NO_NAME:
                    return DomainMail(Mail.NO_DOMAIN)
                case Outcome.FAILED:
                    return NOT_ASKED
            addresses = await asyncio.gather(self._resolver.a(domain), self._resolver.aaaa(domain))
        outcomes = {answer.outcome for answer in addresses}
        if Outcome.FOUND in outcomes:
            return DomainMail(Mail.IMPLICIT)
        return NOT_ASKED if Outcome.FAILED in outcomes else DomainMail(Mail.NONE)
