"""How the inbox refuses: {error: {code, message, facts}}, and the login page for a person without key."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from postrider.engine import errors
from postrider.kit import json
from postrider.surfaces.common.services import Unavailable
from postrider.surfaces.inbox.policy import PRIVATE

# The refusals the inbox can meet; any other is the request's fault.
STATUS: dict[type[errors.EngineError], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.TooLarge: 413,
    errors.Busy: 503,
}
RETRY_AFTER_S = 2
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


async def on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.EngineError)
    if isinstance(error, errors.Unauthenticated) and not _is_api(request):
        return RedirectResponse(f"{request.scope.get('root_path', '')}/login", 303, PRIVATE)
    facts = {name: fact for name, fact in error.facts.items() if name != "message"}
    return _answer(STATUS.get(type(error), 400), error.code, error.sentence, facts)


async def on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "invalid")
    return _answer(error.status_code, code, error.detail)


async def on_unavailable(request: Request, error: Exception) -> Response:
    return _answer(503, "unavailable", "The store cannot take this now; try again shortly.")


async def on_fault(request: Request, error: Exception) -> Response:
    """Answers what nobody foresaw; the server above logs it with its traceback."""
    return _answer(500, "internal", "Internal server error")


HANDLERS = {
    errors.EngineError: on_refusal,
    HTTPException: on_http,
    Unavailable: on_unavailable,
    Exception: on_fault,
}


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(f"{request.scope.get('root_path', '')}/api/")


def _answer(status: int, code: str, message: str, facts: dict[str, object] | None = None) -> Response:
    headers = dict(PRIVATE)
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    body = {"error": {"code": code, "message": message, "facts": facts or {}}}
    return Response(json.dump_bytes(body), status, headers, "application/json")
