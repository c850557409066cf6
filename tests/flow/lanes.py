"""Rows on lanes, as the expansion of a large send leaves them: what tests of the queue claim from."""

from collections.abc import Sequence
from dataclasses import dataclass

from postrider.db.database import Database, Tx
from postrider.engine import messages
from postrider.engine.messages import Claimed, NewMessage, Role, Status, Stream, queue
from postrider.kit import clock
from postrider.kit.ids import new_id

CONNECTIONS = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where mail waits."""

    organization_id: int
    stream: Stream = Stream.SHARED
    site: str = "mx:example.test"


def put(db: Database, place: Place, count: int) -> queue.Lane:
    """Queue `count` messages, due now; answers their lane."""
    return db.write_now(_put, place, count)


def claim(db: Database, owner: str, places: int, *, sites: int = 64) -> list[Claimed]:
    """One round of a worker: lease what is due, and take up to `places` of each site it holds."""
    return db.write_now(_claim, owner, places, sites)


def settle(db: Database, claimed: Sequence[Claimed], owner: str) -> None:
    """As delivered."""
    outcomes = [
        queue.Settled(each.organization_id, each.id, each.lane_id, owner, None, True) for each in claimed
    ]
    db.write_now(queue.settle, outcomes)


def _put(tx: Tx, place: Place, count: int) -> queue.Lane:
    now = clock.now_ms()
    key = queue.Place(place.organization_id, place.stream, place.site)
    lane = queue.add_lanes(tx, [key], lambda _: CONNECTIONS)[key]
    messages.insert_messages(tx, [_message(place, now) for _ in range(count)], [lane.id] * count)
    queue.wake(tx, {lane.id: now})
    return lane


def _message(place: Place, now: int) -> NewMessage:
    message_id = new_id()
    return NewMessage(
        organization_id=place.organization_id,
        id=message_id,
        group_id=message_id,
        content_id=message_id,
        campaign_id=None,
        recipient="ann@example.test",
        address_key="ann@example.test",
        role=Role.TO,
        vars=None,
        stream=place.stream,
        declared_stream=place.stream,
        domain_id=None,
        created_at=now,
        due_at=now,
        is_test=False,
        status=Status.QUEUED,
    )


def _claim(tx: Tx, owner: str, places: int, sites: int) -> list[Claimed]:
    held = _held(tx, owner)
    leased = queue.lease_sites(tx, owner, held, sites)
    return [each for site in leased for each in queue.claim(tx, owner, site.id, places)]


def _held(tx: Tx, owner: str) -> list[int]:
    rows = tx.exec_driver_sql(f"SELECT id FROM sites WHERE owner = '{owner}'")
    return [row[0] for row in rows]
