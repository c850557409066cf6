"""SMTP credentials: the logins of SMTP submission, their passwords told once."""

from typing import Any

from starlette.responses import Response

from postrider.engine import accounts, domains
from postrider.engine.accounts import Credential
from postrider.engine.errors import Invalid, NotFound
from postrider.kit import clock
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.wire import CredentialChanges, CredentialStatus, NewCredential

READ, WRITE = "credentials:read", "credentials:write"
_COLUMNS = {"sending_domain_id": "domain_id", "smtp_hostname_id": "hostname_id"}


async def list_credentials(call: Call) -> Response:
    found = await call.services.db.read(accounts.list_smtp, call.caller.principal)
    return answer({"credentials": [_shown(credential) for credential in found], **_server(call)})


async def create_credential(call: Call, new: NewCredential) -> Response:
    services, principal = call.services, call.caller.principal
    limits = await _changes(call, new)
    first = await services.db.read(domains.first_verified, principal.organization_id)
    sender_domain = first.name if first else services.hostname
    credential, password = await services.db.write_first(
        lambda tx: accounts.create_smtp(
            tx, principal, sender_domain=sender_domain, sealer=services.sealer, **limits
        )
    )
    message = "SMTP credential created. Store the password now; it is not shown again."
    return answer({"message": message, "credential": _shown(credential, password)}, 201)


async def update_credential(call: Call, changes: CredentialChanges) -> Response:
    credential_id, changed = _credential_id(call), await _changes(call, changes)
    credential = await call.services.db.write_first(
        lambda tx: accounts.update_smtp(tx, call.caller.principal, credential_id, **changed)
    )
    return answer({"message": "SMTP credential updated", "credential": _shown(credential)})


async def delete_credential(call: Call) -> Response:
    await call.services.db.write_first(accounts.delete_smtp, call.caller.principal, _credential_id(call))
    return answer({"message": "SMTP credential deleted"})


async def rotate_credential(call: Call) -> Response:
    services = call.services
    credential, password = await services.db.write_first(
        accounts.rotate_smtp, call.caller.principal, _credential_id(call), services.sealer
    )
    services.keyring.forget()
    return answer({"message": "SMTP password rotated", "credential": _shown(credential, password)})


async def set_credential_status(call: Call, status: CredentialStatus) -> Response:
    credential = await call.services.db.write_first(
        accounts.set_smtp_status, call.caller.principal, _credential_id(call), is_active=status.is_active
    )
    word = "enabled" if credential.is_active else "disabled"
    return answer({"message": f"SMTP credential {word}", "credential": _shown(credential)})


async def rotate_master(call: Call) -> Response:
    services = call.services
    credential, password = await services.db.write_first(
        accounts.rotate_master, call.caller.principal, services.sealer
    )
    services.keyring.forget()
    login = {**_server(call), "username": credential.username, "password": password}
    warning = "Update your SMTP clients with the new password. The old password will no longer work."
    return answer(
        {"success": True, "message": "SMTP password rotated", "smtp_credentials": login, "warning": warning}
    )


_ALL = ("/api/v1/smtp-credentials", "/api/smtp-credentials")
_ONE = "/api/v1/smtp-credentials/{credential_id}"
OPERATIONS = (
    Operation("listSmtpCredentials", "GET", _ALL, "All SMTP credentials", READ, list_credentials),
    Operation(
        "createSmtpCredential", "POST", _ALL, "A new named credential", WRITE,
        create_credential, body=NewCredential, status=201,
    ),
    Operation(
        "rotateMasterSmtp", "POST", tuple(f"{path}/rotate" for path in _ALL),
        "A new password for the master credential", WRITE, rotate_master,
    ),
    Operation(
        "updateSmtpCredential", "PUT", (_ONE,), "Rename, restrict or limit a credential", WRITE,
        update_credential, body=CredentialChanges,
    ),
    Operation("deleteSmtpCredential", "DELETE", (_ONE,), "Delete a credential", WRITE, delete_credential),
    Operation(
        "rotateSmtpCredential", "POST", (f"{_ONE}/rotate",), "A new password", WRITE, rotate_credential
    ),
    Operation(
        "setSmtpCredentialStatus", "PATCH", (f"{_ONE}/status",), "Enable or disable a credential", WRITE,
        set_credential_status, body=CredentialStatus,
    ),
)  # fmt: skip


def _credential_id(call: Call) -> RowId:
    return path_id(call.request.path_params["credential_id"], "credential")


async def _changes(call: Call, body: NewCredential) -> dict[str, Any]:
    """What the body sets, in the engine's words; raises NotFound or Invalid for a binding it may not have."""
    given = body.model_dump(exclude_unset=True)
    changes = {_COLUMNS.get(name, name): value for name, value in given.items()}
    if body.smtp_hostname_id is not None:
        raise NotFound(noun="SMTP hostname")
    if body.sending_domain_id is not None:
        domain_id = path_id(body.sending_domain_id, "domain")
        domain = await call.services.db.read(domains.get, call.caller.principal, domain_id)
        if not domain.is_verified:
            raise Invalid(field="sending_domain_id", message=f"{domain.name} is not verified")
        changes["domain_id"] = domain.id
    return changes


def _server(call: Call) -> dict[str, Any]:
    port = call.services.smtp_port
    return {"host": call.services.hostname, "ports": [port], "recommended_port": port}


def _shown(credential: Credential, password: str | None = None) -> dict[str, Any]:
    shown = {
        "id": to_uuid(credential.id),
        "name": credential.name,
        "username": credential.username,
        "is_master": credential.is_master,
        "is_active": credential.is_active,
        "sending_domain_id": credential.domain_id and to_uuid(credential.domain_id),
        "smtp_hostname_id": credential.hostname_id and to_uuid(credential.hostname_id),
        "rate_limit_per_minute": credential.rate_limit_per_minute,
        "rate_limit_per_hour": credential.rate_limit_per_hour,
        "last_used_at": credential.last_used_at and clock.to_iso(credential.last_used_at),
        "created_at": clock.to_iso(credential.created_at),
        "updated_at": clock.to_iso(credential.updated_at),
    }
    return shown if password is None else {**shown, "password": password}
