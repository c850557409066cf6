"""SMTP credentials of sender domains: made, listed, reset, deleted. Passwords are told once."""

from typing import Any

from postrider.engine import accounts
from postrider.engine.accounts import Credential
from postrider.engine.errors import NotFound
from postrider.surfaces.common.operations import Call
from postrider.surfaces.octeth.command import Command, Parameter, Payload, Values
from postrider.surfaces.octeth.domains import domain_id, found_domain
from postrider.surfaces.octeth.errors import Code, Form
from postrider.surfaces.octeth.parameters import NUMBER
from postrider.surfaces.octeth.sender_keys import READ, WRITE, masked

NAME = "smtp"  # commands give a credential none; its username begins with it


async def add_smtp(call: Call, values: Values) -> Payload:
    services = call.services
    domain = await found_domain(call, values)
    credential, password = await services.db.write_first(
        lambda tx: accounts.create_smtp(
            tx,
            call.caller.principal,
            name=NAME,
            sender_domain=domain.name,
            sealer=services.sealer,
            domain_id=domain.id,
        )
    )
    return {"NewSMTPID": str(credential.number), "SMTP": _shown(call, credential, password)}


async def get_smtps(call: Call, values: Values) -> Payload:
    domain = await found_domain(call, values)
    found = await call.services.db.read(accounts.list_smtp, call.caller.principal)
    bound = [credential for credential in found if credential.domain_id == domain.id]
    return {"SMTPs": [_shown(call, credential) for credential in bound]}


async def reset_password(call: Call, values: Values) -> Payload:
    services, principal = call.services, call.caller.principal
    credential, password = await services.db.write_first(
        lambda tx: accounts.rotate_smtp(
            tx, principal, _numbered(tx, call, values["smtpid"]).id, services.sealer
        )
    )
    services.keyring.forget()
    return {"SMTP": _shown(call, credential, password)}


async def delete_smtp(call: Call, values: Values) -> Payload:
    principal = call.caller.principal
    await call.services.db.write_first(
        lambda tx: accounts.delete_smtp(tx, principal, _numbered(tx, call, values["smtpid"]).id)
    )
    call.services.keyring.forget()
    return {}


COMMANDS = (
    Command(
        "addSmtp", "EmailGateway.AddSMTP", "Create SMTP credentials for a sender domain", WRITE, add_smtp,
        (domain_id(2),), Form.NUMBER_AND_MESSAGE,
        {1: Code("Required field 'DomainID' is missing."), 2: Code("Unable to retrieve the sender domain.")},
        {NotFound: 2},
    ),
    Command(
        "getSmtps", "EmailGateway.GetSMTPs", "The SMTP credentials of a domain", READ, get_smtps,
        (domain_id(2),),
        codes={
            1: Code("Missing required parameter 'DomainID'."),
            2: Code("Unable to retrieve sender domain details."),
        },
        refusals={NotFound: 2},
    ),
    Command(
        "resetSmtpPassword", "EmailGateway.ResetSMTPPassword", "Replace the password of an SMTP credential",
        WRITE, reset_password, (Parameter("smtpid", NUMBER, 1, 2),),
        codes={
            1: Code("Missing required parameter 'smtpid'"),
            2: Code("SMTP configuration not found or access denied"),
        },
        refusals={NotFound: 2},
    ),
    Command(
        "deleteSmtp", "EmailGateway.DeleteSMTP", "Delete SMTP credentials", WRITE, delete_smtp,
        (Parameter("smtpid", NUMBER, 1, 2),),
        codes={
            1: Code("Required field is missing"),
            2: Code("SMTP configuration not found or user does not have permission"),
        },
        refusals={NotFound: 2},
    ),
)  # fmt: skip


def _numbered(tx: Any, call: Call, number: int) -> Credential:
    """Those of sender domains only: others are not this dialect's to show. Raises NotFound."""
    for credential in accounts.list_smtp(tx, call.caller.principal):
        if credential.number == number and credential.domain_id is not None:
            return credential
    raise NotFound(noun="credential")


def _shown(call: Call, credential: Credential, password: str | None = None) -> dict[str, Any]:
    """No command sets From or Reply-To: they are empty. The password is clear only when it was just made."""
    port = call.services.smtp_port
    shown = {
        "SMTPID": str(credential.number),
        "SMTPHost": call.services.hostname,
        "SMTPPorts": [str(port)],
        "Server": call.services.hostname,
        "Port": port,
        "Username": credential.username,
        "SMTPUsername": credential.username,
        "FromEmail": "",
        "FromName": "",
        "ReplyToEmail": "",
        "ReplyToName": "",
        "IsActive": credential.is_active,
    }
    if password is None:
        return {**shown, "Password": masked(credential.hint)}
    return {**shown, "SMTPPassword": password}
