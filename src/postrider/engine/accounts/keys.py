"""API keys of one surface: made, listed, taken back. The key itself is told by who made it, once."""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.model import Credential
from postrider.engine.errors import Invalid, NotFound, PlanLimitReached
from postrider.engine.principal import ALL_SCOPES, Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id
from postrider.kit.seal import Sealer

READ, WRITE = "credentials:read", "credentials:write"
NAME_MAX_CHARS = 200
KIND = "key"
HINT_CHARS = 12  # of a key, to recognise it by


def create_key(
    tx: Tx,
    principal: Principal,
    *,
    label: str,
    name: str,
    secret: str,
    sealer: Sealer,
    scopes: Sequence[str] = (ALL_SCOPES,),
    expires_at: int | None = None,
    domain_id: RowId | None = None,
    bound_ip: str | None = None,
) -> Credential:
    """Keep a key of the surface `label`; only its HMAC and first characters stay.

    Raises Invalid, Forbidden for a scope its maker lacks, PlanLimitReached at store.CREDENTIALS_MAX.
    """
    principal.require(WRITE)
    for scope in scopes:
        principal.require(scope)
    name = name.strip()
    if not name or len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise Invalid(field="name", message=f"name must have 1 to {NAME_MAX_CHARS} printable characters")
    now, key_id = clock.now_ms(), new_id()
    if expires_at is not None and expires_at <= now:
        raise Invalid(field="expires_at", message="expires_at must be in the future")
    # Taking a number makes those who create at once wait for each other: the count below is exact.
    number = store.next_number(tx, principal.organization_id, "credential")
    if store.count_credentials(tx, principal.organization_id) >= store.CREDENTIALS_MAX:
        raise PlanLimitReached(limit=store.CREDENTIALS_MAX, noun="credentials")
    store.insert_credential(
        tx,
        organization_id=principal.organization_id,
        id=key_id,
        number=number,
        kind=KIND,
        label=label,
        name=name,
        secret_hash=sealer.hash_key(secret),
        hint=secret[:HINT_CHARS],
        scopes=list(scopes),
        domain_id=domain_id,
        bound_ip=bound_ip,
        expires_at=expires_at,
        created_at=now,
        updated_at=now,
    )
    return _checked(store.credential(tx, principal.organization_id, key_id), label)


def list_keys(
    tx: Tx, principal: Principal, label: str, *, domain_id: RowId | None = None
) -> list[Credential]:
    """The surface's keys, oldest first; of one sending domain where it is named."""
    principal.require(READ)
    return [
        key
        for key in store.credentials_of(tx, principal.organization_id, KIND)
        if key.label == label and (domain_id is None or key.domain_id == domain_id)
    ]


def get_key(tx: Tx, principal: Principal, label: str, key_id: RowId) -> Credential:
    """Raises NotFound, also for another surface's or organization's key."""
    principal.require(READ)
    return _checked(store.credential(tx, principal.organization_id, key_id), label)


def key_by_number(tx: Tx, principal: Principal, label: str, number: int) -> Credential:
    """Raises NotFound, as get_key."""
    principal.require(READ)
    return _checked(store.credential_by_number(tx, principal.organization_id, number), label)


def delete_key(tx: Tx, principal: Principal, label: str, key_id: RowId) -> None:
    """It is refused within REMEMBERED_S on every node, at once where `Keyring.forget` is called. NotFound."""
    principal.require(WRITE)
    _checked(store.credential(tx, principal.organization_id, key_id), label)
    store.delete_credential(tx, principal.organization_id, key_id)


def _checked(key: Credential | None, label: str) -> Credential:
    if key is None or key.kind != KIND or key.label != label:
        raise NotFound(noun="API key")
    return key
