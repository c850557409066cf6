"""How refusals are said here: total maps from the engine's errors to status, code and detail code.

400 is for what cannot be read (syntax, media type, query parameters), 422 for what was read and may not be.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine import errors
from postrider.engine.errors import EngineError
from postrider.surfaces.common.errors import FAULTS_MAX, ErrorTable, Refused, Said, faults_of
from postrider.surfaces.common.fields import BAD_ADDRESS
from postrider.surfaces.common.operations import RETRY_AFTER_S, answer
from postrider.surfaces.common.request_id import request_id
from postrider.surfaces.nudgecampaign.vocabulary import FIELDS, word_of

MISSING_TOKEN, INVALID_TOKEN = "ERR_AUTH_MISSING_TOKEN", "ERR_AUTH_INVALID_TOKEN"
DENIED, NOT_FOUND, VALIDATION = "ERR_PERMISSION_DENIED", "ERR_RESOURCE_NOT_FOUND", "ERR_VALIDATION"
DUPLICATE, RATE_LIMIT, QUOTA = "ERR_DUPLICATE_RESOURCE", "ERR_RATE_LIMIT", "ERR_QUOTA_EXCEEDED"
PAYMENT, SERVER = "ERR_PAYMENT_REQUIRED", "ERR_SERVER_ERROR"

TYPES = {
    MISSING_TOKEN: "authentication_error",
    INVALID_TOKEN: "authentication_error",
    DENIED: "authorization_error",
    NOT_FOUND: "not_found_error",
    VALIDATION: "validation_error",
    DUPLICATE: "validation_error",
    RATE_LIMIT: "rate_limit_error",
    QUOTA: "quota_error",
    PAYMENT: "payment_error",
    SERVER: "server_error",
}
ERRORS: ErrorTable = {
    errors.Unauthenticated: Said(401, INVALID_TOKEN),
    errors.TokenExpired: Said(401, INVALID_TOKEN),
    errors.Forbidden: Said(403, DENIED),
    errors.NotFound: Said(404, NOT_FOUND),
    errors.Conflict: Said(409, DUPLICATE),
    errors.Invalid: Said(422, VALIDATION),
    errors.TooLarge: Said(422, VALIDATION),
    errors.OrganizationSuspended: Said(402, PAYMENT),
    errors.DomainNotVerified: Said(422, VALIDATION),
    errors.DomainNotAllowed: Said(403, DENIED),
    errors.RecipientSuppressed: Said(422, VALIDATION),
    errors.RecipientUnsubscribed: Said(422, VALIDATION),
    errors.QuotaExceeded: Said(403, QUOTA),
    errors.PlanLimitReached: Said(403, QUOTA),
    errors.RateLimited: Said(429, RATE_LIMIT),
    errors.IdempotencyConflict: Said(409, VALIDATION),
    errors.TemplateFault: Said(422, VALIDATION),
    errors.NotAllowedNow: Said(409, VALIDATION),
    errors.Busy: Said(503, SERVER),
}
# The field and the detail code of validation errors whose facts do not tell them.
DETAILS: Mapping[type[EngineError], tuple[str, str]] = {
    errors.Conflict: ("name", "duplicate"),
    errors.TooLarge: ("body", "too_long"),
    errors.DomainNotVerified: ("from_email", "invalid_value"),
    errors.RecipientSuppressed: ("recipients", "invalid_value"),
    errors.RecipientUnsubscribed: ("recipients", "invalid_value"),
    errors.IdempotencyConflict: ("Idempotency-Key", "idempotency_key_reused"),
    errors.NotAllowedNow: ("status", "invalid_state"),
}
FAILURES = {
    404: Said(404, NOT_FOUND),
    405: Said(405, NOT_FOUND),
    500: Said(500, SERVER),
    503: Said(503, SERVER),
}
_FAILURE_SENTENCES = {
    404: "There is no such path.",
    405: "The path does not take this method.",
    500: "Internal server error",
    503: "The service cannot take this now; try again shortly.",
}
_DOCUMENTATION = "https://docs.nudgecampaign.com/api/errors/"
_MANY_FAULTS = "The request contains invalid parameters"


class Detail(NamedTuple):
    """One thing that is wrong with a request, and its code of the contract's detail_codes."""

    field: str
    message: str
    code: str


class Faulty(Refused):
    """A request with all that is wrong in it: 400 where it cannot be read, 422 where it may not be so."""

    def __init__(self, status: int, details: Sequence[Detail]) -> None:
        super().__init__(status, VALIDATION, _MANY_FAULTS)
        self.details = details[:FAULTS_MAX]


def refuse(error: EngineError | Refused, request: Request) -> Response:
    """The whole answer to a refused request."""
    match error:
        case Faulty():
            return _told(request, error.said, error.message, error.details)
        case Refused():
            return _told(request, error.said, error.message)
    said = ERRORS[type(error)]
    response = _told(
        request, said, _sentence(error), _details(error), retry_after_s=error.facts.get("retry_after_s")
    )
    if said.status in (429, 503):
        response.headers["Retry-After"] = str(error.facts.get("retry_after_s", RETRY_AFTER_S))
    return response


def fail(status: int, request: Request) -> Response:
    """What is no operation's refusal: unknown paths and methods, faults of ours."""
    said = FAILURES.get(status, Said(status, VALIDATION))
    return _told(request, said, _FAILURE_SENTENCES.get(status, "Request failed"))


def _told(
    request: Request,
    said: Said,
    message: str,
    details: Sequence[Detail] = (),
    *,
    retry_after_s: int | None = None,
) -> Response:
    told: dict[str, Any] = {
        "type": TYPES[said.code],
        "message": message,
        "code": said.code,
        "details": [detail._asdict() for detail in details],
        "request_id": request_id(request),
        "documentation_url": _DOCUMENTATION + said.code,
    }
    if said.code == RATE_LIMIT:
        told["retry_after"] = RETRY_AFTER_S if retry_after_s is None else retry_after_s
    response = answer({"error": told}, said.status)
    if said.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 15.5.2 asks for a challenge
    return response


def _sentence(error: EngineError) -> str:
    match error:
        case errors.Forbidden():
            return f"The caller lacks the permission {word_of(str(error.facts.get('scope')))}."
        case errors.RateLimited():
            seconds = error.facts.get("retry_after_s", RETRY_AFTER_S)
            return f"Rate limit exceeded. Please retry after {seconds} seconds"
        case errors.Invalid():
            return _MANY_FAULTS
        case _:
            return error.sentence


def _details(error: EngineError) -> list[Detail]:
    """What is wrong, one by one; none for errors that are no validation_error."""
    if TYPES[ERRORS[type(error)].code] != "validation_error":
        return []
    if faults := faults_of(error):
        kind = str(error.facts.get("kind", "invalid_value"))
        return [
            Detail(
                FIELDS.get(fault.field, fault.field),
                fault.message,
                "invalid_format" if fault.message == BAD_ADDRESS else kind,
            )
            for fault in faults
        ]
    field, code = DETAILS[type(error)]
    return [Detail(str(error.facts.get("field", field)), error.sentence, code)]
