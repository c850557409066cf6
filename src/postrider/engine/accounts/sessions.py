"""Users who log in: signed access and refresh tokens (JWT, RFC 7519), or one opaque session secret.

A token is worth what its session's row says: ending the row ends all of them within REMEMBERED_S everywhere.
A refresh token is good once; one that comes a second time was stolen or lost, and ends the session.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from postrider.db.database import Database, Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.authenticate import (
    KEY_MAX_CHARS,
    REMEMBERED_MAX,
    REMEMBERED_S,
    Caller,
    by_credential,
)
from postrider.engine.accounts.model import Member, Organization, OrganizationStatus, Session, User
from postrider.engine.accounts.roles import ROLES
from postrider.engine.accounts.throttle import Throttle
from postrider.engine.errors import OrganizationSuspended, TokenExpired, Unauthenticated
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.address import InvalidAddress, address_key, parse_address
from postrider.kit.ids import RowId, new_id, random_text
from postrider.kit.seal import Sealer

TOKEN_MAX_CHARS = 2_000
PASSWORD_MAX_CHARS = 1_000
SECRET_CHARS = 40  # 200 bits
LOGINS_AT_ONCE = 2  # each argon2 check takes 64 MB and a core for 90 ms
ALGORITHM = "HS256"
_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Lifetimes:
    access_ms: int
    refresh_ms: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login or a refresh answers."""

    access: str
    refresh: str
    expires_in_s: int
    user: User
    organization: Organization
    role: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A login that is known by one secret."""

    secret: str
    user: User
    organization: Organization
    role: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """Who came in, with the session made for them."""

    session: Session
    user: User
    organization: Organization
    role: str


class Sessions:
    """One for the process: its throttle counts what this node saw."""

    def __init__(self, db: Database, sealer: Sealer) -> None:
        self._db = db
        self._sealer = sealer
        self._key = OctKey.import_key(sealer.signing_key)
        self._throttle = Throttle()
        self._checking = asyncio.Semaphore(LOGINS_AT_ONCE)
        self._remembered: dict[tuple[int, RowId], tuple[float, Caller | None]] = {}

    async def login(
        self, email: str, password: str, *, label: str, lifetimes: Lifetimes, address: str
    ) -> Tokens:
        """A pair of tokens for the surface `label`; `address` is the client's, for throttling.

        Raises Unauthenticated (one sentence for unknown user and wrong password), RateLimited,
        OrganizationSuspended.
        """
        user = await self._check(email, password, address)
        entry = await self._db.write_first(_enter, user, label, lifetimes.refresh_ms, None)
        return self._tokens(entry, lifetimes)

    async def refresh(self, token: str, *, label: str, lifetimes: Lifetimes) -> Tokens:
        """A new pair; the old refresh token is spent. Raises Unauthenticated, TokenExpired."""
        claims = self._read(token, label, "refresh")
        entry = await self._db.write_first(_renew, claims, lifetimes.refresh_ms)
        if entry is None:
            raise Unauthenticated
        return self._tokens(entry, lifetimes)

    async def by_access_token(self, token: str, label: str) -> Caller:
        """Raises Unauthenticated, TokenExpired."""
        claims = self._read(token, label, "access")
        place = (int(claims["org"]), bytes.fromhex(claims["sid"]))
        hit = self._remembered.get(place)
        if hit is None or hit[0] < time.monotonic():
            caller = await self._db.read(_caller_of, *place)
            self._remember(place, caller)
        else:
            caller = hit[1]
        if caller is None:
            raise Unauthenticated
        return caller

    async def open(
        self, email: str, password: str, *, label: str, lifetime_ms: int, address: str
    ) -> OpenSession:
        """A session known by a secret of SECRET_CHARS characters; raises as `login`."""
        user = await self._check(email, password, address)
        secret = random_text(SECRET_CHARS)
        entry = await self._db.write_first(_enter, user, label, lifetime_ms, self._sealer.hash_key(secret))
        return OpenSession(secret, entry.user, entry.organization, entry.role)

    async def open_by_key(self, caller: Caller, *, lifetime_ms: int) -> OpenSession:
        """A session of the first member that may do no more than the key, and ends with it.

        Raises Unauthenticated, OrganizationSuspended.
        """
        secret = random_text(SECRET_CHARS)
        secret_hash = self._sealer.hash_key(secret)
        entry = await self._db.write_first(_enter_by_key, caller, lifetime_ms, secret_hash)
        return OpenSession(secret, entry.user, entry.organization, entry.role)

    async def by_session(self, secret: str, label: str) -> Caller:
        """Raises Unauthenticated; TokenExpired for a session that has run out."""
        if not secret or len(secret) > KEY_MAX_CHARS:
            raise Unauthenticated
        session, caller = await self._db.read(_caller_of_secret, self._sealer.hash_key(secret))
        if session is None or session.label != label:
            raise Unauthenticated
        if session.expires_at <= clock.now_ms():
            raise TokenExpired
        if caller is None:
            raise Unauthenticated
        return caller

    async def end(self, caller: Caller) -> None:
        """Log out: everything that stands for the caller's session stops. A key cannot: Unauthenticated."""
        if caller.session is None:
            raise Unauthenticated
        place = (caller.session.organization_id, caller.session.id)
        await self._db.write_first(store.delete_session, *place)
        self._remembered.pop(place, None)

    async def _check(self, email: str, password: str, address: str) -> User:
        try:
            key = address_key(parse_address(email))
        except InvalidAddress:
            raise Unauthenticated from None
        self._throttle.ask(key, address)
        found = await self._db.read(store.user_by_email, key)
        async with self._checking:
            is_right = await asyncio.to_thread(_verify, found[1] if found else None, password)
        if found is None or not is_right:
            self._throttle.failed(key, address)
            raise Unauthenticated
        self._throttle.succeeded(key)
        return found[0]

    def _tokens(self, entry: _Entry, lifetimes: Lifetimes) -> Tokens:
        now_s = clock.now_ms() // clock.SECOND
        common = {"org": entry.session.organization_id, "sid": entry.session.id.hex(), "iat": now_s}
        common["aud"] = entry.session.label
        access = {**common, "use": "access", "sub": entry.user.id.hex(), "role": entry.role}
        access["exp"] = now_s + lifetimes.access_ms // clock.SECOND
        refresh = {**common, "use": "refresh", "gen": entry.session.generation}
        refresh["exp"] = entry.session.expires_at // clock.SECOND
        return Tokens(
            self._sign(access),
            self._sign(refresh),
            lifetimes.access_ms // clock.SECOND,
            entry.user,
            entry.organization,
            entry.role,
        )

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": ALGORITHM}, claims, self._key, algorithms=[ALGORITHM])

    def _read(self, token: str, label: str, use: str) -> dict[str, Any]:
        if not token or len(token) > TOKEN_MAX_CHARS or not token.isascii():
            raise Unauthenticated
        try:
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError):
            raise Unauthenticated from None
        if claims.get("aud") != label or claims.get("use") != use:
            raise Unauthenticated
        if int(claims["exp"]) * clock.SECOND <= clock.now_ms():
            raise TokenExpired
        return dict(claims)

    def _remember(self, place: tuple[int, RowId], caller: Caller | None) -> None:
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[place] = (time.monotonic() + REMEMBERED_S, caller)


