"""Login, refresh and logout: a user's pair of tokens, made, changed and ended."""

from typing import Any

from starlette.responses import Response

from postrider.engine.accounts import Lifetimes, Tokens
from postrider.surfaces.common.body import read_body
from postrider.surfaces.common.operations import Call, Operation, Visit, parse
from postrider.surfaces.penguinmails.answers import done
from postrider.surfaces.penguinmails.auth import LABEL, signed_in
from postrider.surfaces.penguinmails.ids import USER, to_id
from postrider.surfaces.penguinmails.limits import ACCESS_TOKEN_MS, REFRESH_TOKEN_MS
from postrider.surfaces.penguinmails.vocabulary import ROLES
from postrider.surfaces.penguinmails.wire import Credentials, Logout, Refresh

ANYONE = "organization:read"  # every role has it
LIFETIMES = Lifetimes(access_ms=ACCESS_TOKEN_MS, refresh_ms=REFRESH_TOKEN_MS)


async def login(visit: Visit, given: Credentials) -> Response:
    client = visit.request.client
    tokens = await visit.services.sessions.login(
        given.email, given.password, label=LABEL, lifetimes=LIFETIMES, address=client.host if client else ""
    )
    user = {"id": to_id(USER, tokens.user.id), "email": tokens.user.email, "role": ROLES[tokens.role]}
    return done({**_shown(tokens), "user": user})


async def refresh_token(visit: Visit, given: Refresh) -> Response:
    """The token presented is worth nothing afterwards."""
    tokens = await visit.services.sessions.refresh(given.refresh_token, label=LABEL, lifetimes=LIFETIMES)
    return done(_shown(tokens))


async def logout(call: Call) -> Response:
    """Both tokens of the session stop at once; a body is not needed."""
    signed_in(call)
    if raw := await read_body(call.request):
        parse(Logout, raw)
    await call.services.sessions.end(call.caller)
    return done({"message": "Successfully logged out"})


OPERATIONS = (
    Operation(
        "login", "POST", ("/api/v1/auth/login",), "Exchange email and password for a token pair", None,
        login, body=Credentials,
    ),
    Operation(
        "refreshToken", "POST", ("/api/v1/auth/refresh",), "Swap a refresh token for a new pair", None,
        refresh_token, body=Refresh,
    ),
    Operation("logout", "POST", ("/api/v1/auth/logout",), "End the session", ANYONE, logout),
)  # fmt: skip


def _shown(tokens: Tokens) -> dict[str, Any]:
    return {
        "access_token": tokens.access,
        "refresh_token": tokens.refresh,
        "expires_in": tokens.expires_in_s,
        "token_type": "Bearer",
    }
