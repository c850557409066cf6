"""From a secret to a Principal. Keys are looked up by HMAC; a short memory spares the store the hot path."""

import hmac
import time
from dataclasses import dataclass

from argon2 import PasswordHasher

from postrider.db.database import Database, Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.model import Credential, Organization, Session, User
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId
from postrider.kit.seal import Sealer

KEY_MAX_CHARS = 200
REMEMBERED_S = 1.0  # a revoked key dies within this on every node
REMEMBERED_MAX = 10_000
_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a credential belongs to."""

    principal: Principal
    organization: Organization
    credential: Credential | None = None  # None where a signed-in user asks
    user: User | None = None
    role: str | None = None
    session: Session | None = None


def hash_password(password: str) -> str:
    """argon2id; about 90 ms and 64 MB: never on the event loop."""
    return _hasher.hash(password)


def by_key(tx: Tx, secret_hash: bytes, label: str) -> Caller | None:
    """The caller behind a surface's API key, or None: unknown, another surface's, switched off, expired."""
    credential = store.credential_by_hash(tx, secret_hash)
    if credential is None or credential.kind != "key" or credential.label != label:
        return None
    return _caller(tx, credential)


def by_credential(tx: Tx, organization_id: int, credential_id: RowId) -> Caller | None:
    """The caller that a credential makes now; None where it is gone, switched off or has expired."""
    credential = store.credential(tx, organization_id, credential_id)
    return None if credential is None else _caller(tx, credential)


def by_smtp_login(tx: Tx, username: str, password_hash: bytes) -> Caller | None:
    found = store.credential_by_username(tx, username.lower())
    if found is None or not hmac.compare_digest(found[1], password_hash):
        return None
    return _caller(tx, found[0])


def by_username(tx: Tx, username: str) -> Caller | None:
    """The caller a trusted network stands for; no password is asked."""
    found = store.credential_by_username(tx, username.lower())
    return None if found is None else _caller(tx, found[0])


def _caller(tx: Tx, credential: Credential) -> Caller | None:
    now = clock.now_ms()
    if not credential.is_active or (credential.expires_at is not None and credential.expires_at <= now):
        return None
    organization = store.organization(tx, credential.organization_id)
    if organization is None:
        return None
    principal = Principal(
        organization_id=credential.organization_id,
        credential_id=credential.id,
        scopes=frozenset(credential.scopes),
        surface=credential.label,
        domain_id=credential.domain_id,
    )
    return Caller(principal, organization, credential)


class Keyring:
    """Looks secrets up, remembering answers for a second, and notes when each credential was last used."""

    def __init__(self, db: Database, sealer: Sealer) -> None:
        self._db = db
        self._sealer = sealer
        self._remembered: dict[tuple[str, bytes], tuple[float, Caller | None]] = {}
        self._used: dict[tuple[int, RowId], int] = {}

    async def by_key(self, key: str, label: str) -> Caller | None:
        if not key or len(key) > KEY_MAX_CHARS:
            return None
        secret_hash = self._sealer.hash_key(key)
        place = (label, secret_hash)
        hit = self._remembered.get(place)
        if hit is None or hit[0] < time.monotonic():
            caller = await self._db.read(by_key, secret_hash, label)
            self._remember(place, caller)
        else:
            caller = hit[1]
        self._note(caller)
        return caller

    async def by_smtp_login(self, username: str, password: str) -> Caller | None:
        if len(username) > KEY_MAX_CHARS or len(password) > KEY_MAX_CHARS:
            return None
        caller = await self._db.read(by_smtp_login, username, self._sealer.hash_key(password))
        self._note(caller)
        return caller

    async def by_username(self, username: str) -> Caller | None:
        return await self._db.read(by_username, username)

    def forget(self) -> None:
        """After a rotation on this node: the old key dies at once."""
        self._remembered.clear()

    def take_used(self) -> list[tuple[int, RowId, int]]:
        """The uses since the last call, for touch_credentials."""
        used, self._used = self._used, {}
        return [(organization_id, credential_id, at) for (organization_id, credential_id), at in used.items()]

    def _remember(self, place: tuple[str, bytes], caller: Caller | None) -> None:
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[place] = (time.monotonic() + REMEMBERED_S, caller)

    def _note(self, caller: Caller | None) -> None:
        if caller is not None and caller.credential is not None:
            self._used[caller.credential.organization_id, caller.credential.id] = clock.now_ms()
