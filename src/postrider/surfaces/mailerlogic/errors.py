"""How the engine's refusals are said here: a total map to (status, error), enveloped as {error, message}."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine import errors
from postrider.engine.errors import EngineError
from postrider.surfaces.common.errors import ErrorTable, Fault, Refused, Said, faults_of
from postrider.surfaces.common.fields import BAD_ADDRESS
from postrider.surfaces.common.operations import RETRY_AFTER_S, answer

ERRORS: ErrorTable = {
    errors.Unauthenticated: Said(401, "Unauthorized"),
    errors.TokenExpired: Said(401, "Unauthorized"),
    errors.Forbidden: Said(403, "forbidden"),
    errors.NotFound: Said(404, "Not found"),
    errors.Conflict: Said(409, "conflict"),
    errors.Invalid: Said(400, "Validation failed"),
    errors.TooLarge: Said(413, "payload_too_large"),
    errors.OrganizationSuspended: Said(403, "account_suspended"),
    errors.DomainNotVerified: Said(403, "domain_not_verified"),
    errors.DomainNotAllowed: Said(403, "domain_not_allowed"),
    errors.RecipientSuppressed: Said(403, "recipient_suppressed"),
    errors.RecipientUnsubscribed: Said(403, "recipient_unsubscribed"),
    errors.QuotaExceeded: Said(429, "quota_exceeded"),
    errors.PlanLimitReached: Said(403, "plan_limit_reached"),
    errors.RateLimited: Said(429, "rate_limit_exceeded"),
    errors.IdempotencyConflict: Said(409, "idempotency_conflict"),
    errors.TemplateFault: Said(400, "Validation failed"),
    errors.NotAllowedNow: Said(400, "not_allowed"),
    errors.Busy: Said(503, "service_unavailable"),
}
_FAILURES = {
    404: {"error": "Not found", "message": "There is no such path."},
    405: {"error": "Method not allowed", "message": "The path does not take this method."},
    500: {"error": "Internal server error"},
    503: {"error": "service_unavailable", "message": "The service cannot take this now; try again shortly."},
}


def refuse(error: EngineError | Refused, request: Request) -> Response:
    """The whole answer to a refused request."""
    if isinstance(error, Refused):
        return answer({"error": error.said.code, "message": error.message}, error.said.status)
    status = ERRORS[type(error)].status
    response = answer(told(error), status)
    if status in (429, 503):
        response.headers["Retry-After"] = str(error.facts.get("retry_after_s", RETRY_AFTER_S))
    return response


def told(error: EngineError) -> dict[str, Any]:
    """{error, message}, with every fault of a request in message and `errors`; a batch tells it per item."""
    code = ERRORS[type(error)].code
    faults = faults_of(error)
    if not faults:
        return {"error": code, "message": error.sentence}
    if any(fault.message == BAD_ADDRESS for fault in faults):
        code = BAD_ADDRESS
    return {
        "error": code,
        "message": "; ".join(map(_sentence, faults)),
        "errors": [{"field": fault.field, "message": fault.message} for fault in faults],
    }


def fail(status: int, request: Request) -> Response:
    return answer(_FAILURES.get(status) or {"error": "Request failed"}, status)


def _sentence(fault: Fault) -> str:
    return f"{fault.field}: {fault.message}" if fault.field else fault.message
