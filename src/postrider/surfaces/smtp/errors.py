"""The engine's refusals in SMTP: a total map to reply codes (RFC 5321) and enhanced codes (RFC 3463)."""

from postrider.engine import errors
from postrider.surfaces.common.smtp.backend import Reply

REPLIES: dict[type[errors.EngineError], tuple[int, str]] = {
    errors.Unauthenticated: (535, "5.7.8"),
    errors.TokenExpired: (535, "5.7.8"),
    errors.Forbidden: (550, "5.7.1"),
    errors.NotFound: (550, "5.1.1"),
    errors.Conflict: (550, "5.7.1"),
    errors.Invalid: (550, "5.6.0"),
    errors.TooLarge: (552, "5.3.4"),
    errors.OrganizationSuspended: (550, "5.7.1"),
    errors.DomainNotVerified: (550, "5.7.1"),
    errors.DomainNotAllowed: (550, "5.7.1"),
    errors.RecipientSuppressed: (550, "5.7.1"),
    errors.RecipientUnsubscribed: (550, "5.7.1"),
    errors.QuotaExceeded: (452, "4.7.1"),
    errors.PlanLimitReached: (550, "5.7.1"),
    errors.RateLimited: (451, "4.7.1"),
    errors.IdempotencyConflict: (550, "5.7.1"),
    errors.TemplateFault: (550, "5.6.0"),
    errors.NotAllowedNow: (550, "5.7.1"),
    errors.Busy: (451, "4.3.2"),
}


def reply_to(error: errors.EngineError) -> Reply:
    code, enhanced = REPLIES[type(error)]
    return Reply(code, enhanced, error.sentence)
