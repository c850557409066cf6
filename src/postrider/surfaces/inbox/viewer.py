"""Who looks at the inbox, and whose mail they see: one organization's and its sandbox's.

On a server that only this machine reaches, nobody is asked; anywhere else a console key is, by header or by a
cookie that holds it sealed.
"""

import base64
import binascii
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from starlette.requests import HTTPConnection

from postrider.engine import accounts
from postrider.engine.accounts import Organization
from postrider.engine.errors import NotFound, Unauthenticated
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.surfaces.common.services import Services

LABEL = "console"
COOKIE = "postrider_inbox"
COOKIE_MAX_CHARS = 1_000
SESSION_S = 7 * 24 * 60 * 60
_SEALED_FOR = b"inbox session"
_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
ID_MAX_CHARS = 19


@dataclass(frozen=True, slots=True)
class Viewer:
    principal: Principal
    organization: Organization
    organization_ids: tuple[int, ...]  # with the sandbox
    has_session: bool  # by cookie: may log out

    def principal_of(self, organization_id: int) -> Principal:
        """The same person in the sandbox."""
        assert organization_id in self.organization_ids
        return replace(self.principal, organization_id=organization_id)


async def viewer_of(services: Services, request: HTTPConnection) -> Viewer:
    """Raises Unauthenticated; NotFound for an organization there is not."""
    key, has_session = _key_of(services, request)
    if key is None:
        if not (services.is_local and _asks_locally(request)):
            raise Unauthenticated
        return await _local(services, request.query_params.get("organization"))
    caller = await services.keyring.by_key(key, LABEL)
    if caller is None:
        raise Unauthenticated
    viewer = await _viewer(services, caller.principal, caller.organization)
    return replace(viewer, has_session=has_session)


async def session_of(services: Services, key: str) -> str | None:
    """The cookie's value for a console key, None where the key opens nothing."""
    if await services.keyring.by_key(key, LABEL) is None:
        return None
    until = clock.now_ms() + SESSION_S * clock.SECOND
    sealed = services.sealer.seal(f"{until} {key}".encode(), _SEALED_FOR)
    return base64.urlsafe_b64encode(sealed).decode()


def _key_of(services: Services, request: HTTPConnection) -> tuple[str | None, bool]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip(), False
    if (key := request.headers.get("x-api-key")) is not None:
        return key, False
    key = _unsealed(services, request.cookies.get(COOKIE, ""))
    return key, key is not None


def _unsealed(services: Services, cookie: str) -> str | None:
    if not cookie or len(cookie) > COOKIE_MAX_CHARS:
        return None
    try:
        opened = services.sealer.unseal(base64.urlsafe_b64decode(cookie), _SEALED_FOR)
    except (binascii.Error, ValueError, InvalidTag):
        return None
    until, _, key = opened.decode().partition(" ")
    return key if int(until) > clock.now_ms() else None


def _asks_locally(request: HTTPConnection) -> bool:
    """By a name of this machine and through no proxy: a page elsewhere may point its own name here."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        name = urlsplit("//" + request.headers.get("host", "")).hostname or ""
    except ValueError:
        return False
    return name in _LOCAL_NAMES or name.endswith(".localhost")


async def _local(services: Services, wanted: str | None) -> Viewer:
    if wanted is None:
        found = await services.db.read(accounts.first_live)
    elif wanted.isascii() and wanted.isdigit() and len(wanted) < ID_MAX_CHARS:
        found = await services.db.read(accounts.organization, int(wanted))
    else:
        found = None
    if found is None:
        raise NotFound(noun="organization")
    return await _viewer(services, Principal(found.id, surface=LABEL), found)


async def _viewer(services: Services, principal: Principal, organization: Organization) -> Viewer:
    sandbox = await services.db.read(accounts.sandbox_of, organization.id)
    ids = (organization.id,) if sandbox is None else (organization.id, sandbox)
    return Viewer(principal, organization, ids, False)
