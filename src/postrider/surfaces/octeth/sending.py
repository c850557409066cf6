"""POST /api/v1/email: one mail from a key's domain to its recipients, all under one MessageID; or to a list.

Mail to a list has a copy for each contact, filled with what is known of it, and a MessageID for each copy.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from postrider.engine import domains
from postrider.engine.accounts.authenticate import Caller
from postrider.engine.audience import contacts, lists
from postrider.engine.audience.contacts.values import values_of
from postrider.engine.audience.model import ContactFilter, Status
from postrider.engine.content import templates
from postrider.engine.content.templates import Template
from postrider.engine.errors import (
    DomainNotAllowed,
    DomainNotVerified,
    EngineError,
    NotFound,
    OrganizationSuspended,
)
from postrider.engine.principal import Principal
from postrider.engine.sending import Submission, prepare
from postrider.engine.sending.expand import variables_of
from postrider.engine.sending.model import Recipient
from postrider.kit.address import address_key
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.body import BODY_MAX_BYTES
from postrider.surfaces.common.operations import Operation, Visit, answer, sized
from postrider.surfaces.octeth.auth import SENDER_KEY, key_in_head, sender_caller
from postrider.surfaces.octeth.errors import EMAIL_ERRORS, Faulty, Form, documented, told
from postrider.surfaces.octeth.limits import TARGETS_MAX, count_for
from postrider.surfaces.octeth.mail import CODES, NOTHING, Mail, Named, Targets, read_mail
from postrider.surfaces.octeth.parameters import Parameters, number, read_parameters
from postrider.surfaces.octeth.vocabulary import ACCOUNT_ERRORS

READ_CONTACTS = "contacts:read"
TEMPLATE, LIST = "TemplateID", "TargetListID"


async def send_email(visit: Visit) -> Response:
    """Every fault of the body at once; before them, what is wrong with the account or domain of the key."""
    try:
        caller, parameters = await _recognised(visit)
        try:
            submission = await _submission(visit, caller, parameters)
            receipt = await visit.services.sender.send(submission)
        except (Faulty, OrganizationSuspended):
            await _require_standing(visit, caller)
            raise
        except (DomainNotVerified, DomainNotAllowed) as error:
            domain_name = await _require_standing(visit, caller)
            raise DomainNotAllowed(domain=domain_name) from error  # From is of another domain
    except EngineError as error:
        raise Faulty(Form.ERRORS, [told(error, EMAIL_ERRORS, CODES)]) from None
    if submission.is_whole:
        return answer({"MessageID": to_uuid(receipt.group_id)})
    return answer({"MessageID": [to_uuid(each.message_id) for each in receipt.accepted]})


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


async def _submission(visit: Visit, caller: Caller, parameters: Parameters) -> Submission:
    """What is filled by a template or for a list may take its time: a thread does it."""
    if all(_number(parameters, name) is None for name in (TEMPLATE, LIST)):
        return await sized(parameters.size_bytes, _written, caller, parameters, NOTHING)
    named = await visit.services.db.read(_named, caller.principal, parameters)
    return await asyncio.to_thread(_written, caller, parameters, named)


def _written(caller: Caller, parameters: Parameters, named: Named) -> Submission:
    mail = read_mail(parameters, named)
    command = mail.command()
    prepared, recipients = prepare(command, merge=mail.targets is not None)
    if mail.targets is not None:
        recipients = _filled(recipients, mail, variables_of(command))
    return Submission(
        caller.principal, prepared, recipients, send_at=mail.send_at, is_whole=mail.targets is None
    )


def _filled(recipients: Sequence[Recipient], mail: Mail, variables: frozenset[str]) -> list[Recipient]:
    """Each with what its copy uses: of its contact, or of its entry in To."""
    known = {address_key(each.address): {"email": each.address, "name": each.name} for each in mail.to}
    known |= {each.address_key: values_of(each) for each in mail.targets or ()}

    def filled(recipient: Recipient) -> Recipient:
        values = known[recipient.address_key]
        return replace(recipient, values={name: value for name, value in values.items() if name in variables})

    return [filled(each) for each in recipients]


def _named(tx: Any, principal: Principal, parameters: Parameters) -> Named:
    """What TemplateID and TargetListID name in the key's organization: to send is all that its key may do."""
    template, targets = None, None
    if (given := _number(parameters, TEMPLATE)) is not None:
        with suppress(NotFound):
            template = templates.by_number(tx, principal, given)
    if (given := _number(parameters, LIST)) is not None:
        with suppress(NotFound):
            reader = replace(principal, scopes=frozenset({READ_CONTACTS}))
            targets = _subscribed(tx, reader, lists.by_number(tx, reader, given).id, template)
    return Named(template, targets)


def _subscribed(tx: Any, reader: Principal, list_id: RowId, template: Template | None) -> Targets:
    """The first TARGETS_MAX of a list who are subscribed, and lack nothing that the template must have."""
    found = contacts.page(
        tx,
        reader,
        ContactFilter(list_id=list_id, status=(Status.SUBSCRIBED,)),
        descending=False,
        limit=TARGETS_MAX,
    )
    return [each for each in found if template is None or not templates.unfit(template, values_of(each))]


def _number(parameters: Parameters, name: str) -> int | None:
    """None where it is none: the mail's model tells of that."""
    try:
        return number(parameters.get(name))
    except ValueError:
        return None


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
