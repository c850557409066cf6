"""How refusals are said here: total maps from engine error to (HTTP status, number), and the envelopes.

What has no number of its own on an operation is numbered by its HTTP status, as the dialect's common errors
are (403, 404, 409, 429).
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine import errors
from postrider.engine.errors import EngineError
from postrider.surfaces.common.errors import Refused
from postrider.surfaces.common.operations import RETRY_AFTER_S, answer
from postrider.surfaces.octeth.limits import REQUESTS_PER_MINUTE

COMMAND_PATH = "/api.php"
BAD_CREDENTIALS, SESSION_EXPIRED = 99998, 99999
BAD_BODY, BAD_METHOD, UNKNOWN_COMMAND, SERVER_ERROR = 100000, 100001, 100003, 100005


class Said(NamedTuple):
    """An engine error's HTTP status and number."""

    status: int
    number: int


class Code(NamedTuple):
    """A documented number's sentence and HTTP status; `{retry_after_s}` and `{attempts}` are filled in."""

    message: str
    status: int = 200


class Told(NamedTuple):
    """One thing that is wrong with a request, as it is told."""

    status: int
    number: int
    message: str
    retry_after_s: int = RETRY_AFTER_S


class Form(Enum):
    """The envelopes of refusals (contract: error_form of each operation)."""

    NUMBER = auto()  # {Success, ErrorCode: 1}
    NUMBER_AND_MESSAGE = auto()  # … and ErrorMessage
    LIST = auto()  # {Success, ErrorCode: [1]}
    LIST_AND_MESSAGE = auto()  # … and ErrorMessage
    LISTS = auto()  # {Success, ErrorCode: [1], ErrorText: ["…"]}
    ERRORS = auto()  # {Errors: [{Code, Message}]}


class Faulty(Refused):
    """A refusal in an operation's own form and numbers, with all that is wrong."""

    def __init__(self, form: Form, told: Sequence[Told]) -> None:
        self.form, self.told = form, told
        super().__init__(told[0].status, str(told[0].number), told[0].message)


class Broken(Refused):
    """A request that reached no operation: unreadable, or for a command nobody has."""

    def __init__(self, number: int, message: str, status: int = 400) -> None:
        self.number = number
        super().__init__(status, str(number), message)


Numbers = Mapping[type[EngineError], Said]
Codes = Mapping[int, Code]

_NUMBERS: dict[type[EngineError], int] = {
    errors.Unauthenticated: BAD_CREDENTIALS,
    errors.TokenExpired: SESSION_EXPIRED,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 422,
    errors.TooLarge: 413,
    errors.OrganizationSuspended: 403,
    errors.DomainNotVerified: 403,
    errors.DomainNotAllowed: 403,
    errors.RecipientSuppressed: 409,
    errors.RecipientUnsubscribed: 409,
    errors.QuotaExceeded: 403,
    errors.PlanLimitReached: 403,
    errors.RateLimited: 429,
    errors.IdempotencyConflict: 409,
    errors.TemplateFault: 422,
    errors.NotAllowedNow: 409,
    errors.Busy: 503,
}
_SAID_BY_HTTP = {413, 429, 503}  # a handler's other refusals are 200 on the command endpoint

COMMAND_ERRORS: Numbers = {
    error: Said(number if number in _SAID_BY_HTTP else 200, number) for error, number in _NUMBERS.items()
}
USER_ERRORS: Numbers = {
    **{error: Said(number, number) for error, number in _NUMBERS.items()},
    errors.Unauthenticated: Said(401, 0),
    errors.TokenExpired: Said(401, 0),
}
EMAIL_ERRORS: Numbers = {
    **USER_ERRORS,
    errors.Unauthenticated: Said(401, 13),
    errors.TokenExpired: Said(401, 13),
    errors.NotFound: Said(404, 2),
    errors.OrganizationSuspended: Said(404, 12),
    errors.DomainNotVerified: Said(403, 32),
    errors.DomainNotAllowed: Said(422, 3),
    errors.RecipientSuppressed: Said(409, 14),
    errors.RecipientUnsubscribed: Said(409, 14),
    errors.QuotaExceeded: Said(420, 17),
}

_FAILURES = {
    404: Told(404, 404, "There is no such path."),
    405: Told(405, 405, "The path does not take this method."),
    500: Told(500, SERVER_ERROR, "Unhandled server error."),
    503: Told(503, 503, "The service cannot take this now; try again shortly."),
}
_COMMAND_FAILURES = {**_FAILURES, 405: Told(400, BAD_METHOD, "Unsupported connection method.")}


def told(error: EngineError, numbers: Numbers, codes: Codes) -> Told:
    """An engine error in an operation's numbers and sentences; without one of these, in the engine's own."""
    status, number = numbers[type(error)]
    retry_after_s = int(error.facts.get("retry_after_s", RETRY_AFTER_S))
    code = codes.get(number) or Code(error.sentence.replace("{", "{{").replace("}", "}}"), status)
    message = code.message.format(retry_after_s=retry_after_s, attempts=REQUESTS_PER_MINUTE)
    return Told(code.status, number, message, retry_after_s)


def documented(number: int, codes: Codes) -> Told:
    """A refusal that no engine error says, in the operation's own sentence."""
    return Told(codes[number].status, number, codes[number].message)


def refuse(error: EngineError | Refused, request: Request) -> Response:
    """The whole answer to a refused request."""
    match error:
        case Faulty():
            return _say(error.told[0], envelope(error.form, error.told))
        case Broken():
            return _broken(Told(error.said.status, error.number, error.message))
        case Refused():
            return _broken(Told(error.said.status, error.said.status, error.message))
        case EngineError():
            return _broken(told(error, USER_ERRORS, {}))


def fail(status: int, request: Request) -> Response:
    """404, 405, 500, 503: what no operation answered."""
    failures = _COMMAND_FAILURES if request.url.path.endswith(COMMAND_PATH) else _FAILURES
    return _broken(failures.get(status) or Told(status, status, "The request failed."))


def envelope(form: Form, told: Sequence[Told]) -> dict[str, Any]:
    """A refusal's body; the forms with one number tell the first."""
    first = told[0]
    match form:
        case Form.NUMBER:
            return {"Success": False, "ErrorCode": first.number}
        case Form.NUMBER_AND_MESSAGE:
            return {"Success": False, "ErrorCode": first.number, "ErrorMessage": first.message}
        case Form.LIST:
            return {"Success": False, "ErrorCode": [each.number for each in told]}
        case Form.LIST_AND_MESSAGE:
            numbers, texts = [each.number for each in told], [each.message for each in told]
            return {"Success": False, "ErrorCode": numbers, "ErrorMessage": " ".join(texts)}
        case Form.LISTS:
            numbers, texts = [each.number for each in told], [each.message for each in told]
            return {"Success": False, "ErrorCode": numbers, "ErrorText": texts}
        case Form.ERRORS:
            return {"Errors": [{"Code": each.number, "Message": each.message} for each in told]}


def _broken(told: Told) -> Response:
    """A body that every client finds its own form in (contract: envelope.codes, 100003)."""
    listed = envelope(Form.ERRORS, [told])
    body = {"Success": False, "ErrorCode": told.number, "ErrorText": told.message, **listed}
    return _say(told, body)


def _say(told: Told, body: dict[str, Any]) -> Response:
    response = answer(body, told.status)
    if told.status in (429, 503):
        response.headers["Retry-After"] = str(told.retry_after_s)
    return response
