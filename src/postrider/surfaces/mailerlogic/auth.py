"""Who asks: a key in X-API-Key, or as a Bearer token (documented for the events group, taken everywhere)."""

from starlette.requests import Request

from postrider.engine.accounts.authenticate import Caller
from postrider.engine.errors import Unauthenticated
from postrider.surfaces.common.services import Services

LABEL = "mailerlogic"
SECURITY = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


async def authenticate(services: Services, request: Request) -> Caller:
    """The caller behind the request's key; raises Unauthenticated."""
    caller = await services.keyring.by_key(_key(request), LABEL)
    if caller is None:
        raise Unauthenticated
    return caller


def _key(request: Request) -> str:
    key = request.headers.get("x-api-key")
    if key is not None:
        return key
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
