"""API keys: made by a user who has logged in, told once, listed masked, revoked at once.

Test keys belong to the organization's sandbox; here they stand beside the live ones.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from postrider.engine import accounts
from postrider.engine.accounts import Credential
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.surfaces.common.operations import Call, Operation
from postrider.surfaces.penguinmails.answers import done, listed, time, time_or_none
from postrider.surfaces.penguinmails.auth import LABEL, signed_in
from postrider.surfaces.penguinmails.ids import KEY, path_id, to_id
from postrider.surfaces.penguinmails.keys import make_live, make_test
from postrider.surfaces.penguinmails.paging import Page, read_query
from postrider.surfaces.penguinmails.vocabulary import KEY_STATUSES, permissions_of, scopes_of
from postrider.surfaces.penguinmails.wire import NewKey

READ, WRITE = "credentials:read", "credentials:write"


async def create_key(call: Call, new: NewKey) -> Response:
    signed_in(call)
    services, principals = call.services, await _principals(call)
    principal, secret = principals[0], make_live()
    if new.environment == "test":
        principal, secret = principals[-1], make_test()
    credential = await services.db.write_first(
        lambda tx: accounts.create_key(
            tx,
            principal,
            label=LABEL,
            name=new.name,
            secret=secret,
            sealer=services.sealer,
            scopes=scopes_of(new.permissions),
        )
    )
    shown = _shown(credential)
    return done(
        {
            "api_key": secret,
            **{name: shown[name] for name in ("key_id", "name", "permissions", "created_at")},
            "warning": "Shown once",
        },
        201,
    )


async def list_keys(call: Call) -> Response:
    page = read_query(call.request, Page)
    found = [
        credential
        for principal in await _principals(call)
        for credential in await call.services.db.read(accounts.list_keys, principal, LABEL)
    ]
    found.sort(key=lambda credential: credential.id, reverse=page.order == "desc")
    part = found[page.offset : page.offset + page.per_page]
    return listed([_shown(credential) for credential in part], page, len(found))


async def revoke_key(call: Call) -> Response:
    signed_in(call)
    key_id = path_id(KEY, call.request.path_params["key_id"], "API key")
    principals = await _principals(call)

    def delete(tx: Any) -> None:
        for principal in principals:
            with suppress(NotFound):
                return accounts.delete_key(tx, principal, LABEL, key_id)
        raise NotFound(noun="API key")

    await call.services.db.write_first(delete)
    call.services.keyring.forget()
    return done(
        {
            "key_id": to_id(KEY, key_id),
            "message": "API key revoked successfully",
            "revoked_at": time(clock.now_ms()),
        }
    )


_ALL = "/api/v1/platform/api-keys"
OPERATIONS = (
    Operation(
        "createApiKey", "POST", (_ALL,), "Issue an API key", WRITE, create_key, body=NewKey, status=201
    ),
    Operation("listApiKeys", "GET", (_ALL,), "List API keys, masked", READ, list_keys),
    Operation("revokeApiKey", "DELETE", (f"{_ALL}/{{key_id}}",), "Revoke a key at once", WRITE, revoke_key),
)


async def _principals(call: Call) -> list[Principal]:
    """The caller in his organization and, where it has one, in its sandbox."""
    principal = call.caller.principal
    sandbox_id = await call.services.db.read(accounts.sandbox_of, principal.organization_id)
    return [principal] if sandbox_id is None else [principal, replace(principal, organization_id=sandbox_id)]


def _shown(credential: Credential) -> dict[str, Any]:
    return {
        "key_id": to_id(KEY, credential.id),
        "name": credential.name,
        "masked_key": f"{credential.hint}...",
        "permissions": permissions_of(credential.scopes),
        "status": KEY_STATUSES[credential.is_active],
        "created_at": time(credential.created_at),
        "last_used": time_or_none(credential.last_used_at),
    }
