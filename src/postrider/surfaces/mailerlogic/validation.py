"""Addresses validated, one or up to a hundred, and what is left of the month. No mailbox is probed: null."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints
from starlette.responses import Response

from postrider.engine import deliverability
from postrider.engine.deliverability import BATCH_MAX, CHECK, READ, Kind, Verdict
from postrider.kit import clock
from postrider.kit.address import MAILBOX_MAX_CHARS
from postrider.surfaces.common.fields import Wire
from postrider.surfaces.common.operations import Call, Operation, answer

NOT_PROBED = "not_checked"
# What is no address is answered as such; this only bounds it.
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAILBOX_MAX_CHARS)]


class OneBody(Wire):
    email: Text


class BatchBody(Wire):
    emails: list[Text] = Field(min_length=1, max_length=BATCH_MAX)


async def validate_one(call: Call, body: OneBody) -> Response:
    (verdict,) = await _validate(call, [body.email])
    return answer(_told(verdict))


async def validate_batch(call: Call, body: BatchBody) -> Response:
    verdicts = await _validate(call, body.emails)
    valid = [verdict.is_valid for verdict in verdicts]
    summary = {
        "total": len(valid),
        "valid": valid.count(True),
        "invalid": valid.count(False),
        "unknown": valid.count(None),
    }
    results = [_told(verdict) for verdict in verdicts]
    return answer({"results": results, "summary": summary, "credits_used": len(results)})


async def get_quota(call: Call) -> Response:
    quota = await call.services.db.read(deliverability.quota_of, call.caller.principal, Kind.ADDRESS)
    told = {
        "limit": quota.limit,
        "used": quota.used,
        "remaining": quota.remaining,
        "reset_at": clock.to_iso(quota.reset_at),
    }
    return answer({"quota": told})


_PATH = "/api/v1/address/validate"
OPERATIONS = (
    Operation("validateAddress", "POST", (_PATH,), "Validate an address", CHECK, validate_one, body=OneBody),
    Operation(
        "validateBatch", "POST", (f"{_PATH}/batch",), "Validate up to 100 addresses", CHECK,
        validate_batch, body=BatchBody,
    ),
    Operation("validationQuota", "GET", (f"{_PATH}/quota",), "Validations left", READ, get_quota),
)  # fmt: skip


async def _validate(call: Call, emails: list[str]) -> list[Verdict]:
    """A credit each, counted first: many requests at once cannot pass the month's limit."""
    principal, services = call.caller.principal, call.services
    await services.db.write_first(deliverability.spend, principal, Kind.ADDRESS, len(emails))
    return await services.validator.validate(emails)


def _told(verdict: Verdict) -> dict[str, Any]:
    # Where no mail is taken there is no mailbox; else nobody asked.
    mailbox = False if verdict.is_valid is False else None
    return {
        "email": verdict.email,
        "is_valid": verdict.is_valid,
        "syntax_valid": verdict.syntax_valid,
        "domain_exists": verdict.domain_exists,
        "mx_found": verdict.mx_found,
        "mx_records": list(verdict.mx_hosts),
        "is_disposable": verdict.is_disposable,
        "is_role_account": verdict.is_role,
        "is_free_provider": verdict.is_free,
        "smtp_check": NOT_PROBED,
        "mailbox_exists": mailbox,
        "is_catch_all": mailbox,
        "suggestion": verdict.suggestion,
        "risk_score": verdict.risk,
        "confidence_score": verdict.confidence,
        "confidence_label": verdict.label,
        "mx_provider": verdict.provider,
        "email_pattern": verdict.pattern,
        "reasons": [{"code": finding.code, "message": finding.message} for finding in verdict.findings],
    }
