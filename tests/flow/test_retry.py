"""What the far end's refusals lead to: retries on the documented schedule, and ends."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.factories import Running, running_node
from tests.flow.world import Clock, attempts, events, message, post, send, status, tried, until
from tests.sink.client import Sink

from postrider.engine import suppression
from postrider.engine.delivery.policy import SCHEDULE
from postrider.engine.journal import EventKind
from postrider.engine.messages import Status
from postrider.kit import clock

FIRST, *LATER = (delay for delay in SCHEDULE.delays if delay)
DOCUMENTED = [FIRST, FIRST, *LATER]  # a relay has no other host to try at once


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
async def running(store_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Running]:
    relay = f"smtp://127.0.0.1:{sink.port}"
    async with running_node(store_url, tmp_path / "data", delivery="relay", relay_url=relay) as running:
        yield running


@pytest.fixture
def time() -> Clock:
    return Clock()


async def test_a_temporary_refusal_is_tried_again_after_a_quarter_of_an_hour(
    running: Running, sink: Sink, time: Clock
) -> None:
    message_id = await send(running, "tempfail@example.com")
    deferred = await tried(running, message_id, 1)
    assert (Status(deferred.status), sink.received()) == (Status.DEFERRED, [])
    assert 0 <= deferred.due_at - clock.now_ms() - 15 * clock.MINUTE + 5_000 <= 5_000
    await time.leap(running, 14 * clock.MINUTE)
    assert len(await attempts(running, message_id)) == 1
    await time.leap_to(running, deferred.due_at)
    await tried(running, message_id, 2)
    assert await status(running, message_id) is Status.DELIVERED
    assert [mail.recipient for mail in sink.received()] == ["tempfail@example.com"]
    assert [each.outcome for each in await attempts(running, message_id)] == ["deferred", "delivered"]


async def test_a_lasting_silence_follows_the_whole_schedule_and_then_fails(
    running: Running, sink: Sink, time: Clock
) -> None:
    message_id = await send(running, "drop@example.com", text="x" * 4_000)
    for number, delay in enumerate(DOCUMENTED, start=1):
        row = await tried(running, message_id, number)
        assert Status(row.status) is Status.DEFERRED
        waits = row.due_at - (await attempts(running, message_id))[-1].started_at
        assert delay <= waits <= delay * 1.1 + 5_000
        await time.leap_to(running, row.due_at)
    await tried(running, message_id, len(DOCUMENTED) + 1)
    assert await status(running, message_id) is Status.FAILED
    assert [each.outcome for each in await attempts(running, message_id)] == ["deferred"] * 6
    assert len(await events(running, message_id, EventKind.FAILED)) == 1
    assert sink.received() == []


async def test_hard_bounce_suppresses_the_recipient(running: Running, sink: Sink) -> None:
    message_id = await send(running, "bounce@example.com")
    await tried(running, message_id, 1)
    assert await status(running, message_id) is Status.BOUNCED
    (bounced,) = await events(running, message_id, EventKind.BOUNCED)
    assert (bounced.data or {})["class"] == "hard"
    organization_id = running.account.organization_id
    found = await running.database.read(suppression.check, [(organization_id, "bounce@example.com")])
    assert [entry.reason for entry in found[organization_id, "bounce@example.com"]] == ["hard_bounce"]
    again = await post(running, "send", {"to": "Bounce@Example.com", "subject": "Hello", "text": "Hello"})
    assert (again.status_code, again.json()["error"]) == (403, "recipient_suppressed")


async def test_a_block_ends_the_message_and_leaves_the_recipient_free(running: Running) -> None:
    message_id = await send(running, "block@example.com")
    await tried(running, message_id, 1)
    (bounced,) = await events(running, message_id, EventKind.BOUNCED)
    assert (bounced.data or {})["class"] == "block"
    assert await tried(running, await send(running, "block@example.com"), 1)


async def test_a_soft_bounce_is_said_once_when_its_retries_end(running: Running, time: Clock) -> None:
    message_id = await send(running, "soft@example.com")
    for number in range(1, SCHEDULE.soft_retries + 1):
        row = await tried(running, message_id, number)
        assert await events(running, message_id, EventKind.BOUNCED) == []
        await time.leap_to(running, row.due_at)
    await tried(running, message_id, SCHEDULE.soft_retries + 1)
    (bounced,) = await events(running, message_id, EventKind.BOUNCED)
    assert (bounced.data or {})["class"] == "soft"
    assert await status(running, message_id) is Status.BOUNCED
    assert len(await events(running, message_id, EventKind.DEFERRED)) == SCHEDULE.soft_retries
    assert await tried(running, await send(running, "soft@example.com"), 1)  # not suppressed


async def test_a_relay_that_is_down_costs_no_attempt_and_everything_goes_out_when_it_is_back(
    running: Running, sink: Sink, time: Clock
) -> None:
    sink.stop()
    ids = [await send(running, f"r{number}@example.com") for number in range(20)]

    async def rests() -> bool:
        return running.node.deliver.held == 0 and await throttled_until(running) > clock.now_ms()

    for _ in range(3):
        await until(rests, "the site's rest")
        await time.leap_to(running, await throttled_until(running))
    await until(rests, "the site's rest")
    assert [(await message(running, each)).attempts for each in ids] == [0] * 20
    sink.start()
    await time.leap_to(running, await throttled_until(running))
    for message_id in ids:
        await tried(running, message_id, 1)
    assert sorted(sink.counts_by_recipient().items()) == sorted((f"r{n}@example.com", 1) for n in range(20))
    assert {await status(running, each) for each in ids} == {Status.DELIVERED}


async def test_a_mail_to_all_others_goes_out_beside_one_that_drops_the_connection(
    running: Running, sink: Sink
) -> None:
    dropped = await send(running, "drop@example.com", text="x" * 4_000)
    ids = [await send(running, f"r{number}@example.com") for number in range(20)]
    for message_id in [dropped, *ids]:
        await tried(running, message_id, 1)
    assert await status(running, dropped) is Status.DEFERRED
    assert sink.counts_by_recipient().total() == len(sink.counts_by_recipient()) == 20


async def throttled_until(running: Running) -> int:
    return await running.database.read(
        lambda tx: tx.exec_driver_sql("SELECT throttled_until FROM sites WHERE name = 'relay'").scalar_one()
    )
