"""SMTP credentials: made, restricted, rotated, switched off. Passwords are told once, kept as HMAC only."""

from typing import Any

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.model import Credential
from postrider.engine.errors import Invalid, NotAllowedNow, NotFound
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id, random_text
from postrider.kit.seal import Sealer

PREFIX = "smtp_"  # of passwords
PASSWORD_CHARS = 32  # 160 bits
NAME_MAX_CHARS = 100
LABEL = "smtp"
READ, WRITE = "credentials:read", "credentials:write"


def create_smtp(
    tx: Tx, principal: Principal, *, name: str, sender_domain: str, sealer: Sealer, **limits: Any
) -> tuple[Credential, str]:
    """A named credential and its password, told once; `limits` are domain_id, hostname_id and rate limits."""
    principal.require(WRITE)
    name = _checked_name(name)
    username = f"{_slug(name)}-{random_text(6)}@{sender_domain}"
    return insert_smtp(tx, principal.organization_id, name=name, username=username, sealer=sealer, **limits)


def insert_smtp(
    tx: Tx,
    organization_id: int,
    *,
    name: str,
    username: str,
    sealer: Sealer,
    is_master: bool = False,
    **limits: Any,
) -> tuple[Credential, str]:
    now = clock.now_ms()
    password = _password()
    credential_id = new_id()
    store.insert_credential(
        tx,
        organization_id=organization_id,
        id=credential_id,
        number=store.next_number(tx, organization_id, "credential"),
        kind="smtp",
        label=LABEL,
        name=name,
        username=username.lower(),
        secret_hash=sealer.hash_key(password),
        hint=PREFIX,
        scopes=["messages:send"],
        is_master=int(is_master),
        created_at=now,
        updated_at=now,
        **limits,
    )
    made = store.credential(tx, organization_id, credential_id)
    assert made is not None
    return made, password


def list_smtp(tx: Tx, principal: Principal) -> list[Credential]:
    principal.require(READ)
    return store.credentials_of(tx, principal.organization_id, "smtp")


def update_smtp(tx: Tx, principal: Principal, credential_id: RowId, **changes: Any) -> Credential:
    """Rename, restrict or limit; a None clears a restriction."""
    credential = _existing(tx, principal, credential_id)
    if "name" in changes:
        changes["name"] = _checked_name(changes["name"])
    if credential.is_master and (changes.get("domain_id") or changes.get("hostname_id")):
        raise NotAllowedNow(message="The master credential cannot be restricted")
    if changes:
        store.update_credential(tx, principal.organization_id, credential_id, **changes)
    return _existing(tx, principal, credential_id)


def rotate_smtp(tx: Tx, principal: Principal, credential_id: RowId, sealer: Sealer) -> tuple[Credential, str]:
    """A new password; the old one fails at once."""
    _existing(tx, principal, credential_id)
    password = _password()
    store.update_credential(
        tx, principal.organization_id, credential_id, secret_hash=sealer.hash_key(password)
    )
    return _existing(tx, principal, credential_id), password


def rotate_master(tx: Tx, principal: Principal, sealer: Sealer) -> tuple[Credential, str]:
    for credential in list_smtp(tx, principal):
        if credential.is_master:
            return rotate_smtp(tx, principal, credential.id, sealer)
    raise NotFound(noun="credential")


def set_smtp_status(tx: Tx, principal: Principal, credential_id: RowId, *, is_active: bool) -> Credential:
    _existing(tx, principal, credential_id)
    store.update_credential(tx, principal.organization_id, credential_id, is_active=int(is_active))
    return _existing(tx, principal, credential_id)


def delete_smtp(tx: Tx, principal: Principal, credential_id: RowId) -> None:
    if _existing(tx, principal, credential_id).is_master:
        raise NotAllowedNow(message="The master credential cannot be deleted")
    store.delete_credential(tx, principal.organization_id, credential_id)


def _existing(tx: Tx, principal: Principal, credential_id: RowId) -> Credential:
    principal.require(WRITE)
    credential = store.credential(tx, principal.organization_id, credential_id)
    if credential is None or credential.kind != "smtp":
        raise NotFound(noun="credential")
    return credential


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise Invalid(field="name", message=f"name must have 1 to {NAME_MAX_CHARS} printable characters")
    return name


def _slug(name: str) -> str:
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower())
    return "-".join(part for part in kept.split("-") if part)[:40] or "smtp"


def _password() -> str:
    return PREFIX + random_text(PASSWORD_CHARS)
