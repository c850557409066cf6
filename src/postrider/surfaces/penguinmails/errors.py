"""How the engine's refusals are said here: a total map to (status, code), and the envelope of errors.

Three codes share the 400: what is absent, what is no address, and everything else or a mixture.
"""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine import errors
from postrider.engine.errors import EngineError
from postrider.kit import clock
from postrider.surfaces.common.errors import ErrorTable, Fault, Refused, Said, faults_of
from postrider.surfaces.common.fields import BAD_ADDRESS
from postrider.surfaces.common.operations import RETRY_AFTER_S, answer
from postrider.surfaces.common.request_id import request_id
from postrider.surfaces.penguinmails.answers import time

MISSING = "Field required"  # as pydantic says it
DOCUMENTATION = "https://docs.penguinmails.com/errors/"

_INVALID = Said(400, "VALIDATION_ERROR")
_CONFLICT = Said(409, "RESOURCE_CONFLICT")
_NO_RIGHT = Said(403, "INSUFFICIENT_PERMISSIONS")
ERRORS: ErrorTable = {
    errors.Unauthenticated: Said(401, "AUTHENTICATION_REQUIRED"),
    errors.TokenExpired: Said(401, "TOKEN_EXPIRED"),
    errors.Forbidden: _NO_RIGHT,
    errors.NotFound: Said(404, "RESOURCE_NOT_FOUND"),
    errors.Conflict: Said(409, "RESOURCE_ALREADY_EXISTS"),
    errors.Invalid: _INVALID,
    errors.TooLarge: Said(413, "CONTENT_TOO_LARGE"),
    errors.OrganizationSuspended: Said(403, "ACCOUNT_SUSPENDED"),
    errors.DomainNotVerified: _INVALID,
    errors.DomainNotAllowed: _NO_RIGHT,
    errors.RecipientSuppressed: _CONFLICT,
    errors.RecipientUnsubscribed: _CONFLICT,
    errors.QuotaExceeded: Said(429, "QUOTA_EXCEEDED"),
    errors.PlanLimitReached: _NO_RIGHT,
    errors.RateLimited: Said(429, "RATE_LIMIT_EXCEEDED"),
    errors.IdempotencyConflict: _CONFLICT,
    errors.TemplateFault: _INVALID,
    errors.NotAllowedNow: _CONFLICT,
    errors.Busy: Said(503, "SERVICE_UNAVAILABLE"),
}
_ABOUT: dict[type[EngineError], str] = {  # the one field that an error without faults is about
    errors.DomainNotVerified: "from.email",
    errors.DomainNotAllowed: "from.email",
    errors.RecipientSuppressed: "to",
    errors.RecipientUnsubscribed: "to",
}
_FIELDS = {"html": "content.html", "text": "content.text", "from": "from.email"}  # the engine's name: ours
_RECIPIENT = re.compile(r"recipients\.([0-9]+)")
_SENTENCES = {MISSING: "This field is required", BAD_ADDRESS: "Invalid email format"}
_CODES_OF_ONE_KIND = {
    MISSING: (Said(400, "MISSING_REQUIRED_FIELD"), "A required field is missing"),
    BAD_ADDRESS: (Said(400, "INVALID_EMAIL_FORMAT"), "Email address format is invalid"),
}
_MIXED = (_INVALID, "The provided data is invalid")
_FAILURES = {
    404: ("RESOURCE_NOT_FOUND", "There is no such path."),
    405: ("RESOURCE_NOT_FOUND", "The path does not take this method."),
    500: ("INTERNAL_SERVER_ERROR", "An unexpected error occurred."),
    503: ("SERVICE_UNAVAILABLE", "The service cannot take this now; try again shortly."),
}
_OTHER_FAILURE = ("VALIDATION_ERROR", "The request could not be read.")


def refuse(error: EngineError | Refused, request: Request) -> Response:
    """The whole answer to a refused request."""
    if isinstance(error, Refused):
        return _answer(request, error.said, error.message)
    faults = _faults(error)
    said, message = _worded(error, faults)
    response = _answer(request, said, message, faults)
    if said.status in (429, 503):
        response.headers["Retry-After"] = str(_retry_after_s(error))
    return response


def fail(status: int, request: Request) -> Response:
    code, message = _FAILURES.get(status, _OTHER_FAILURE)
    return _answer(request, Said(status, code), message)


def sentence_of(fault: Fault) -> str:
    """What is wrong, as this dialect says it."""
    return _SENTENCES.get(fault.message, fault.message)


def _answer(request: Request, said: Said, message: str, faults: list[Fault] | None = None) -> Response:
    error: dict[str, Any] = {
        "code": said.code,
        "message": message,
        "details": [{"field": fault.field, "message": sentence_of(fault)} for fault in faults or ()],
        "request_id": request_id(request),
        "documentation_url": DOCUMENTATION + said.code.lower().replace("_", "-"),
    }
    return answer({"success": False, "error": error, "timestamp": time(clock.now_ms())}, said.status)


def _worded(error: EngineError, faults: list[Fault]) -> tuple[Said, str]:
    if not faults or type(error) in _ABOUT:
        return ERRORS[type(error)], error.sentence
    kinds = {fault.message for fault in faults}
    return _CODES_OF_ONE_KIND.get(kinds.pop(), _MIXED) if len(kinds) == 1 else _MIXED


def _faults(error: EngineError) -> list[Fault]:
    """Everything that is wrong, by this dialect's names of fields."""
    if type(error) in _ABOUT:
        return [Fault(_ABOUT[type(error)], error.sentence)]
    return [Fault(_field(fault.field), fault.message) for fault in faults_of(error)]


def _field(name: str) -> str:
    """A template's variables are filled by what stands in personalization."""
    if (place := _RECIPIENT.match(name)) is not None:
        return f"recipients[{place[1]}]{name[place.end() :]}"
    noun, _, rest = name.partition("variables.")
    return f"personalization.{rest}" if rest and not noun else _FIELDS.get(name, name)


def _retry_after_s(error: EngineError) -> int:
    """Seconds until it may work: a quota is good again when its month (UTC) is over."""
    if isinstance(error, errors.QuotaExceeded):
        now = clock.to_datetime(clock.now_ms())
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = first.replace(year=now.year + now.month // 12, month=now.month % 12 + 1)
        return int((following - now).total_seconds()) + 1
    return int(error.facts.get("retry_after_s", RETRY_AFTER_S))
