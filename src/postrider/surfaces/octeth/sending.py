"""POST /api/v1/email: one mail from a key's domain to its recipients, all under one MessageID."""

from starlette.responses import Response

from postrider.engine import domains
from postrider.engine.accounts.authenticate import Caller
from postrider.engine.errors import (
    DomainNotAllowed,
    DomainNotVerified,
    EngineError,
    NotFound,
    OrganizationSuspended,
)
from postrider.engine.sending import Submission, prepare
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.body import BODY_MAX_BYTES
from postrider.surfaces.common.operations import Operation, Visit, answer, sized
from postrider.surfaces.octeth.auth import SENDER_KEY, key_in_head, sender_caller
from postrider.surfaces.octeth.errors import EMAIL_ERRORS, Faulty, Form, documented, told
from postrider.surfaces.octeth.limits import count_for
from postrider.surfaces.octeth.mail import CODES, read_mail
from postrider.surfaces.octeth.parameters import Parameters, read_parameters
from postrider.surfaces.octeth.vocabulary import ACCOUNT_ERRORS


async def send_email(visit: Visit) -> Response:
    """Every fault of the body at once; before them, what is wrong with the account or domain of the key."""
    try:
        caller, parameters = await _recognised(visit)
        try:
            submission = await sized(parameters.size_bytes, _submission, caller, parameters)
            receipt = await visit.services.sender.send(submission)
        except (Faulty, OrganizationSuspended):
            await _require_standing(visit, caller)
            raise
        except (DomainNotVerified, DomainNotAllowed) as error:
            domain_name = await _require_standing(visit, caller)
            raise DomainNotAllowed(domain=domain_name) from error  # From is of another domain
    except EngineError as error:
        raise Faulty(Form.ERRORS, [told(error, EMAIL_ERRORS, CODES)]) from None
    return answer({"MessageID": to_uuid(receipt.group_id)})


OPERATIONS = (
    Operation(
        "sendEmail", "POST", ("/api/v1/email",), "Queue one email from the key's domain", None, send_email
    ),
)


async def _recognised(visit: Visit) -> tuple[Caller, Parameters]:
    """A key in the head is looked at before the body is read."""
    key = key_in_head(visit.request)
    caller = await sender_caller(visit.services, visit.request, key) if key else None
    if caller is not None:
        count_for(visit.request, caller)
    parameters = await read_parameters(visit.request, BODY_MAX_BYTES)
    if caller is None:
        key = parameters.text(SENDER_KEY)
        if not key:
            raise Faulty(Form.ERRORS, [documented(1, CODES)])
        caller = await sender_caller(visit.services, visit.request, key)
        count_for(visit.request, caller)
    caller.principal.require("messages:send")
    return caller, parameters


def _submission(caller: Caller, parameters: Parameters) -> Submission:
    mail = read_mail(parameters)
    prepared, recipients = prepare(mail.command())
    return Submission(caller.principal, prepared, recipients, send_at=mail.send_at, is_whole=True)


async def _require_standing(visit: Visit, caller: Caller) -> str:
    """The name of the key's domain, whose mail may be sent; Faulty (12, 34), NotFound, DomainNotVerified."""
    number = ACCOUNT_ERRORS[caller.organization.status]
    if number is not None:
        raise Faulty(Form.ERRORS, [documented(number, CODES)])
    domain_id = caller.principal.domain_id
    if domain_id is None:
        raise NotFound(noun="domain")
    domain = await visit.services.db.read(domains.get, caller.principal, domain_id)
    if not domain.is_verified:
        raise DomainNotVerified(domain=domain.name)
    return domain.name
