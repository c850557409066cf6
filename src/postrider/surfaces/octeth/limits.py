"""What is allowed here: sizes, counts, times; and requests a minute, which are told but not yet enforced."""

from collections.abc import Hashable

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine.accounts.authenticate import Caller
from postrider.kit import clock
from postrider.surfaces.common.windows import Windows

FORM_FIELDS_MAX = 200
ADDRESSES_MAX = 50  # of each address field of one mail; the contract's suggestion
TARGETS_MAX = 250  # of a list that one mail goes to; the contract's
TAGS_MAX = 50
TAG_MAX_CHARS = 128
RETRIEVED, RETRIEVED_MAX = 100, 100  # of a list that has pages
NUMBER_MAX = 2**31 - 1
NUMBER_MAX_DIGITS = 10
EVENTS_RETRIEVED = 5  # of GET /api/v1/events, where no number is asked for
STATISTICS_MS = 28 * clock.DAY  # where no StartDate is given
BUCKETS, BUCKETS_MAX = 10, 1_000
TEXT_MAX_CHARS = 1_000  # of a parameter of a command
SUBDOMAIN_MAX_CHARS = 32
SEND_AHEAD_MAX_MS = 366 * clock.DAY
CLEAR_ROUNDS_MAX = 2_000  # of one ClearDomainQueue, some hundred mails each: mail that keeps coming ends it
SESSION_MS = 24 * clock.HOUR
REQUESTS_PER_MINUTE = 100  # of one key at one path of /api/v1


class Allowance:
    """Requests of this minute by key and path; commands have no limit of their own."""

    def __init__(self) -> None:
        self._minutes = Windows(clock.MINUTE)

    def stamp(self, response: Response, request: Request, caller: Caller | None) -> None:
        """Count the request of a recognised key and tell X-RateLimit-Limit, -Remaining, -Reset (epoch s)."""
        key = counted_key(request)
        if key is None:
            return
        counted = self._minutes.count((key, request.url.path))
        response.raw_headers += (
            (b"x-ratelimit-limit", b"%d" % REQUESTS_PER_MINUTE),
            (b"x-ratelimit-remaining", b"%d" % counted.remaining(REQUESTS_PER_MINUTE)),
            (b"x-ratelimit-reset", b"%d" % counted.resets_at_s),
        )


def count_for(request: Request, caller: Caller) -> None:
    """Say whose request this is: it is counted, and its answer tells so."""
    principal = caller.principal
    request.state.counted_as = (principal.organization_id, principal.credential_id or principal.user_id)


def counted_key(request: Request) -> Hashable | None:
    key: Hashable | None = getattr(request.state, "counted_as", None)
    return key
