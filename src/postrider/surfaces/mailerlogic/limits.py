"""What is allowed here: sizes, counts, and requests a minute, which are told but not yet enforced."""

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine.accounts.authenticate import Caller
from postrider.kit import clock
from postrider.surfaces.common.windows import Windows, counted_as

BATCH_MAX = 500
IMPORT_MAX = 10_000  # contacts of one request
# Endpoints by plan: the documents' tiers are Starter 1, Professional 3, Business 10, Custom up to 50.
WEBHOOKS = {"free": 1, "starter": 1, "growth": 3, "professional": 3, "enterprise": 50}
BULK_ERRORS_MAX = 100  # malformed recipients that the answer names
TAG_MAX_CHARS = 128
PAGE_LIMIT, PAGE_LIMIT_MAX = 50, 1_000  # of a list
PAGE_MAX_DIGITS = 7
STATISTICS_MS = 30 * clock.DAY  # where no time is asked for
SEARCH_MAX_CHARS = 254  # of a part of an address
REQUESTS_PER_MINUTE = 600
# The test mode of a domain younger than so many ms (R24, whose ages are the contract's choice).
TEST_MODE_AGES = ((7 * clock.DAY, "basic"), (30 * clock.DAY, "standard"))
OLDEST_TEST_MODE = "full"


class Allowance:
    """Requests of this minute by organization."""

    def __init__(self) -> None:
        self._minutes = Windows(clock.MINUTE)

    def stamp(self, response: Response, request: Request, caller: Caller | None) -> None:
        """Count the request and tell X-RateLimit-Limit, -Remaining and -Reset (epoch seconds)."""
        counted = self._minutes.count(counted_as(request, caller))
        response.raw_headers += (
            (b"x-ratelimit-limit", b"%d" % REQUESTS_PER_MINUTE),
            (b"x-ratelimit-remaining", b"%d" % counted.remaining(REQUESTS_PER_MINUTE)),
            (b"x-ratelimit-reset", b"%d" % counted.resets_at_s),
        )
