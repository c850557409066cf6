"""Looks at sending domains again when their time has come, so that what drifts in the DNS is seen.

A portion is claimed, looked at all at once and kept domain by domain; no transaction spans the network.
"""

import asyncio

from postrider.db.database import Database
from postrider.engine import domains
from postrider.kit.dns import Resolver
from postrider.workers.loop import Loop

IDLE_S = 20.0
DOMAINS_AT_ONCE = 8  # each asks for about ten names, thirty at most: fewer than a resolver's LOOKUPS_AT_ONCE


class Recheck:
    """The recheck worker of one process; `hostname` is the installation's, to which the records lead."""

    def __init__(self, db: Database, resolver: Resolver, hostname: str) -> None:
        self._db = db
        self._resolver = resolver
        self._hostname = hostname
        self.loop = Loop("recheck", self.once, idle_s=IDLE_S)

    async def once(self) -> bool:
        """One portion; answers whether there may be more."""
        if not await self._db.read(domains.has_due):
            return False
        claimed = await self._db.write(domains.claim_due, DOMAINS_AT_ONCE)
        found = await asyncio.gather(
            *(domains.check(domain, keys, self._resolver, self._hostname) for domain, keys in claimed)
        )
        for (domain, _), checks in zip(claimed, found, strict=True):
            await self._db.write(domains.settle_due, domain, checks)
        return len(claimed) == DOMAINS_AT_ONCE
