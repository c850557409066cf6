"""Counting requests in fixed windows of time, for the headers that tell how many are left.

The count is this process's own: with several web nodes each tells its share. Nothing is refused here.
"""

from collections.abc import Hashable
from typing import NamedTuple

from starlette.requests import Request

from postrider.engine.accounts.authenticate import Caller
from postrider.kit import clock

KEYS_MAX = 100_000  # counted at once; beyond that the window begins anew


class Count(NamedTuple):
    """What one window knows of a key: requests, this one included, and when it ends (epoch seconds)."""

    used: int
    resets_at_s: int

    def remaining(self, limit: int) -> int:
        return max(0, limit - self.used)

    @property
    def resets_in_s(self) -> int:
        return max(0, self.resets_at_s - clock.now_ms() // clock.SECOND)


class Windows:
    """Requests by key in the present window of `length_ms`."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._window = 0
        self._used: dict[Hashable, int] = {}

    def count(self, key: Hashable) -> Count:
        """Count one request of `key`."""
        window = clock.now_ms() // self._length_ms
        if window != self._window or len(self._used) >= KEYS_MAX:
            self._window, self._used = window, {}
        used = self._used[key] = self._used.get(key, 0) + 1
        return Count(used, (window + 1) * self._length_ms // clock.SECOND)


def counted_as(request: Request, caller: Caller | None) -> Hashable:
    """Whose requests these are: the organization's, or the client address's where nobody was recognised."""
    if caller is not None:
        return caller.principal.organization_id
    return request.client.host if request.client else ""
