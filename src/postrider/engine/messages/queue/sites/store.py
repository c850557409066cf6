"""The SQL of sites and lanes: made, woken, paused, throttled, given back, shown; and which site a domain has.

A lane's and a site's `next_due` say when to look again. Whoever adds mail lowers them; whoever finds nothing
raises them, holding the row against those who add (`lock_rows`), so that no mail is ever left behind a raised
time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, select, update

from postrider.db.database import Tx
from postrider.db.notices import announce
from postrider.db.portable import Batch, lock_rows
from postrider.engine.messages.model import Stream
from postrider.engine.messages.queue.rules import Pause
from postrider.engine.messages.tables import domain_sites, lanes, messages, sites
from postrider.kit import clock

FAR = 2**53  # nothing is due
FORGET_AT_ONCE = 500
NEW_FIRST_MS = clock.HOUR  # longer than any turn takes
AGED_LANES_MAX = 1_000  # looked at for the longest waiting


@dataclass(frozen=True, slots=True)
class Site:
    id: int
    name: str
    slot: int
    max_connections: int
    rate_per_s: float | None
    failures: int


@dataclass(frozen=True, slots=True)
class Lane:
    id: int
    site_id: int


class Place(NamedTuple):
    """Where a message waits: its lane, by what the lane is made of."""

    organization_id: int
    stream: Stream
    site: str
    slot: int = 0  # of a large site, which several workers serve at once


_add_sites = Batch(
    """INSERT INTO sites (name, slot, max_connections, rate_per_s, next_due)
       SELECT v.name, v.slot, v.max_connections, NULL, v.next_due FROM v WHERE true ON CONFLICT DO NOTHING""",
    name=str,
    slot=int,
    max_connections=int,
    next_due=int,
)
_add_lanes = Batch(
    f"""INSERT INTO lanes (organization_id, stream, site_id, next_due, paused)
        SELECT v.organization_id, v.stream, s.id, v.next_due,
          CASE WHEN p.stream IS NULL THEN 0 ELSE {int(Pause.WITH_STREAM)} END FROM v
        JOIN sites s ON s.name = v.name AND s.slot = v.slot
        LEFT JOIN paused_streams p ON p.organization_id = v.organization_id AND p.stream = v.stream
        WHERE true ON CONFLICT DO NOTHING""",  # noqa: S608
    organization_id=int,
    stream=int,
    name=str,
    slot=int,
    next_due=int,
)
_find_lanes = Batch(
    """SELECT v.organization_id, v.stream, v.name, v.slot, l.id, l.site_id FROM v
       JOIN sites s ON s.name = v.name AND s.slot = v.slot
       JOIN lanes l ON l.organization_id = v.organization_id AND l.stream = v.stream AND l.site_id = s.id""",
    organization_id=int,
    stream=int,
    name=str,
    slot=int,
)
# A lane that had nothing due goes before those that have been in turn for long (as RFC 8290's new flows do):
# who mails little waits for nobody's backlog. Once served it takes its turn like all others.
_lower_lanes = Batch(
    f"""UPDATE lanes SET next_due =
          v.due_at - CASE WHEN lanes.next_due > v.now AND v.due_at <= v.now THEN {NEW_FIRST_MS} ELSE 0 END
        FROM v WHERE lanes.id = v.id AND lanes.next_due > v.due_at""",  # noqa: S608
    id=int,
    due_at=int,
    now=int,
)
_lower_sites = Batch(
    """UPDATE sites SET next_due = v.due_at FROM v WHERE sites.id = v.id AND sites.next_due > v.due_at""",
    id=int,
    due_at=int,
)
_sites_of_lanes = Batch("SELECT l.id, l.site_id FROM v JOIN lanes l ON l.id = v.id", id=int)
_sites_of_domains = Batch(
    """SELECT d.domain, d.site FROM v JOIN domain_sites d ON d.domain = v.domain
       WHERE d.expires_at > v.now""",
    domain=str,
    now=int,
)
_remember_domains = Batch(
    """INSERT INTO domain_sites (domain, site, expires_at) SELECT v.domain, v.site, v.expires_at FROM v
       WHERE true
       ON CONFLICT (domain) DO UPDATE SET site = excluded.site, expires_at = excluded.expires_at""",
    domain=str,
    site=str,
    expires_at=int,
)


def add_lanes(tx: Tx, places: Iterable[Place], connections_of: Callable[[str], int]) -> dict[Place, Lane]:
    """The lane of each place, made where there is none; a new slot's connections by its site's name."""
    wanted = set(places)
    found = _lanes(tx, wanted)
    missing = sorted(wanted - found.keys())
    if missing:
        slots = sorted({(place.site, place.slot) for place in missing})
        _add_sites(tx, [(name, slot, connections_of(name), FAR) for name, slot in slots])
        _add_lanes(tx, [(p.organization_id, int(p.stream), p.site, p.slot, FAR) for p in missing])
        found |= _lanes(tx, set(missing))
    return found


def wake(tx: Tx, due: dict[int, int]) -> None:
    """Mail was added to lanes {lane id: earliest due_at}: lower their and their sites' next_due."""
    if not due:
        return
    site_of = dict(tuple(row) for row in _sites_of_lanes(tx, [(lane_id,) for lane_id in due]))
    site_due: dict[int, int] = {}
    for lane_id, due_at in due.items():
        site_id = site_of[lane_id]
        site_due[site_id] = min(due_at, site_due.get(site_id, FAR))
    lock_rows(tx, "sites", sorted(site_due), shared=True)
    lock_rows(tx, "lanes", sorted(due), shared=True)
    now = clock.now_ms()
    _lower_lanes(tx, [(lane_id, due_at, now) for lane_id, due_at in sorted(due.items())])
    _lower_sites(tx, sorted(site_due.items()))
    announce(tx)


