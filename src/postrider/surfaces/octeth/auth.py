"""Who asks: a session or a user's key among a request's parameters, or a sender domain's key as bearer."""

from dataclasses import replace
from ipaddress import ip_address

from starlette.requests import Request

from postrider.engine.accounts.authenticate import Caller
from postrider.engine.errors import EngineError, TokenExpired, Unauthenticated
from postrider.surfaces.common.services import Services
from postrider.surfaces.octeth.keys import SENDER_LABEL, SENDER_SCOPES, USER_LABEL
from postrider.surfaces.octeth.parameters import Parameters

SENDER_KEY = "SenderAPIKey"
SECURITY = {"bearer": {"type": "http", "scheme": "bearer"}}


async def user_caller(services: Services, request: Request, parameters: Parameters) -> Caller:
    """SessionID first, then APIKey; one that is valid is enough (contract: auth.api_php.rule).

    Raises Unauthenticated, or TokenExpired where a session has run out and no key stands beside it.
    """
    refusal: EngineError = Unauthenticated()
    if session := parameters.text("SessionID"):
        try:
            caller = await services.sessions.by_session(session, USER_LABEL)
            if _may_come_from(caller, request):
                return caller
        except (Unauthenticated, TokenExpired) as error:
            refusal = error
    try:
        return await user_by_key(services, request, parameters.text("APIKey"))
    except Unauthenticated:
        raise refusal from None


async def user_by_key(services: Services, request: Request, key: str) -> Caller:
    """The caller behind a user's API key; raises Unauthenticated."""
    return await _by_key(services, request, key, USER_LABEL)


async def authenticate(services: Services, request: Request) -> Caller:
    """Never asked: every operation is open to the surface's edge, for credentials may stand in the body."""
    raise AssertionError("an operation of this surface asks for its credential itself")


async def sender_caller(services: Services, request: Request, key: str) -> Caller:
    """The caller behind a sender domain's key; raises Unauthenticated.

    All such keys may do the same, also those that were made when it was less.
    """
    caller = await _by_key(services, request, key, SENDER_LABEL)
    return replace(caller, principal=replace(caller.principal, scopes=frozenset(SENDER_SCOPES)))


def key_in_head(request: Request) -> str:
    """The sender domain's key as bearer, which goes first, or in the query; empty where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return Parameters(dict(request.query_params)).text(SENDER_KEY)


async def _by_key(services: Services, request: Request, key: str, label: str) -> Caller:
    caller = await services.keyring.by_key(key, label)
    if caller is None or not _may_come_from(caller, request):
        raise Unauthenticated
    return caller


def _may_come_from(caller: Caller, request: Request) -> bool:
    """A key bound to an address works from there only (contract: auth.api_php.user_api_key)."""
    bound = caller.credential.bound_ip if caller.credential is not None else None
    if bound is None:
        return True
    if request.client is None:
        return False
    try:
        come_from = ip_address(request.client.host)
    except ValueError:
        return False
    return ip_address(bound) in (come_from, getattr(come_from, "ipv4_mapped", None))
