"""How often a password may be guessed: per user and per client address, counted by this node alone."""

from collections import OrderedDict
from collections.abc import Hashable

from postrider.engine.errors import RateLimited
from postrider.kit import clock

WINDOW_MS = 15 * clock.MINUTE
FAILURES_PER_USER = 10
FAILURES_PER_ADDRESS = 50
REMEMBERED_MAX = 50_000


class Throttle:
    """Failures of the last WINDOW_MS; a success forgets those of its user, never those of an address."""

    def __init__(self) -> None:
        self._failures: OrderedDict[Hashable, list[int]] = OrderedDict()

    def ask(self, user: str, address: str) -> None:
        """Raises RateLimited where user or address has failed too often."""
        now = clock.now_ms()
        for key, allowed in self._keys(user, address):
            recent = self._recent(key, now)
            if len(recent) >= allowed:
                raise RateLimited(retry_after_s=(recent[0] + WINDOW_MS - now) // clock.SECOND + 1)

    def failed(self, user: str, address: str) -> None:
        now = clock.now_ms()
        for key, allowed in self._keys(user, address):
            self._failures[key] = [*self._recent(key, now), now][-allowed:]
            self._failures.move_to_end(key)
        while len(self._failures) > REMEMBERED_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, user: str) -> None:
        self._failures.pop(("user", user), None)

    def _recent(self, key: Hashable, now: int) -> list[int]:
        return [at for at in self._failures.get(key, ()) if at > now - WINDOW_MS]

    @staticmethod
    def _keys(user: str, address: str) -> tuple[tuple[Hashable, int], ...]:
        return (("user", user), FAILURES_PER_USER), (("address", address), FAILURES_PER_ADDRESS)
