"""Users: login for a session, and the API keys that stand in a session's place.

There is no captcha and no second factor here: what the contract has for them is passed over.
"""

from typing import Any

from postrider.engine import accounts
from postrider.engine.accounts import Credential
from postrider.engine.errors import (
    Conflict,
    Invalid,
    NotFound,
    OrganizationSuspended,
    PlanLimitReached,
    Unauthenticated,
)
from postrider.surfaces.common.operations import Call, Operation, Visit
from postrider.surfaces.octeth.auth import user_by_key
from postrider.surfaces.octeth.command import Command, Parameter, Payload, Values, served
from postrider.surfaces.octeth.domains import shown_time
from postrider.surfaces.octeth.errors import USER_ERRORS, Code, Form
from postrider.surfaces.octeth.keys import USER_LABEL, user_key
from postrider.surfaces.octeth.limits import SESSION_MS
from postrider.surfaces.octeth.parameters import IP_ADDRESS, NOTE, NUMBER, PASSWORD, TEXT
from postrider.surfaces.octeth.sender_keys import READ, WRITE, delete_key, masked
from postrider.surfaces.octeth.vocabulary import ACCOUNT_STATUSES

_MASKED_PASSWORD = "****** masked ******"  # noqa: S105 - as the contract shows it
_UNAUTHENTICATED = {0: Code("Authentication failed", 401)}


async def log_in(visit: Visit, values: Values) -> Payload:
    """A session by user name (its email address) and password, or by a user's API key."""
    sessions = visit.services.sessions
    if "Username" in values and "Password" in values:
        client = visit.request.client
        session = await sessions.open(
            values["Username"],
            values["Password"],
            label=USER_LABEL,
            lifetime_ms=SESSION_MS,
            address=client.host if client else "",
        )
    else:
        caller = await user_by_key(visit.services, visit.request, values["APIKey"])
        session = await sessions.open_by_key(caller, lifetime_ms=SESSION_MS)
    user = {
        "UserID": str(session.organization.id),
        "Username": session.user.email,
        "EmailAddress": session.user.email,
        "AccountStatus": ACCOUNT_STATUSES[session.organization.status],
        "Password": _MASKED_PASSWORD,
    }
    return {"ErrorText": "", "SessionID": session.secret, "UserInfo": user}


async def create_key(call: Call, values: Values) -> Payload:
    services, secret = call.services, user_key()
    made = await services.db.write_first(
        lambda tx: accounts.create_key(
            tx,
            call.caller.principal,
            label=USER_LABEL,
            name=values["Note"],
            secret=secret,
            sealer=services.sealer,
            bound_ip=values.get("BoundIpAddress"),
        )
    )
    return {
        "Success": True,
        "APIKeyID": str(made.number),
        "APIKey": {**_shown(made), "Key": secret, "APIKey": secret},
    }


async def delete_user_key(call: Call, values: Values) -> Payload:
    await delete_key(call, USER_LABEL, values["apikeyid"])
    return {"Success": True}


async def list_keys(call: Call, values: Values) -> Payload:
    found = await call.services.db.read(accounts.list_keys, call.caller.principal, USER_LABEL)
    return {"Success": True, "APIKeys": [_shown(key) for key in found]}


LOGIN = Command(
    "userLogin", "User.Login", "Obtain a SessionID", None, log_in,
    (
        Parameter("APIKey", TEXT, invalid=3),
        Parameter("Username", TEXT, 1, 3, instead="APIKey"),
        Parameter("Password", PASSWORD, 2, 3, instead="APIKey"),
    ),
    Form.LISTS,
    {
        1: Code("Missing username"),
        2: Code("Missing password"),
        3: Code("Invalid login information"),
    },
    {Unauthenticated: 3, OrganizationSuspended: 3},
)  # fmt: skip
REST = (
    Command(
        "createUserApiKey", "user.apikey", "Create a user API key", WRITE, create_key,
        (Parameter("Note", NOTE, 1, 1), Parameter("BoundIpAddress", IP_ADDRESS, invalid=2)), Form.ERRORS,
        {
            **_UNAUTHENTICATED,
            1: Code("Missing administrative note parameter", 422),
            2: Code("Invalid bound IP address", 422),
            3: Code("API key create process failed", 400),
        },
        {Invalid: 1, Conflict: 3, PlanLimitReached: 3},
        USER_ERRORS,
    ),
    Command(
        "deleteUserApiKey", "user.apikey.delete", "Delete a user API key", WRITE, delete_user_key,
        (Parameter("apikeyid", NUMBER, 1, 2),), Form.ERRORS,
        {**_UNAUTHENTICATED, 1: Code("Missing APIKeyID parameter", 422), 2: Code("API key not found", 404)},
        {NotFound: 2},
        USER_ERRORS,
    ),
    Command(
        "listUserApiKeys", "user.apikeys", "The user's API keys", READ, list_keys, (), Form.ERRORS,
        _UNAUTHENTICATED, {}, USER_ERRORS,
    ),
)  # fmt: skip
COMMANDS = (LOGIN,)
_METHODS = {"listUserApiKeys": "GET"}
OPERATIONS = tuple(
    Operation(
        command.id, _METHODS.get(command.id, "POST"), (f"/api/v1/{command.name}",), command.summary, None,
        served(command),
    )
    for command in REST
)  # fmt: skip


def _shown(key: Credential) -> dict[str, Any]:
    return {
        "APIKeyID": str(key.number),
        "Key": masked(key.hint),
        "APIKey": masked(key.hint),
        "Note": key.name,
        "BoundIPAddress": key.bound_ip or "",
        "CreatedAt": shown_time(key.created_at),
        "LastUsedAt": None if key.last_used_at is None else shown_time(key.last_used_at),
    }
