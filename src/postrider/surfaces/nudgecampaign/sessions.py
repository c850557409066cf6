"""Signing in: an email and a password for tokens, a refresh token for new ones. No answer has a wrapper."""

from typing import Any

from starlette.responses import Response

from postrider.engine.accounts import Lifetimes, Tokens
from postrider.surfaces.common.operations import Operation, Visit, answer
from postrider.surfaces.nudgecampaign.auth import LABEL
from postrider.surfaces.nudgecampaign.ids import Noun, show
from postrider.surfaces.nudgecampaign.limits import ACCESS_MS, REFRESH_MS
from postrider.surfaces.nudgecampaign.wire import Login, Refresh

_LIFETIMES = Lifetimes(access_ms=ACCESS_MS, refresh_ms=REFRESH_MS)


async def login(visit: Visit, who: Login) -> Response:
    client = visit.request.client
    tokens = await visit.services.sessions.login(
        who.email, who.password, label=LABEL, lifetimes=_LIFETIMES, address=client.host if client else ""
    )
    user = {
        "id": show(Noun.USER, tokens.user.id),
        "email": tokens.user.email,
        "organization_id": show(Noun.ORGANIZATION, tokens.organization.public_id),
        "role": tokens.role,
    }
    return answer({**_shown(tokens), "user": user})


async def refresh(visit: Visit, kept: Refresh) -> Response:
    """The old token is used up; one that comes a second time ends the session for whoever holds it."""
    tokens = await visit.services.sessions.refresh(kept.refresh_token, label=LABEL, lifetimes=_LIFETIMES)
    return answer(_shown(tokens))


OPERATIONS = (
    Operation("login", "POST", ("/v2/auth/login",), "Sign in with a password", None, login, body=Login),
    Operation(
        "refreshToken", "POST", ("/v2/auth/refresh",), "Trade a refresh token for new tokens", None, refresh,
        body=Refresh,
    ),
)  # fmt: skip


def _shown(tokens: Tokens) -> dict[str, Any]:
    return {
        "access_token": tokens.access,
        "refresh_token": tokens.refresh,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in_s,
    }
