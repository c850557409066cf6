"""What a change of status leaves in the journal: once, with what changed, and nothing where nothing did."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from tests.unit.engine.domains.world import ALL_OK, MISSING, UNKNOWN, WRONG, World

from postrider.db.database import Tx
from postrider.engine.domains.model import Domain
from postrider.engine.journal import EventKind
from postrider.engine.journal.tables import event_tail, events
from postrider.kit.ids import to_uuid

LOST = replace(ALL_OK, dkim=MISSING)
SILENT = replace(ALL_OK, ownership=UNKNOWN, dkim=UNKNOWN)


def test_proof_is_recorded_once_with_what_changed(world: World) -> None:
    domain = world.add("a.example")
    for now in (100, 200):
        world.check(domain, replace(ALL_OK, spf=MISSING), now=now)
    assert recorded(world) == [
        (
            EventKind.DOMAIN_VERIFIED,
            100,
            {
                "domain_id": to_uuid(domain.id),
                "domain": "a.example",
                "from": "pending",
                "to": "verified",
                "changed": {
                    "ownership_ok": True,
                    "dkim_ok": True,
                    "dmarc_ok": True,
                    "return_path_ok": True,
                },
                "reasons": {},
            },
        )
    ]


def test_drift_is_recorded_at_the_third_bad_check_and_recovery_once(world: World) -> None:
    domain = world.check(world.add("a.example"), ALL_OK)
    for _ in range(5):
        world.check(domain, LOST, now=200)
    for _ in range(2):
        world.check(domain, ALL_OK, now=300)
    said = [
        (kind, data["from"], data["to"], data["changed"], data["reasons"])
        for kind, _, data in recorded(world)[1:]
    ]
    assert said == [
        (EventKind.DOMAIN_FAILED, "verified", "failed", {"dkim_ok": False}, {"dkim": MISSING.reason}),
        (EventKind.DOMAIN_VERIFIED, "failed", "verified", {"dkim_ok": True}, {}),
    ]


def test_silence_and_a_lone_bad_check_are_no_drift(world: World) -> None:
    domain = world.check(world.add("a.example"), ALL_OK)
    for checks in (LOST, SILENT, LOST, SILENT, ALL_OK, LOST, LOST):
        assert world.check(domain, checks).is_verified
    assert [kind for kind, _, _ in recorded(world)] == [EventKind.DOMAIN_VERIFIED]


def test_a_return_to_pending_is_nobodys_news(world: World) -> None:
    domain = world.add("a.example")
    world.check(domain, replace(ALL_OK, dkim=WRONG))
    world.check(domain, LOST)
    assert [kind for kind, _, _ in recorded(world)] == [EventKind.DOMAIN_FAILED]


def test_of_many_who_verify_at_once_one_is_recorded(world: World) -> None:
    domain = world.add("a.example")

    def attempt(_: int) -> Domain:
        return world.check(domain, ALL_OK)

    with ThreadPoolExecutor(4) as threads:
        assert all(found.is_verified for found in threads.map(attempt, range(8)))
    assert len(recorded(world)) == 1


def test_followers_hear_of_it(world: World) -> None:
    world.check(world.add("a.example"), ALL_OK)

    def waiting(tx: Tx) -> int:
        of_organization = event_tail.c.organization_id == world.principal.organization_id
        return len(tx.execute(select(event_tail.c.event_id).where(of_organization)).all())

    assert world.database.read_now(waiting) == 1


def recorded(world: World) -> list[tuple[EventKind, int, dict[str, Any]]]:
    """The organization's events, in the order they were written."""

    def read(tx: Tx) -> list[tuple[EventKind, int, dict[str, Any]]]:
        chosen = select(events.c.kind, events.c.at, events.c.data)
        chosen = chosen.where(events.c.organization_id == world.principal.organization_id)
        return [(EventKind(kind), at, data) for kind, at, data in tx.execute(chosen.order_by(events.c.id))]

    return world.database.read_now(read)
