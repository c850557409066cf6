"""The notify worker: an event once where it is taken, by the schedule where not, the same bytes always."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text
from tests.factories import make_account
from tests.flow.hooks import Receiver

from postrider.db.database import Database, Tx
from postrider.engine import journal, webhooks
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.engine.webhooks import Endpoint, EndpointState, Format, Occasion, Rendered, deliver
from postrider.engine.webhooks.deliver import Served
from postrider.engine.webhooks.store import COUNT_MAX
from postrider.kit import clock
from postrider.kit.dns import Resolver
from postrider.kit.ids import RowId
from postrider.kit.outgoing import Outgoing
from postrider.kit.seal import MASTER_KEY_BYTES, Sealer
from postrider.workers.notify import FAULT_REST_MS, Notify

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
START = 1_900_000_000_000
RETRIES = (clock.SECOND, 5 * clock.SECOND, clock.MINUTE)
_rendered = count()


def render(occasion: Occasion) -> Rendered | None:
    """Never the same twice, so that what was not frozen shows."""
    if occasion.event.data == {"unsayable": True}:
        return None
    if occasion.event.data == {"poison": True}:
        raise ValueError("poison")
    body = f"{occasion.word} {occasion.event.id.hex()} {next(_rendered)}"
    return Rendered({"X-Rendered": str(next(_rendered))}, body.encode())


def sign(secret: bytes, body: bytes, attempt_id: RowId) -> dict[str, str]:
    return {"X-Secret": secret.decode(), "X-Attempt": attempt_id.hex()}


PLAIN = Format(
    name="plain",
    names=("made", "also"),
    words={EventKind.CUSTOM: ("made", "also"), EventKind.CAMPAIGN_CREATED: ("made",)},
    render=render,
    sample=lambda asked: Rendered({}, asked.word.encode()),
    sign=sign,
    retries_ms=RETRIES,
    timeout_s=10.0,
    failures_max=1_000,
)
STRICT = Format(
    **{**{name: getattr(PLAIN, name) for name in Format.__slots__}, "name": "strict", "failures_max": 3}
)
FORMATS = {each.name: each for each in (PLAIN, STRICT)}


@dataclass
class World:
    """An organization whose events are posted to a receiver, and a clock that stands still."""

    database: Database
    sealer: Sealer
    receiver: Receiver
    outgoing: Outgoing
    principal: Principal
    now: int = START
    workers: list[Notify] = field(default_factory=list)

    def worker(self, owner: str = "w1") -> Notify:
        self.workers.append(Notify(self.database, owner, FORMATS, self.outgoing, self.sealer))
        return self.workers[-1]

    async def rounds(self, owner: str = "w1") -> None:
        """What is due now, to its end."""
        worker = self.worker(owner)
        while await self.database.read(deliver.has_due):
            await worker.once()
            await worker.drain()

    def endpoint(self, path: str = "/hook", format_: Format = PLAIN, **given: Any) -> Endpoint:
        told = {"url": self.receiver.url(path), "events": ["made"], "secret": "s3cret", **given}
        return self.database.write_now(
            lambda tx: webhooks.create_endpoint(
                tx, self.principal, format_, sealer=self.sealer, allow_private=True, **told
            )
        )

    def state(self, endpoint: Endpoint) -> Endpoint:
        format_ = FORMATS[endpoint.format]
        return self.database.read_now(webhooks.get_endpoint, self.principal, format_, endpoint.id)

    def log(self, endpoint: Endpoint) -> list[webhooks.Attempt]:
        return self.database.read_now(
            lambda tx: webhooks.attempts_of(
                tx, self.principal, FORMATS[endpoint.format], endpoint.id, limit=COUNT_MAX, offset=0,
                oldest_first=True,
            )[0]
        )  # fmt: skip

    def happen(self, times: int = 1, kind: EventKind = EventKind.CUSTOM, **data: Any) -> list[Event]:
        organization_id = self.principal.organization_id
        events = [Event(organization_id, kind, self.now, data=data or None) for _ in range(times)]
        self.database.write_now(journal.record, events)
        self.follow(events)
        return events

    def follow(self, events: list[Event]) -> None:
        self.database.write_now(webhooks.follower(FORMATS).apply, 0, events)

    def rows(self, table: str) -> int:
        def ask(tx: Tx) -> int:
            return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

        return self.database.read_now(ask)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    sealer = Sealer(bytes(MASTER_KEY_BYTES))
    account = make_account(database, sealer)
    outgoing = Outgoing(Resolver(), allow_private=True)
    async with Receiver() as receiver:
        world = World(database, sealer, receiver, outgoing, Principal(account.organization_id))
        clock.set_source(lambda: world.now)
        yield world
        for worker in world.workers:
            await worker.finish(0)
        await outgoing.close()


async def test_an_event_is_posted_once_and_logged(world: World) -> None:
    endpoint = world.endpoint()
    (event,) = world.happen()
    await world.rounds()
    (got,) = world.receiver.got
    assert got.body.startswith(f"made {event.id.hex()}".encode())
    assert got.headers["x-secret"] == "s3cret"
    (attempt,) = world.log(endpoint)
    assert (attempt.number, attempt.status, attempt.next_at, attempt.answer) == (1, 200, None, "ok")
    assert world.rows("webhook_queue") == 0
    await world.rounds()
    assert len(world.receiver.got) == 1


async def test_following_again_queues_nothing_twice(world: World) -> None:
    world.endpoint()
    events = world.happen(5)
    world.follow(events)
    assert world.rows("webhook_queue") == 5
    await world.rounds()
    world.follow(events)
    assert world.rows("webhook_queue") == 0
    await world.rounds()
    assert len(world.receiver.got) == 5


async def test_only_what_was_asked_for_goes_to_those_who_asked(world: World) -> None:
    world.endpoint("/made")
    world.endpoint("/both", events=["made", "also"])
    world.endpoint("/off", is_active=False)
    stranger = make_account(world.database, world.sealer, email="stranger@example.test")
    principal, world.principal = world.principal, Principal(stranger.organization_id)
    world.endpoint("/strange")
    world.principal = principal
    world.happen()
    world.happen(kind=EventKind.CAMPAIGN_CREATED)
    world.happen(kind=EventKind.DELIVERED)
    await world.rounds()
    words = {
        path: sorted(got.body.split()[0] for got in world.receiver.at(path)) for path in ("/made", "/both")
    }
    assert words == {"/made": [b"made"] * 2, "/both": [b"also", b"made", b"made"]}
    assert world.receiver.at("/off") == world.receiver.at("/strange") == []


async def test_retries_come_by_the_schedule_with_the_same_bytes_and_end(world: World) -> None:
    endpoint = world.endpoint()
    world.receiver.answer = lambda got: (503, {}, b"not\0now")
    world.happen()
    await world.rounds()
    for number, wait in enumerate(RETRIES, start=1):
        assert len(world.receiver.got) == number
        world.now += wait - 1
        await world.rounds()
        assert len(world.receiver.got) == number, "not before its time"
        world.now += 1
        await world.rounds()
    world.now += clock.DAY
    await world.rounds()
    assert len(world.receiver.got) == len(RETRIES) + 1
    assert len({(got.body, got.headers["x-rendered"]) for got in world.receiver.got}) == 1
    assert len({got.headers["x-attempt"] for got in world.receiver.got}) == len(RETRIES) + 1
    log = world.log(endpoint)
    assert [attempt.number for attempt in log] == [1, 2, 3, 4]
    due = [attempt.next_at - attempt.started_at for attempt in log if attempt.next_at is not None]
    assert (tuple(due), log[-1].next_at, log[0].answer) == (RETRIES, None, "notnow")
    assert world.rows("webhook_queue") == 0
    assert world.state(endpoint).failures == 4


async def test_a_renewed_secret_signs_what_waits(world: World) -> None:
    endpoint = world.endpoint()
    world.receiver.answer = lambda got: (500, {}, b"")
    world.happen()
    await world.rounds()
    world.database.write_now(
        lambda tx: webhooks.update_endpoint(
            tx, world.principal, PLAIN, endpoint.id, sealer=world.sealer, allow_private=True, secret="newer"
        )
    )
    world.now += RETRIES[0]
    await world.rounds()
    first, second = world.receiver.got
    assert (first.headers["x-secret"], second.headers["x-secret"]) == ("s3cret", "newer")
    assert first.body == second.body


async def test_a_worker_killed_before_it_settles_repeats_the_same_bytes(world: World) -> None:
    world.endpoint()
    world.happen(3)
    (leased,) = world.database.write_now(deliver.lease, "dead", 5)
    (loaded,) = world.database.read_now(deliver.load, [leased], FORMATS)
    posts, _ = deliver.prepare(loaded, PLAIN)
    world.database.write_now(deliver.freeze, posts)
    await deliver.send(world.outgoing, world.sealer, loaded, PLAIN, posts)
    await world.rounds("living")
    assert len(world.receiver.got) == 3, "what another holds is not ours"
    world.database.write_now(deliver.release_dead, ["dead"])
    await world.rounds("living")
    assert len(world.receiver.got) == 6
    bodies = [got.body for got in world.receiver.got]
    assert sorted(bodies[:3]) == sorted(bodies[3:])


async def test_a_worker_stopped_while_it_posts_repeats_the_same_bytes(world: World) -> None:
    world.endpoint()
    world.happen()
    world.receiver.hanging.add("/hook")
    stopped = world.worker("stopped")
    await stopped.once()
    await world.receiver.until(1)
    await stopped.finish(0)
    world.receiver.hanging.clear()
    world.database.write_now(deliver.release_dead, ["stopped"])
    await world.rounds("next")
    first, second = world.receiver.got
    assert (first.body, first.headers["x-rendered"]) == (second.body, second.headers["x-rendered"])
    assert world.rows("webhook_queue") == 0


async def test_a_late_word_of_a_worker_that_lost_its_lease_harms_nothing(world: World) -> None:
    endpoint = world.endpoint()
    world.happen()
    (leased,) = world.database.write_now(deliver.lease, "late", 5)
    (loaded,) = world.database.read_now(deliver.load, [leased], FORMATS)
    posts, unsayable = deliver.prepare(loaded, PLAIN)
    world.database.write_now(deliver.freeze, posts)
    attempts = await deliver.send(world.outgoing, world.sealer, loaded, PLAIN, posts)
    world.database.write_now(deliver.release_dead, ["late"])
    (again,) = world.database.write_now(deliver.lease, "other", 5)
    world.database.write_now(deliver.settle, "late", [Served(loaded, PLAIN, attempts, unsayable)])
    assert world.rows("webhook_queue") == 0
    assert world.database.write_now(deliver.lease, "third", 5) == []
    world.database.write_now(deliver.settle, "other", [Served(again, PLAIN, [], [])])
    assert len(world.log(endpoint)) == 1


async def test_workers_side_by_side_post_each_event_once(world: World) -> None:
    for number in range(8):
        world.endpoint(f"/n{number}")
    world.happen(40)

    async def work(owner: str) -> None:
        worker = world.worker(owner)
        while await world.database.read(deliver.has_due):
            await worker.once()
            await asyncio.sleep(0)
        await worker.drain()

    async with asyncio.timeout(30):
        while world.rows("webhook_queue"):
            await asyncio.gather(*(work(f"w{number}") for number in range(4)))
    assert len(world.receiver.got) == 8 * 40
    assert len({(got.path, got.body.split()[1]) for got in world.receiver.got}) == 8 * 40


async def test_a_hanging_endpoint_holds_up_no_other(world: World) -> None:
    world.endpoint("/slow")
    world.endpoint("/quick")
    world.receiver.hanging.add("/slow")
    world.happen(50)
    worker = world.worker()
    async with asyncio.timeout(10):
        while len(world.receiver.at("/quick")) < 50:
            await worker.once()
            await asyncio.sleep(0.005)
    assert len(world.receiver.at("/slow")) <= 2 * deliver.POSTS_AT_ONCE


async def test_a_lease_posts_more_than_at_once_and_gives_others_their_turn(world: World) -> None:
    endpoint = world.endpoint()
    world.happen(deliver.POSTS_A_LEASE + 20)
    worker = world.worker()
    await worker.once()
    await worker.drain()
    assert len(world.receiver.got) == len(world.log(endpoint)) == deliver.POSTS_A_LEASE
    assert world.rows("webhook_queue") == 20
    await world.rounds()
    assert len({got.body.split()[1] for got in world.receiver.got}) == deliver.POSTS_A_LEASE + 20


async def test_an_endpoint_that_is_switched_off_is_told_no_more_than_what_was_under_way(world: World) -> None:
    endpoint = world.endpoint()
    world.happen(deliver.POSTS_A_LEASE)
    off: list[asyncio.Task[Endpoint]] = []

    def switch_off(tx: Tx) -> Endpoint:
        return webhooks.update_endpoint(
            tx, world.principal, PLAIN, endpoint.id, sealer=world.sealer, allow_private=True, is_active=False
        )

    def answer(got: Any) -> tuple[int, dict[str, str], bytes]:
        if not off:
            off.append(asyncio.create_task(world.database.write(switch_off)))
        return 200, {}, b""

    world.receiver.answer = answer
    await world.rounds()
    assert (await off[0]).state is EndpointState.OFF
    assert len(world.receiver.got) <= 2 * deliver.POSTS_AT_ONCE
    assert world.rows("webhook_queue") == 0


async def test_what_cannot_be_settled_at_one_endpoint_is_settled_at_the_others(world: World) -> None:
    sick, well = world.endpoint("/sick", format_=STRICT), world.endpoint("/well")
    world.receiver.answer = lambda got: (500 if got.path == "/sick" else 200, {}, b"")
    world.happen(STRICT.failures_max)

    def refuse(tx: Tx, leased: deliver.Leased, attempts: Sequence[webhooks.Attempt]) -> None:
        raise ValueError("nobody can be told")

    worker = Notify(world.database, "w1", FORMATS, world.outgoing, world.sealer, disabled=refuse)
    world.workers.append(worker)
    await worker.once()
    await worker.drain()
    assert (len(world.log(sick)), len(world.log(well))) == (0, STRICT.failures_max)
    assert world.rows("webhook_queue") == STRICT.failures_max
    assert world.state(sick).is_active


async def test_an_endpoint_that_fails_is_probed_one_by_one_until_it_takes_a_post(world: World) -> None:
    endpoint = world.endpoint()
    world.receiver.answer = lambda got: (500, {}, b"")
    world.happen(50)
    worker = world.worker()
    await worker.once()
    await worker.drain()
    assert len(world.receiver.got) == deliver.POSTS_AT_ONCE
    await worker.once()
    await worker.drain()
    assert len(world.receiver.got) == deliver.POSTS_AT_ONCE + 1
    world.receiver.answer = lambda got: (200, {}, b"")
    await worker.once()
    await worker.drain()
    assert world.state(endpoint).failures == 0
    await world.rounds()
    world.now += RETRIES[0]
    await world.rounds()
    assert world.rows("webhook_queue") == 0


async def test_an_endpoint_that_fails_too_long_is_disabled_and_told_nothing_more(world: World) -> None:
    endpoint = world.endpoint(format_=STRICT)
    world.receiver.answer = lambda got: (500, {}, b"")
    world.happen()
    for wait in (0, *RETRIES):
        world.now += wait
        await world.rounds()
    assert world.state(endpoint).state is EndpointState.DISABLED
    assert (len(world.receiver.got), world.rows("webhook_queue")) == (3, 0)
    world.happen()
    assert world.rows("webhook_queue") == 0
    world.receiver.answer = lambda got: (200, {}, b"")
    world.database.write_now(
        lambda tx: webhooks.update_endpoint(
            tx, world.principal, STRICT, endpoint.id, sealer=world.sealer, allow_private=True, is_active=True
        )
    )
    assert (world.state(endpoint).state, world.state(endpoint).failures) == (EndpointState.ACTIVE, 0)
    world.happen()
    await world.rounds()
    assert len(world.receiver.got) == 4


async def test_what_waits_for_an_endpoint_that_is_switched_off_or_deleted_goes(world: World) -> None:
    off, gone = world.endpoint("/off"), world.endpoint("/gone")
    world.receiver.answer = lambda got: (500, {}, b"")
    world.happen(3)
    await world.rounds()
    posted = len(world.receiver.got)
    world.database.write_now(
        lambda tx: webhooks.update_endpoint(
            tx, world.principal, PLAIN, off.id, sealer=world.sealer, allow_private=True, is_active=False
        )
    )
    world.database.write_now(webhooks.delete_endpoint, world.principal, PLAIN, gone.id)
    world.now += clock.HOUR
    await world.rounds()
    assert (len(world.receiver.got), world.rows("webhook_queue")) == (posted, 0)
    assert (world.rows("webhook_endpoints"), world.rows("webhook_attempts")) == (1, 3)


@SQLITE
async def test_what_cannot_be_said_any_more_is_dropped(world: World) -> None:
    world.endpoint()
    world.happen(unsayable=True)
    (event,) = world.happen()

    def forget(tx: Tx) -> None:
        tx.execute(text("DELETE FROM events WHERE id = :id"), {"id": event.id})

    world.database.write_now(forget)
    await world.rounds()
    assert (world.receiver.got, world.rows("webhook_queue"), world.rows("webhook_attempts")) == ([], 0, 0)


async def test_an_event_that_breaks_its_rendering_stops_its_own_endpoint_only(world: World) -> None:
    world.endpoint("/hook")
    world.happen(poison=True)
    other = world.endpoint("/other")
    world.happen()
    worker = world.worker()
    for _ in range(3):
        await worker.once()
        await worker.drain()
    assert len(world.receiver.at("/other")) == 1
    assert world.receiver.at("/hook") == []
    assert not await world.database.read(deliver.has_due), "it rests"
    world.now += FAULT_REST_MS
    assert await world.database.read(deliver.has_due)
    assert world.state(other).failures == 0


@SQLITE
async def test_the_log_goes_after_its_time(world: World) -> None:
    endpoint = world.endpoint()
    world.happen(3)
    await world.rounds()
    world.now += deliver.LOG_KEPT_MS + clock.MINUTE
    await world.worker().once()
    assert world.log(endpoint) == []


async def test_the_claim_reads_due_endpoints_and_due_rows_only(database: Database) -> None:
    asked = {
        "ix_webhook_endpoints_due": "SELECT organization_id, id FROM webhook_endpoints "
        "WHERE next_due_at <= 5 AND owner IS NULL ORDER BY next_due_at LIMIT 8",
        "ix_webhook_queue_due": "SELECT event_id FROM webhook_queue "
        "WHERE organization_id = 1 AND endpoint_id = CAST('x' AS {bytes}) AND due_at <= 5 "
        "ORDER BY due_at LIMIT 8",
        "webhook_attempts": "SELECT 1 FROM webhook_attempts WHERE organization_id = 1 "
        "AND endpoint_id = CAST('x' AS {bytes}) AND event_id = CAST('y' AS {bytes}) AND word = 'w'",
    }

    def plan(tx: Tx, statement: str) -> str:
        is_sqlite = tx.dialect.name == "sqlite"
        if not is_sqlite:
            tx.execute(
                text("SET LOCAL enable_seqscan = off")
            )  # the tables are empty: a scan would be cheaper
        statement = statement.replace("{bytes}", "BLOB" if is_sqlite else "BYTEA")
        rows = tx.execute(text(("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + statement))
        return "\n".join(str(row) for row in rows)

    for index, statement in asked.items():
        said = database.read_now(plan, statement)
        assert index in said
        assert "Seq Scan" not in said
        assert "SCAN" not in said
        assert "TEMP B-TREE" not in said
