"""Many callers, one batch, each its own answer."""

import asyncio

import pytest

from postrider.kit.gate import Gate, GateFull


class Counter:
    """Doubles numbers, remembers its batches, and waits where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.started = asyncio.Semaphore(0)  # released by each batch
        self.running = self.most_running = 0

    async def __call__(self, items: list[int]) -> list[int | Exception]:
        self.batches.append(items)
        self.started.release()
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        await self.open.wait()
        self.running -= 1
        return [ValueError(item) if item < 0 else item * 2 for item in items]


async def test_a_lone_caller_goes_through_at_once() -> None:
    double = Counter()
    gate = Gate(double, max_items=10, max_waiting=10)
    assert await gate(4) == 8
    assert double.batches == [[4]]


async def test_callers_gather_while_a_batch_is_under_way() -> None:
    double = Counter()
    double.open.clear()
    gate = Gate(double, max_items=3, max_waiting=10)
    first = asyncio.create_task(gate(0))
    await double.started.acquire()
    others = [asyncio.create_task(gate(item)) for item in range(1, 6)]
    await asyncio.sleep(0)
    double.open.set()
    assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
    assert double.batches == [[0], [1, 2, 3], [4, 5]]


async def test_one_refusal_is_one_callers_matter() -> None:
    gate = Gate(Counter(), max_items=10, max_waiting=10)
    answers = await asyncio.gather(gate(1), gate(-1), gate(2), return_exceptions=True)
    assert [answers[0], answers[2]] == [2, 4]
    assert isinstance(answers[1], ValueError)


async def test_a_batch_that_fails_fails_for_all_in_it_and_no_other() -> None:
    calls = 0

    async def fail_once(items: list[int]) -> list[int | Exception]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("disk full")
        return [*items]

    gate = Gate(fail_once, max_items=10, max_waiting=10)
    answers = await asyncio.gather(gate(1), gate(2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError, OSError]
    assert await gate(3) == 3


async def test_a_full_gate_turns_callers_away() -> None:
    double = Counter()
    double.open.clear()
    gate = Gate(double, max_items=1, max_waiting=2)
    first = asyncio.create_task(gate(0))
    await double.started.acquire()
    waiting = [asyncio.create_task(gate(item)) for item in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(GateFull):
        await gate(3)
    double.open.set()
    assert await asyncio.gather(first, *waiting) == [0, 2, 4]


async def test_a_caller_that_gives_up_spoils_nothing() -> None:
    double = Counter()
    double.open.clear()
    gate = Gate(double, max_items=10, max_waiting=10)
    leaving, staying = asyncio.create_task(gate(1)), asyncio.create_task(gate(2))
    await double.started.acquire()
    leaving.cancel()
    double.open.set()
    assert await staying == 4
    assert leaving.cancelled() or await asyncio.wait([leaving])


async def test_no_more_batches_run_at_once_than_allowed() -> None:
    double = Counter()
    double.open.clear()
    gate = Gate(double, max_items=1, max_waiting=10, max_running=2)
    callers = [asyncio.create_task(gate(item)) for item in range(5)]
    for _ in range(2):
        await double.started.acquire()
    double.open.set()
    assert await asyncio.gather(*callers) == [0, 2, 4, 6, 8]
    assert double.most_running == 2


async def test_drain_waits_for_every_answer() -> None:
    double = Counter()
    gate = Gate(double, max_items=2, max_waiting=10)
    callers = [asyncio.create_task(gate(item)) for item in range(5)]
    await asyncio.sleep(0)
    await gate.drain()
    assert all(len(batch) <= 2 for batch in double.batches)
    assert sum(double.batches, []) == [0, 1, 2, 3, 4]  # noqa: RUF017
    assert await asyncio.gather(*callers) == [0, 2, 4, 6, 8]
