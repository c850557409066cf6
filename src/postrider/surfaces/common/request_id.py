"""A name for each request, told to its sender and found again in the log: `req_` and 20 characters."""

from starlette.requests import Request

from postrider.kit.ids import random_text

HEADER = "X-Request-Id"
_PREFIX, _CHARS = "req_", 20


def request_id(request: Request) -> str:
    """The request's id, made when it is first asked for; never one that the sender chose."""
    state = request.state
    if not hasattr(state, "request_id"):
        state.request_id = _PREFIX + random_text(_CHARS)
    made: str = state.request_id
    return made
