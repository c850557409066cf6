"""Who asks: an API key or the access token of a session, as Bearer. X-API-Key is of v0 and no credential.

Who belongs to a suspended organization is refused whatever he asks.
"""

from starlette.requests import Request

from postrider.engine.accounts import OrganizationStatus, User
from postrider.engine.accounts.authenticate import Caller
from postrider.engine.errors import OrganizationSuspended, Unauthenticated
from postrider.surfaces.common.errors import Refused
from postrider.surfaces.common.operations import Call
from postrider.surfaces.common.services import Services
from postrider.surfaces.penguinmails.keys import LIVE, TEST

LABEL = "penguinmails"
SECURITY = {"bearer": {"type": "http", "scheme": "bearer"}}


async def authenticate(services: Services, request: Request) -> Caller:
    """The caller behind the request's token; raises Unauthenticated, TokenExpired, OrganizationSuspended."""
    token = _token(request)
    if token.startswith((LIVE, TEST)):
        caller = await services.keyring.by_key(token, LABEL)
    else:
        caller = await services.sessions.by_access_token(token, LABEL)
    if caller is None:
        raise Unauthenticated
    if caller.organization.status is not OrganizationStatus.ACTIVE:
        raise OrganizationSuspended
    return caller


def signed_in(call: Call) -> User:
    """The user who asks; raises Refused where an API key does, which stands for none."""
    if call.caller.user is None:
        message = "This needs the access token of a user who has logged in, not an API key."
        raise Refused(403, "INSUFFICIENT_PERMISSIONS", message)
    return call.caller.user


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
