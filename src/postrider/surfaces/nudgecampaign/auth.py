"""Who asks: a user's access token as Bearer, or an API key in X-API-Key; a key as Bearer is taken too."""

from starlette.requests import Request

from postrider.engine.accounts.authenticate import Caller
from postrider.engine.errors import Unauthenticated
from postrider.surfaces.common.errors import Refused
from postrider.surfaces.common.services import Services
from postrider.surfaces.nudgecampaign.errors import MISSING_TOKEN
from postrider.surfaces.nudgecampaign.keys import PREFIX

LABEL = "nudgecampaign"
SECURITY = {
    "BearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


async def authenticate(services: Services, request: Request) -> Caller:
    """The caller behind the credential; raises Unauthenticated or TokenExpired, Refused without one."""
    key, authorization = request.headers.get("x-api-key"), request.headers.get("authorization")
    if key is None and authorization is None:
        raise Refused(401, MISSING_TOKEN, "No authentication token provided")
    if key is None:
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if not token.startswith(PREFIX):
            return await services.sessions.by_access_token(token, LABEL)
        key = token
    caller = await services.keyring.by_key(key, LABEL)
    if caller is None:
        raise Unauthenticated
    return caller
