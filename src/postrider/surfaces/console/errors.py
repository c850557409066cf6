"""How refusals are said here: {error: {code, message, facts}}; a total map from engine error to status."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from postrider.engine import errors
from postrider.kit import json
from postrider.surfaces.common.services import Unavailable

STATUS: dict[type[errors.EngineError], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 400,
    errors.TooLarge: 413,
    errors.OrganizationSuspended: 403,
    errors.DomainNotVerified: 403,
    errors.DomainNotAllowed: 403,
    errors.RecipientSuppressed: 409,
    errors.RecipientUnsubscribed: 409,
    errors.QuotaExceeded: 429,
    errors.PlanLimitReached: 403,
    errors.RateLimited: 429,
    errors.IdempotencyConflict: 409,
    errors.TemplateFault: 400,
    errors.NotAllowedNow: 409,
    errors.Busy: 503,
}
RETRY_AFTER_S = 5
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def body_of(code: str, message: str, facts: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "facts": facts or {}}}


async def on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.EngineError)
    status = STATUS[type(error)]
    facts = {name: fact for name, fact in error.facts.items() if name != "message"}
    return _answer(status, body_of(error.code, error.sentence, facts), _headers(status))


async def on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "invalid")
    return _answer(error.status_code, body_of(code, error.detail), dict(error.headers or {}))


async def on_unavailable(request: Request, error: Exception) -> Response:
    message = "The store cannot take this now; try again shortly."
    return _answer(503, body_of("unavailable", message), _headers(503))


async def on_fault(request: Request, error: Exception) -> Response:
    """Answers what nobody foresaw; the server above logs it with its traceback."""
    return _answer(500, body_of("internal", "Internal server error"))


HANDLERS = {
    errors.EngineError: on_refusal,
    HTTPException: on_http,
    Unavailable: on_unavailable,
    Exception: on_fault,
}


def _headers(status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else {}


def _answer(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(json.dump_bytes(body), status, headers, "application/json")
