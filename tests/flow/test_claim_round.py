"""A round of claims: no site that was leased is lost sight of; a courier that dies gives its message back."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tests.factories import Running, running_node
from tests.flow.lanes import Place, put
from tests.flow.world import message, send, status, tried

from postrider.db.database import Database
from postrider.engine.delivery.couriers import CaptureCourier
from postrider.engine.delivery.model import Job, Outcome
from postrider.engine.messages import Claimed, Status, Stream
from postrider.kit.ids import RowId
from postrider.workers.deliver import _claim_round


@pytest.fixture
async def running(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running_node(store_url, tmp_path / "data") as running:
        yield running


def test_a_site_leased_when_there_is_no_room_is_answered_without_messages(database: Database) -> None:
    for name in ("first.test", "second.test"):
        put(database, Place(1, Stream.TRANSACTIONAL, name), 1)
    claimed, _ = database.write_now(_claim_round, "worker", {}, 1, 2, _all)
    assert sorted(len(part) for _, part in claimed) == [0, 1]
    assert {site.name for site, _ in claimed} == {"first.test", "second.test"}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_message_whose_courier_dies_is_tried_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [RuntimeError("a fault nobody foresaw")]
    ready = CaptureCourier.ready

    async def faulty(self: CaptureCourier, job: Job) -> Outcome | None:
        if faults:
            raise faults.pop()
        return await ready(self, job)

    monkeypatch.setattr(CaptureCourier, "ready", faulty)
    message_id = await send(running, "ann@example.com")
    await tried(running, message_id, 1)
    assert await status(running, message_id) is Status.DELIVERED
    assert (await message(running, message_id)).owner is None


def _all(claimed: Sequence[Claimed]) -> frozenset[RowId]:
    return frozenset([each.content_id for each in claimed])
