"""What is allowed here: sizes, counts, and requests an hour by plan, which are told but not yet enforced."""

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine.accounts.authenticate import Caller
from postrider.kit import clock
from postrider.surfaces.common.request_id import HEADER, request_id
from postrider.surfaces.common.windows import Windows, counted_as
from postrider.surfaces.nudgecampaign.vocabulary import PLANS

PAGE_SIZE, PAGE_SIZE_MAX = 20, 100
CURSOR_MAX_CHARS = 2_000
SECRET_MAX_CHARS = 4_000  # of a password or token in a body
TEXT_MAX_CHARS = 255  # of names and subjects
CONTENT_MAX_CHARS = 500_000  # of a campaign's HTML, and of its text
CAMPAIGN_BODY_MAX_BYTES = 4 * 1024 * 1024
TEST_RECIPIENTS_MAX = 10
PERSONALIZATION_MAX_BYTES = 64 * 1024
KEY_NAME_MAX_CHARS = 100
SCOPES_MAX = 50
ACCESS_MS, REFRESH_MS = clock.HOUR, 30 * clock.DAY

# The contract's tiers by their own words; "custom" is a figure nobody has asked to change yet.
REQUESTS_PER_HOUR = {"free": 100, "starter": 1_000, "pro": 10_000, "enterprise": 100_000}
UNKNOWN_CALLER = "free"


class Allowance:
    """Requests of this hour by organization; by address where nobody was recognised."""

    def __init__(self) -> None:
        self._hours = Windows(clock.HOUR)

    def stamp(self, response: Response, request: Request, caller: Caller | None) -> None:
        """Name the request, count it, and tell what is left in both of the documented spellings."""
        plan = UNKNOWN_CALLER if caller is None else PLANS[caller.organization.plan]
        limit, counted = REQUESTS_PER_HOUR[plan], self._hours.count(counted_as(request, caller))
        response.headers[HEADER] = request_id(request)
        for spelling in ("X-Rate-Limit", "X-RateLimit"):
            response.headers[f"{spelling}-Limit"] = str(limit)
            response.headers[f"{spelling}-Remaining"] = str(counted.remaining(limit))
            response.headers[f"{spelling}-Reset"] = str(counted.resets_at_s)
        response.headers["X-RateLimit-Reset-After"] = str(counted.resets_in_s)
