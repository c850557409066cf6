"""How refusals are said here: {error: {code, message, facts}}; a total map from engine error to status."""

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine import errors
from postrider.surfaces.common.errors import Refused
from postrider.surfaces.common.operations import RETRY_AFTER_S, answer

STATUS: dict[type[errors.EngineError], int] = {
    errors.Unauthenticated: 401,
    errors.TokenExpired: 401,
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
_FAILURES = {404: "not_found", 405: "method_not_allowed", 500: "internal", 503: "unavailable"}


def refuse(error: errors.EngineError | Refused, request: Request) -> Response:
    if isinstance(error, Refused):
        return _say(error.said.status, error.said.code, error.message)
    facts = {name: fact for name, fact in error.facts.items() if name != "message"}
    response = _say(STATUS[type(error)], error.code, error.sentence, facts)
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    elif response.status_code in (429, 503):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def fail(status: int, request: Request) -> Response:
    """404, 405, 500, 503: what no operation answered."""
    return _say(status, _FAILURES.get(status, "invalid"), HTTPStatus(status).phrase)


def _say(status: int, code: str, message: str, facts: dict[str, Any] | None = None) -> Response:
    return answer({"error": {"code": code, "message": message, "facts": facts or {}}}, status)
