"""How often a password may be guessed: per user and per client address, counted by this node alone."""

from collections.abc import Hashable

from postrider.engine.errors import RateLimited
from postrider.kit import clock
from postrider.kit.recent import Recent

WINDOW_MS = 15 * clock.MINUTE
FAILURES_PER_USER = 10
FAILURES_PER_ADDRESS = 50


class Throttle:
    """Failures of the last WINDOW_MS; a success forgets those of its user, never those of an address."""

    def __init__(self) -> None:
        self._failures = Recent(WINDOW_MS)

    def ask(self, user: str, address: str) -> None:
        """Raises RateLimited where user or address has failed too often."""
        for key, allowed in self._keys(user, address):
            if wait_ms := self._failures.wait_ms(key, allowed):
                raise RateLimited(retry_after_s=wait_ms // clock.SECOND + 1)

    def failed(self, user: str, address: str) -> None:
        for key, allowed in self._keys(user, address):
            self._failures.add(key, kept=allowed)

    def succeeded(self, user: str) -> None:
        self._failures.forget(("user", user))

    @staticmethod
    def _keys(user: str, address: str) -> tuple[tuple[Hashable, int], ...]:
        return (("user", user), FAILURES_PER_USER), (("address", address), FAILURES_PER_ADDRESS)
