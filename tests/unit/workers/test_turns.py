"""Turns to post: few at once, none held for long, and under load no more than the floor."""

import asyncio
import time
from collections.abc import Callable

from postrider.workers.turns import ALWAYS_AT_ONCE, ALWAYS_PER_S, AT_ONCE, HELD_MAX_S, Turns

POSTS = 120


async def seconds_of(turns: Turns, posts: int) -> float:
    async def post() -> None:
        async with turns():
            await asyncio.sleep(0)

    started = time.monotonic()
    async with asyncio.timeout(10):
        await asyncio.gather(*(post() for _ in range(posts)))
    return time.monotonic() - started


def idle() -> Callable[[], float]:
    return lambda: 0.0


async def test_no_more_than_so_many_post_at_once() -> None:
    turns, now, most = Turns(worked=idle()), 0, 0

    async def post() -> None:
        nonlocal now, most
        async with turns():
            now += 1
            most = max(most, now)
            await asyncio.sleep(HELD_MAX_S / 2)
            now -= 1

    async with asyncio.timeout(10):
        await asyncio.gather(*(post() for _ in range(3 * AT_ONCE)))
    assert most == AT_ONCE


async def test_who_waits_long_for_an_answer_holds_up_no_other() -> None:
    turns = Turns(worked=idle())
    released = asyncio.Event()

    async def hang() -> None:
        async with turns():
            await released.wait()

    hanging = [asyncio.create_task(hang()) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    assert await seconds_of(turns, 1) < 4 * HELD_MAX_S
    released.set()
    await asyncio.gather(*hanging)
    assert turns._free._value == AT_ONCE, "each turn is given back once"


async def test_while_the_loop_is_busy_posts_keep_to_their_floor() -> None:
    """The thread's own time runs as fast as the clock: it does nothing but work."""
    turns = Turns(worked=time.monotonic)
    posts = int(ALWAYS_AT_ONCE) + POSTS
    assert await seconds_of(turns, posts) >= 0.9 * POSTS / ALWAYS_PER_S


async def test_while_the_loop_is_idle_nothing_waits() -> None:
    turns = Turns(worked=idle())
    await seconds_of(turns, int(ALWAYS_AT_ONCE))
    await asyncio.sleep(0.03)
    await seconds_of(turns, 1)
    turns._is_busy = False
    assert turns._wait_s() == 0.0


async def test_a_turn_that_is_cancelled_while_it_waits_is_given_back() -> None:
    turns = Turns(worked=time.monotonic)
    tasks = [asyncio.create_task(seconds_of(turns, 1)) for _ in range(int(ALWAYS_AT_ONCE) + POSTS)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert turns._free._value == AT_ONCE