@cache
def _nobodys_hash() -> str:
    """What is checked where there is no such user, so that the answer takes as long."""
    return _hasher.hash(random_text(SECRET_CHARS))


def _verify(password_hash: str | None, password: str) -> bool:
    if len(password) > PASSWORD_MAX_CHARS:
        return False
    try:
        return _hasher.verify(password_hash or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False


def _enter(tx: Tx, user: User, label: str, lifetime_ms: int, secret_hash: bytes | None) -> _Entry:
    home = store.home_of(tx, user.id)
    if home is None:
        raise Unauthenticated
    return _begin(tx, home[0], Member(user, home[1], 0), label, lifetime_ms, secret_hash, None)


def _enter_by_key(tx: Tx, caller: Caller, lifetime_ms: int, secret_hash: bytes) -> _Entry:
    place, credential = caller.principal.organization_id, caller.credential
    first = store.members(tx, place)[:1]
    if credential is None or not first:
        raise Unauthenticated
    return _begin(tx, place, first[0], credential.label, lifetime_ms, secret_hash, credential.id)


def _begin(
    tx: Tx,
    organization_id: int,
    member: Member,
    label: str,
    lifetime_ms: int,
    secret_hash: bytes | None,
    credential_id: RowId | None,
) -> _Entry:
    organization = store.organization(tx, organization_id)
    assert organization is not None
    if organization.status is not OrganizationStatus.ACTIVE:
        raise OrganizationSuspended
    now = clock.now_ms()
    user = member.user
    session = Session(organization_id, new_id(), user.id, label, 1, now, now + lifetime_ms, credential_id)
    store.insert_session(
        tx,
        organization_id=session.organization_id,
        id=session.id,
        user_id=session.user_id,
        label=session.label,
        credential_id=session.credential_id,
        secret_hash=secret_hash,
        generation=session.generation,
        created_at=session.created_at,
        expires_at=session.expires_at,
    )
    return _Entry(session, user, organization, member.role)


def _renew(tx: Tx, claims: dict[str, Any], lifetime_ms: int) -> _Entry | None:
    """The session's next generation; None where its token was spent already, and the session is gone then."""
    organization_id, session_id = int(claims["org"]), bytes.fromhex(claims["sid"])
    session = store.session(tx, organization_id, session_id)
    if session is None:
        return None
    generation, expires_at = int(claims["gen"]), clock.now_ms() + lifetime_ms
    member = store.member(tx, organization_id, session.user_id)
    organization = store.organization(tx, organization_id)
    if (
        member is None
        or organization is None
        or not store.next_generation(tx, session, generation, expires_at)
    ):
        store.delete_session(tx, organization_id, session_id)
        return None
    following = replace(session, generation=generation + 1, expires_at=expires_at)
    return _Entry(following, member.user, organization, member.role)


def _caller_of(tx: Tx, organization_id: int, session_id: RowId) -> Caller | None:
    session = store.session(tx, organization_id, session_id)
    return None if session is None else _caller(tx, session)


def _caller_of_secret(tx: Tx, secret_hash: bytes) -> tuple[Session | None, Caller | None]:
    session = store.session_by_hash(tx, secret_hash)
    return session, None if session is None else _caller(tx, session)


def _caller(tx: Tx, session: Session) -> Caller | None:
    member = store.member(tx, session.organization_id, session.user_id)
    organization = store.organization(tx, session.organization_id)
    if member is None or organization is None:
        return None
    by_key = None
    if session.credential_id is not None:
        by_key = by_credential(tx, session.organization_id, session.credential_id)
        if by_key is None:
            return None
    principal = Principal(
        organization_id=session.organization_id,
        user_id=session.user_id,
        scopes=by_key.principal.scopes if by_key else ROLES.get(member.role, frozenset()),
        surface=session.label,
    )
    credential = by_key.credential if by_key else None
    return Caller(principal, organization, credential, member.user, member.role, session)
