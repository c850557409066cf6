"""Looks for what the operator must know of: stuck mail, events not followed, certificates, disks, blocklists.

Each node looks at what is its own and at what is everybody's; an alert is raised once, whoever sees it first.
"""

import asyncio
import shutil
import time
from pathlib import Path

import structlog
from cryptography import x509

from postrider.db.database import Database, Tx
from postrider.engine import accounts, journal, notices
from postrider.engine.messages import queue
from postrider.engine.notices import Letterhead, alerts
from postrider.engine.notices.alerts import AlertKind, Look, Sight
from postrider.kit import clock, dnsbl
from postrider.kit.dns import Outcome, Resolver
from postrider.kit.record import record
from postrider.workers.loop import Loop

EVERY_S = 60.0
LISTS_EVERY_S = 3_600.0  # lists are asked as seldom as their keepers wish
STUCK_MS = 15 * clock.MINUTE
LAG_MS = 5 * clock.MINUTE
CERTIFICATE_MS = 14 * clock.DAY
DISK_FREE_MIN = 0.05  # of the disk, or
DISK_FREE_MIN_BYTES = 1 << 30  # (of a disk that has ten times as much)
ADDRESSES_MAX = 16  # of HOSTNAME, that are asked about
_log = structlog.get_logger("alerts")


@record
class Place:
    """What is this node's own."""

    node: str  # a name for people
    hostname: str  # of the installation
    data_dir: Path
    certificate: Path | None  # of SMTP; None where this node speaks none
    blocklists: tuple[str, ...] = ()  # zones


class Alerts:
    """The alerts worker of one process."""

    def __init__(self, db: Database, letterhead: Letterhead, resolver: Resolver, place: Place) -> None:
        self._db = db
        self._letterhead = letterhead
        self._resolver = resolver
        self._place = place
        self._lists_asked_at: float | None = None
        self._is_new = True
        self.loop = Loop("alerts", self._round, idle_s=EVERY_S)

    async def _round(self) -> bool:
        """After a start much is late that a minute later is not: the first round is left out."""
        if self._is_new:
            self._is_new = False
            return False
        return await self.once()

    async def once(self) -> bool:
        """One look at everything."""
        looks = await self._db.read(look_at_store)
        looks += await asyncio.to_thread(look_at_node, self._place)
        now = time.monotonic()
        if self._lists_asked_at is None or now - self._lists_asked_at >= LISTS_EVERY_S:
            looks += await look_at_lists(self._resolver, self._place)
            self._lists_asked_at = now
        await self._db.write(alerts.settle, self._letterhead, looks)
        await self._db.write(_drop_old)
        return False


def look_at_store(tx: Tx) -> list[Look]:
    """What every node sees alike."""
    now = clock.now_ms()
    stuck = [
        Sight(site, {"due_since": clock.to_iso(due_at)}) for site, due_at in queue.stuck(tx, now - STUCK_MS)
    ]
    lag_ms = journal.tail_age(tx, journal.SHARDS)
    lagging = [Sight("events", {"waiting_for_seconds": lag_ms // clock.SECOND})] if lag_ms > LAG_MS else []
    return [
        Look(AlertKind.QUEUE_STUCK, tuple(stuck)),
        Look(AlertKind.FOLLOWER_LAG, tuple(lagging)),
    ]


def look_at_node(place: Place) -> list[Look]:
    """The disk and the certificate of this node; what cannot be read is left as it was, and logged."""
    looks = []
    disk = shutil.disk_usage(place.data_dir)
    full = disk.free < max(disk.total * DISK_FREE_MIN, min(DISK_FREE_MIN_BYTES, disk.total // 10))
    facts = {"free_mb": disk.free >> 20, "total_mb": disk.total >> 20}
    looks.append(Look(AlertKind.DISK_FULL, (Sight(place.node, facts),) if full else (), place.node))
    if place.certificate is not None:
        try:
            ends_at = _ends_at(place.certificate)
        except (OSError, ValueError) as fault:
            _log.warning("certificate_unreadable", file=str(place.certificate), reason=str(fault))
        else:
            sight = Sight(str(place.certificate), {"node": place.node, "ends": clock.to_iso(ends_at)})
            is_near = ends_at - clock.now_ms() < CERTIFICATE_MS
            looks.append(Look(AlertKind.CERTIFICATE_ENDS, (sight,) if is_near else (), place.node))
    return looks


async def look_at_lists(resolver: Resolver, place: Place) -> list[Look]:
    """HOSTNAME and its addresses at every blocklist; one whose list did not answer is left as it was.

    Each list and subject is a scope of its own, so that silence of one list clears nothing.
    """
    if not place.blocklists:
        return []
    found = await asyncio.gather(resolver.a(place.hostname), resolver.aaaa(place.hostname))
    addresses = [address for answer in found for address in answer.records][:ADDRESSES_MAX]
    asked = [(subject, zone) for zone in place.blocklists for subject in (place.hostname, *addresses)]
    answers = await asyncio.gather(*(resolver.a(dnsbl.question(*each)) for each in asked))
    looks = []
    for (subject, zone), answer in zip(asked, answers, strict=True):
        if not answer.is_known:
            continue
        is_listed = answer.outcome is Outcome.FOUND and dnsbl.is_listed(answer.records)
        sight = Sight(subject, {"list": zone, "answer": ", ".join(answer.records)})
        looks.append(Look(AlertKind.LISTED, (sight,) if is_listed else (), f"{zone} {subject}"))
    return looks


def _ends_at(path: Path) -> int:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return int(certificate.not_valid_after_utc.timestamp() * 1000)


def _drop_old(tx: Tx) -> None:
    notices.drop_old(tx)
    owner = accounts.first_live(tx)
    if owner is not None:
        alerts.drop_old(tx, owner.id)
