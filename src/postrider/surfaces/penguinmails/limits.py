"""What is allowed here and what it costs: sizes, prices, and requests an hour, told but not yet enforced."""

from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine.accounts import OrganizationKind
from postrider.engine.accounts.authenticate import Caller
from postrider.kit import clock
from postrider.surfaces.common import request_id
from postrider.surfaces.common.windows import Windows, counted_as

BODY_MAX_BYTES = 10 * 1024 * 1024  # of a mail (plans.limits.max_content)
RECIPIENTS_MAX = 10_000  # that one request names
BATCH_SIZE, BATCH_SIZE_MAX = 100, 1_000_000
DEFAULTS_MAX_BYTES = 8 * 1024  # of a campaign's variables
IMPORT_MAX = 10_000  # contacts of one request
PERSONALIZATION_MAX_BYTES = 64 * 1024
VARIABLES_MAX = 100
CREDENTIAL_MAX_CHARS = 1_000  # of what is told to log in
PER_PAGE, PER_PAGE_MAX = 20, 100
PAGE_MAX_DIGITS = 9
ACCESS_TOKEN_MS = 900 * clock.SECOND
REFRESH_TOKEN_MS = 30 * clock.DAY
ESTIMATED_DELIVERY_MS = 5 * clock.MINUTE  # mail leaves within seconds, but receivers may greylist

# By plan. The documents know four tiers: growth has what starter, the next one below it, has.
REQUESTS_PER_HOUR = {
    "free": 1_000,
    "starter": 10_000,
    "growth": 10_000,
    "professional": 100_000,
    "enterprise": 1_000_000,
}
SANDBOX_REQUESTS_PER_HOUR = REQUESTS_PER_HOUR["enterprise"]  # "relaxed"
_STRANGERS_REQUESTS_PER_HOUR = REQUESTS_PER_HOUR["free"]

COST_PER_MESSAGE_USD = {
    "free": Decimal("0.077"),
    "starter": Decimal("0.077"),
    "growth": Decimal("0.077"),
    "professional": Decimal("0.077"),
    "enterprise": Decimal("0.077"),
}


class Allowance:
    """Requests of this hour by organization; of strangers by address."""

    def __init__(self) -> None:
        self._hours = Windows(clock.HOUR)

    def stamp(self, response: Response, request: Request, caller: Caller | None) -> None:
        """Count the request; tell X-RateLimit-Limit, -Remaining, -Reset (epoch s), -Window, and its id."""
        counted, limit = self._hours.count(counted_as(request, caller)), requests_per_hour(caller)
        response.raw_headers += (
            (b"x-ratelimit-limit", b"%d" % limit),
            (b"x-ratelimit-remaining", b"%d" % counted.remaining(limit)),
            (b"x-ratelimit-reset", b"%d" % counted.resets_at_s),
            (b"x-ratelimit-window", b"%d" % (clock.HOUR // clock.SECOND)),
            (request_id.HEADER.lower().encode(), request_id.request_id(request).encode()),
        )


def requests_per_hour(caller: Caller | None) -> int:
    if caller is None:
        return _STRANGERS_REQUESTS_PER_HOUR
    if caller.organization.kind is OrganizationKind.SANDBOX:
        return SANDBOX_REQUESTS_PER_HOUR
    return REQUESTS_PER_HOUR[caller.organization.plan]
