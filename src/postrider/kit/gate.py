"""A gate gathers what many callers want done at once into one batch, and gives each its own answer.

While a batch is under way the next one fills; when nothing is under way the next goes at once, or lingers a
moment where the one before had company. So a lone caller waits for nobody, and under load the batches grow.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class GateFull(Exception):
    """More callers wait than the gate's limit: try again later."""


class Gate(Generic[T, R]):
    """`run(items)` answers a result per item, in order; an exception as a result is raised to its caller."""

    def __init__(
        self,
        run: Callable[[list[T]], Awaitable[list[R | Exception]]],
        *,
        max_items: int,
        max_waiting: int,
        max_running: int = 1,
        linger_s: float = 0.0,
    ) -> None:
        self._run = run
        self._max_items = max_items
        self._max_waiting = max_waiting
        self._max_running = max_running
        self._linger_s = linger_s
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._was_busy = False  # the last batch had company: linger a moment for more

    async def __call__(self, item: T) -> R:
        if len(self._waiting) >= self._max_waiting:
            raise GateFull
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._start()
        return await future

    async def drain(self) -> None:
        """Wait until everything handed in has its answer."""
        while self._running:
            await asyncio.wait(self._running)

    def _start(self) -> None:
        if self._waiting and len(self._running) < self._max_running:
            task = asyncio.get_running_loop().create_task(self._run_batch())
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _run_batch(self) -> None:
        if self._linger_s and self._was_busy:
            await asyncio.sleep(self._linger_s)
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_items))]
        self._was_busy = len(batch) > 1
        if not batch:
            return
        try:
            results = await self._run([item for item, _ in batch])
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
