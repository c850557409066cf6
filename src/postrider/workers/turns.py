"""Turns to post: what webhooks may take of the event loop that they share with sending.

A steady floor of posts always goes. What is beyond it takes only the time in which the loop would be idle, so
that webhooks fall behind rather than mail.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

AT_ONCE = 64  # few posts at once find their connections again
HELD_MAX_S = 0.25  # who waits longer for an answer gives its turn up meanwhile: a slow end delays no other
ALWAYS_PER_S = 250.0
ALWAYS_AT_ONCE = 50.0
BUSY = 0.7  # of the time the loop's thread has been working
WINDOW_S = 0.02
WINDOW_MAX_S = 0.2  # what is older says nothing of now

Clock = Callable[[], float]  # seconds


class Turns:
    """Given in the order in which they are asked for. `worked` tells the loop's thread's own CPU time."""

    def __init__(self, *, now: Clock = time.monotonic, worked: Clock = time.thread_time) -> None:
        self._now = now
        self._worked = worked
        self._free = asyncio.Semaphore(AT_ONCE)
        self._since = self._filled_at = now()
        self._worked_then = worked()
        self._is_busy = True
        self._always = ALWAYS_AT_ONCE  # how many more may go now; below zero: how many wait

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """One turn: waited for, then held until the end or for HELD_MAX_S."""
        await self._free.acquire()
        given_up = False

        def give_up() -> None:
            nonlocal given_up
            if not given_up:
                given_up = True
                self._free.release()

        late: asyncio.TimerHandle | None = None
        try:
            if (wait_s := self._wait_s()) > 0:
                await asyncio.sleep(wait_s)
            late = asyncio.get_running_loop().call_later(HELD_MAX_S, give_up)
            yield
        finally:
            if late is not None:
                late.cancel()
            give_up()

    def _wait_s(self) -> float:
        now = self._now()
        self._look(now)
        self._always = min(ALWAYS_AT_ONCE, self._always + (now - self._filled_at) * ALWAYS_PER_S)
        self._filled_at = now
        if self._always < 1 and not self._is_busy:
            return 0.0
        self._always -= 1
        return max(0.0, -self._always / ALWAYS_PER_S)

    def _look(self, now: float) -> None:
        """Whether the loop was busy since it was last looked at."""
        seconds = now - self._since
        if seconds < WINDOW_S:
            return
        worked = self._worked()
        self._is_busy = seconds > WINDOW_MAX_S or (worked - self._worked_then) / seconds > BUSY
        self._since, self._worked_then = now, worked
