"""Domains are looked at again by the clock: when due, once whoever looks, and what drifted is told once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select, text
from tests.factories import make_domain
from tests.sink.dns import DnsServer, Fault

from postrider.db.database import Database, Tx
from postrider.engine import domains
from postrider.engine.domains import Domain, DomainStatus
from postrider.engine.domains.due import LEASE_MS
from postrider.engine.journal import EventKind
from postrider.engine.journal.tables import events
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.dns import Resolver
from postrider.kit.seal import Sealer
from postrider.workers.recheck import DOMAINS_AT_ONCE, Recheck

HOSTNAME = "mx.postrider.test"
START = 1_795_261_140_000
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@dataclass
class World:
    database: Database
    dns: DnsServer
    principal: Principal
    now: int = START
    sealer: Sealer = field(default_factory=lambda: Sealer(bytes(32)))

    def recheck(self) -> Recheck:
        return Recheck(self.database, Resolver([self.dns.address]), HOSTNAME)

    async def rounds(self) -> None:
        worker = self.recheck()
        while await worker.once():
            pass

    def add(self, name: str, *, verified: bool = False) -> Domain:
        organization_id = self.principal.organization_id
        return make_domain(self.database, self.sealer, organization_id, name, verified=verified)

    def publish(self, domain: Domain) -> None:
        keys = self.database.read_now(domains.keys_of, self.principal, domain.id)
        for record in domains.records(domain, keys, HOSTNAME):
            dot = "." if record.type == "CNAME" else ""  # as a zone file has it
            self.dns.records[record.name, record.type] = [record.value + dot]

    def unpublish(self, domain: Domain) -> None:
        self.dns.records.pop((f"pr1._domainkey.{domain.name}", "TXT"))

    def read(self, domain: Domain) -> Domain:
        return self.database.read_now(domains.get, self.principal, domain.id)

    def asked(self, domain: Domain) -> int:
        return self.dns.asked[domain.name, "TXT"]

    def told(self) -> list[EventKind]:
        def read(tx: Tx) -> list[EventKind]:
            return [EventKind(row.kind) for row in tx.execute(select(events.c.kind).order_by(events.c.id))]

        return self.database.read_now(read)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with DnsServer() as dns:
        world = World(database, dns, Principal(1))
        clock.set_source(lambda: world.now)
        yield world


async def test_a_domain_is_looked_at_when_its_hour_has_come(world: World) -> None:
    domain = world.add("a.example")
    world.publish(domain)
    world.now += clock.HOUR - 1
    await world.rounds()
    assert world.asked(domain) == 0
    world.now += 1
    await world.rounds()
    found = world.read(domain)
    assert (found.is_verified, found.checked_at, found.next_check_at) == (
        True,
        world.now,
        world.now + clock.HOUR,
    )
    await world.rounds()
    assert world.asked(domain) == 1
    assert found.return_path_ok
    assert world.told() == [EventKind.DOMAIN_VERIFIED]


async def test_two_workers_look_at_each_domain_once(world: World) -> None:
    added = [world.add(f"n{number}.example") for number in range(3 * DOMAINS_AT_ONCE)]
    for domain in added:
        world.publish(domain)
    world.now += clock.HOUR

    async def work() -> None:
        worker = world.recheck()
        while await worker.once():
            pass

    await asyncio.gather(*(work() for _ in range(4)))
    assert {world.asked(domain) for domain in added} == {1}
    assert all(world.read(domain).is_verified for domain in added)
    assert world.told() == [EventKind.DOMAIN_VERIFIED] * len(added)


async def test_drift_is_told_at_the_third_bad_hour_and_the_recovery_once(world: World) -> None:
    domain = world.add("a.example")
    world.publish(domain)
    status = []
    for hour in range(8):
        world.now += clock.HOUR
        if hour == 1:
            world.unpublish(domain)
        if hour == 6:
            world.publish(domain)
        await world.rounds()
        status.append(world.read(domain).status)
    verified, failed = DomainStatus.VERIFIED, DomainStatus.FAILED
    assert status == [verified] * 3 + [failed] * 3 + [verified] * 2
    assert world.told() == [EventKind.DOMAIN_VERIFIED, EventKind.DOMAIN_FAILED, EventKind.DOMAIN_VERIFIED]


@SQLITE
async def test_a_dns_that_is_silent_changes_nothing(world: World) -> None:
    domain = world.add("a.example")
    world.publish(domain)
    world.now += clock.HOUR
    await world.rounds()
    for name in ("_postrider", "pr1._domainkey"):
        world.dns.faults[f"{name}.a.example"] = Fault.SERVFAIL
    for _ in range(4):
        world.now += clock.HOUR
        await world.rounds()
    found = world.read(domain)
    assert (found.is_verified, found.dkim_ok, found.bad_checks, found.checked_at) == (
        True,
        True,
        0,
        world.now,
    )
    assert world.told() == [EventKind.DOMAIN_VERIFIED]


@SQLITE
async def test_what_never_was_verified_is_looked_at_hourly_for_a_day_and_then_daily(world: World) -> None:
    domain = world.add("a.example")
    for _ in range(24 * 4):
        world.now += clock.HOUR
        await world.rounds()
    assert world.asked(domain) == 24 + 3


@SQLITE
async def test_the_operators_word_is_not_looked_into_until_it_was_proved(world: World) -> None:
    domain = world.add("a.example", verified=True)
    world.now += clock.DAY
    await world.rounds()
    assert (world.asked(domain), world.read(domain).is_verified) == (0, True)
    world.publish(domain)
    keys = world.database.read_now(domains.keys_of, world.principal, domain.id)
    checks = await domains.check(domain, keys, Resolver([world.dns.address]), HOSTNAME)
    world.database.write_now(domains.apply_checks, world.principal, domain.id, checks, world.now)
    world.now += clock.HOUR
    await world.rounds()
    assert world.asked(domain) == 2
    assert world.told() == []


async def test_what_a_dead_worker_claimed_is_due_again_and_its_late_word_is_not_heard(world: World) -> None:
    domain = world.add("a.example")
    world.publish(domain)
    world.now += clock.HOUR
    ((claimed, keys),) = world.database.write_now(domains.claim_due, 5)
    checks = await domains.check(claimed, keys, Resolver([world.dns.address]), HOSTNAME)
    await world.rounds()
    assert world.asked(domain) == 1
    world.now += LEASE_MS
    world.unpublish(domain)
    await world.rounds()
    assert world.database.write_now(domains.settle_due, claimed, checks) is None
    assert (world.read(domain).status, world.told()) == (DomainStatus.PENDING, [])


@SQLITE
async def test_a_domain_removed_meanwhile_is_let_go(world: World) -> None:
    domain = world.add("a.example")
    world.now += clock.HOUR
    ((claimed, keys),) = world.database.write_now(domains.claim_due, 5)
    checks = await domains.check(claimed, keys, Resolver([world.dns.address]), HOSTNAME)
    world.database.write_now(domains.remove, world.principal, domain.id)
    assert world.database.write_now(domains.settle_due, claimed, checks) is None


async def test_the_claim_reads_the_due_ones_only(database: Database) -> None:
    def plan(tx: Tx) -> str:
        is_sqlite = tx.dialect.name == "sqlite"
        if not is_sqlite:
            tx.execute(text("SET LOCAL enable_seqscan = off"))  # the table is empty: a scan would be cheaper
        asked = (
            "SELECT organization_id, id FROM domains WHERE next_check_at <= 5 ORDER BY next_check_at LIMIT 8"
        )
        rows = tx.execute(text(("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + asked))
        return "\n".join(str(row) for row in rows)

    said = database.read_now(plan)
    assert "ix_domains_next_check_at" in said
    assert "SORT" not in said.upper().replace("B-TREE", "SORT")
