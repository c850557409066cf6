"""What is allowed here: sizes, counts, and requests a minute, which are told but not yet enforced.

The count is this process's own: with several web nodes each tells its share.
"""

from starlette.responses import Response

from postrider.engine.accounts.authenticate import Caller
from postrider.kit import clock

BATCH_MAX = 500
BULK_ERRORS_MAX = 100  # malformed recipients that the answer names
TAG_MAX_CHARS = 128
FILENAME_MAX_CHARS = 255
METADATA_MAX_BYTES = 64 * 1024
REQUESTS_PER_MINUTE = 600


class Allowance:
    """Requests of this minute by organization."""

    def __init__(self) -> None:
        self._minute = 0
        self._reset = b""
        self._used: dict[int, int] = {}

    def stamp(self, response: Response, caller: Caller) -> None:
        """Count the request and tell X-RateLimit-Limit, -Remaining and -Reset (epoch seconds)."""
        minute = clock.now_ms() // clock.MINUTE
        if minute != self._minute:
            self._minute, self._used = minute, {}
            self._reset = b"%d" % ((minute + 1) * 60)
        organization_id = caller.principal.organization_id
        used = self._used[organization_id] = self._used.get(organization_id, 0) + 1
        response.raw_headers += (
            (b"x-ratelimit-limit", b"%d" % REQUESTS_PER_MINUTE),
            (b"x-ratelimit-remaining", b"%d" % max(0, REQUESTS_PER_MINUTE - used)),
            (b"x-ratelimit-reset", self._reset),
        )