def sites_of_domains(tx: Tx, domains: Iterable[str]) -> dict[str, str]:
    """The site at which each recipients' domain was last found; without it: nobody has asked lately."""
    now = clock.now_ms()
    rows = _sites_of_domains(tx, [(domain, now) for domain in sorted(set(domains))])
    return {row[0]: row[1] for row in rows}


def remember_domains(tx: Tx, found: dict[str, str], expires_at: int) -> None:
    """Mail to these domains, {domain: site}, goes straight to the lanes of its site from now on."""
    if found:
        _remember_domains(tx, [(domain, site, expires_at) for domain, site in sorted(found.items())])


def forget_domains(tx: Tx) -> int:
    """Drop what has expired, FORGET_AT_ONCE at most; answers how many."""
    expired = select(domain_sites.c.domain).where(domain_sites.c.expires_at < clock.now_ms())
    old = expired.limit(FORGET_AT_ONCE)
    return tx.execute(delete(domain_sites).where(domain_sites.c.domain.in_(old))).rowcount


def park(tx: Tx, owner: str, site_ids: Sequence[int]) -> None:
    """Give sites back that have nothing for us: free them, and say when to look again."""
    if not site_ids:
        return
    lock_rows(tx, "sites", sorted(site_ids), shared=False)
    earliest = (
        select(func.min(lanes.c.next_due))
        .where(lanes.c.site_id == sites.c.id, lanes.c.paused == 0)
        .scalar_subquery()
    )
    tx.execute(
        update(sites)
        .where(sites.c.id.in_(list(site_ids)), sites.c.owner == owner)
        .values(owner=None, next_due=func.coalesce(earliest, FAR))
    )


def throttle(tx: Tx, site_id: int, until: int, failures: int) -> None:
    """One row touched, however many wait: nobody serves the site before `until`."""
    tx.execute(update(sites).where(sites.c.id == site_id).values(throttled_until=until, failures=failures))


def pause_lane(tx: Tx, organization_id: int, lane_id: int) -> bool:
    return _set_pause(tx, organization_id, lane_id, lanes.c.paused.bitwise_or(int(Pause.BY_HAND)))


def resume_lane(tx: Tx, organization_id: int, lane_id: int) -> bool:
    """What was paused by hand; a lane whose stream is paused gives nothing until that is resumed."""
    if not _set_pause(tx, organization_id, lane_id, lanes.c.paused.bitwise_and(int(Pause.WITH_STREAM))):
        return False
    look_again(tx, organization_id, [lane_id])
    return True


def is_paused(tx: Tx, organization_id: int, lane_id: int) -> bool:
    ours = (lanes.c.organization_id == organization_id, lanes.c.id == lane_id)
    return bool(tx.execute(select(lanes.c.paused).where(*ours)).scalar_one_or_none())


def look_again(tx: Tx, organization_id: int, lane_ids: Sequence[int]) -> None:
    """Lanes that were paused are looked at now, if nothing else holds them, as if they had just got mail."""
    now = clock.now_ms()
    table = lanes.c
    ours = (table.organization_id == organization_id, table.id.in_(list(lane_ids)), table.paused == 0)
    freed = update(lanes).where(*ours).values(next_due=now).returning(table.id)
    wake(tx, dict.fromkeys(tx.execute(freed).scalars(), now))


def overview(tx: Tx, organization_id: int, limit: int) -> list[dict[str, Any]]:
    """An organization's lanes with their sites and how much waits in each, counted to `limit` a lane."""
    rows = tx.execute(
        select(lanes, sites.c.name, sites.c.slot, sites.c.throttled_until, sites.c.failures)
        .join(sites, sites.c.id == lanes.c.site_id)
        .where(lanes.c.organization_id == organization_id)
        .order_by(lanes.c.stream, sites.c.name)
        .limit(limit)
    ).fetchall()
    return [{**row._mapping, "waiting": _waiting(tx, row.id, limit)} for row in rows]


def due_age(tx: Tx) -> tuple[int, int]:
    """(lanes with mail due, age in ms of the longest waiting mail in the first AGED_LANES_MAX of them)."""
    now = clock.now_ms()
    is_due = (lanes.c.next_due <= now, lanes.c.paused == 0)
    count = tx.execute(select(func.count()).where(*is_due)).scalar_one()
    first = select(lanes.c.id).where(*is_due).order_by(lanes.c.next_due).limit(AGED_LANES_MAX).subquery()
    oldest = (
        select(func.min(messages.c.due_at))
        .where(messages.c.lane_id == first.c.id, messages.c.due_at.is_not(None))
        .scalar_subquery()
    )
    due_at = tx.execute(select(func.min(oldest)).select_from(first)).scalar_one()
    return count, 0 if due_at is None else max(0, now - due_at)


def _set_pause(tx: Tx, organization_id: int, lane_id: int, paused: ColumnElement[int]) -> bool:
    ours = (lanes.c.organization_id == organization_id, lanes.c.id == lane_id)
    return bool(tx.execute(update(lanes).where(*ours).values(paused=paused)).rowcount)


def _lanes(tx: Tx, places: set[Place]) -> dict[Place, Lane]:
    rows = _find_lanes(tx, [(p.organization_id, int(p.stream), p.site, p.slot) for p in places])
    return {Place(row[0], Stream(row[1]), row[2], row[3]): Lane(row[4], row[5]) for row in rows}


def _waiting(tx: Tx, lane_id: int, limit: int) -> int:
    waiting = (
        select(messages.c.id)
        .where(messages.c.lane_id == lane_id, messages.c.due_at.is_not(None))
        .limit(limit)
        .subquery()
    )
    return tx.execute(select(func.count()).select_from(waiting)).scalar_one()
