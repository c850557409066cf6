"""The closed list of what the engine refuses. Each is a code and facts; how it is said is up to a surface."""

from typing import Any


class EngineError(Exception):
    """A refusal the caller can expect. The class docstring is its sentence; `facts` are its particulars."""

    code = "error"

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        return (type(self).__doc__ or "").format_map(_Facts(self.facts))


class _Facts(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return f"({key})"


class Unauthenticated(EngineError):
    """The credential is missing or wrong."""

    code = "unauthenticated"


class TokenExpired(EngineError):
    """The token or session has run out; log in again."""

    code = "token_expired"


class Forbidden(EngineError):
    """The credential does not have the scope {scope}."""

    code = "forbidden"


class NotFound(EngineError):
    """There is no such {noun}."""

    code = "not_found"


class Conflict(EngineError):
    """The {noun} exists already."""

    code = "conflict"


class Invalid(EngineError):
    """{message}"""

    # facts: field (dotted path), message; `faults` holds all of them where several were found
    code = "invalid"


class TooLarge(EngineError):
    """The {noun} is larger than {limit_bytes} bytes."""

    code = "too_large"


class OrganizationSuspended(EngineError):
    """The organization is not active."""

    code = "organization_suspended"


class DomainNotVerified(EngineError):
    """{domain} is not a verified sending domain of this account."""

    code = "domain_not_verified"


class DomainNotAllowed(EngineError):
    """This credential may send from {domain} only."""

    code = "domain_not_allowed"


class RecipientSuppressed(EngineError):
    """{recipient} is suppressed: {reason}."""

    code = "recipient_suppressed"


class RecipientUnsubscribed(EngineError):
    """{recipient} has unsubscribed."""

    code = "recipient_unsubscribed"


class QuotaExceeded(EngineError):
    """The plan's {limit} {noun} of this month are used up."""

    code = "quota_exceeded"

    def __init__(self, *, noun: str = "messages", **facts: Any) -> None:
        super().__init__(noun=noun, **facts)


class PlanLimitReached(EngineError):
    """The plan allows {limit} {noun}."""

    code = "plan_limit_reached"


class RateLimited(EngineError):
    """Too many requests; try again in {retry_after_s} seconds."""

    code = "rate_limited"


class IdempotencyConflict(EngineError):
    """This idempotency key was used with another request."""

    code = "idempotency_conflict"


class TemplateFault(EngineError):
    """{message}"""

    # facts: field, message, line, column
    code = "template_fault"


class NotAllowedNow(EngineError):
    """{message}"""

    # the state of the thing forbids it: cancelling what was delivered, deleting the master credential
    code = "not_allowed_now"


class Busy(EngineError):
    """The service has more work waiting than it accepts; try again shortly."""

    code = "busy"


ALL = (
    Unauthenticated, TokenExpired, Forbidden, NotFound, Conflict, Invalid, TooLarge, OrganizationSuspended,
    DomainNotVerified, DomainNotAllowed, RecipientSuppressed, RecipientUnsubscribed, QuotaExceeded,
    PlanLimitReached, RateLimited, IdempotencyConflict, TemplateFault, NotAllowedNow, Busy,
)  # fmt: skip
