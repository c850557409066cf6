"""Make an account: a live organization with its owner, its sandbox sibling, and a key for every surface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postrider.db.database import Tx
from postrider.engine.accounts import store
from postrider.engine.accounts.credentials import insert_smtp
from postrider.engine.accounts.keys import HINT_CHARS, create_key
from postrider.engine.accounts.model import OrganizationKind, OrganizationStatus
from postrider.engine.accounts.plans import PLANS
from postrider.engine.errors import Invalid
from postrider.engine.principal import ALL_SCOPES, Principal
from postrider.kit import clock
from postrider.kit.address import InvalidAddress, address_key, parse_address
from postrider.kit.ids import RowId, new_id
from postrider.kit.seal import Sealer

NAME_MAX_CHARS = 200
FIRST_KEY = "First key"


@dataclass(frozen=True, slots=True)
class KeyKind:
    """A surface's kind of API key: its name in `keys`, how it is made, and for which organization."""

    name: str
    label: str
    make: Callable[[], str]
    for_sandbox: bool = False
    scopes: tuple[str, ...] = (ALL_SCOPES,)
    for_domain: bool = False  # minted for a sending domain, not with the account


@dataclass(frozen=True, slots=True)
class NewAccount:
    organization_id: int
    sandbox_id: int
    user_id: RowId
    keys: dict[str, str]
    smtp_username: str
    smtp_password: str


def create(
    tx: Tx, *, name: str, email: str, password_hash: str, plan: str, kinds: Sequence[KeyKind], sealer: Sealer
) -> NewAccount:
    """All that a new customer needs, in one transaction. Raises Invalid, or Conflict for a taken address."""
    if not name.strip() or len(name) > NAME_MAX_CHARS:
        raise Invalid(field="name", message=f"name must have 1 to {NAME_MAX_CHARS} characters")
    if plan not in PLANS:
        raise Invalid(field="plan", message=f"plan must be one of {', '.join(PLANS)}")
    try:
        email = parse_address(email)
    except InvalidAddress:
        raise Invalid(field="email", message="Invalid email address") from None
    now = clock.now_ms()
    live_id = _organization(tx, name, plan, OrganizationKind.LIVE, None, now)
    sandbox_id = _organization(tx, f"{name} (sandbox)", plan, OrganizationKind.SANDBOX, live_id, now)
    user_id = new_id()
    store.insert_user(
        tx,
        id=user_id,
        email=email,
        address_key=address_key(email),
        name=name,
        password_hash=password_hash,
        created_at=now,
    )
    keys: dict[str, str] = {}
    for organization_id in (live_id, sandbox_id):
        store.insert_membership(
            tx, organization_id=organization_id, user_id=user_id, role="owner", created_at=now
        )
    for kind in kinds:
        if not kind.for_domain:
            keys[kind.name] = _key(tx, sandbox_id if kind.for_sandbox else live_id, kind, sealer, now)
    master, password = insert_smtp(tx, live_id, name="Master", username=email, is_master=True, sealer=sealer)
    assert master.username is not None
    return NewAccount(live_id, sandbox_id, user_id, keys, master.username, password)


def create_domain_keys(
    tx: Tx, principal: Principal, domain_id: RowId, kinds: Sequence[KeyKind], sealer: Sealer
) -> dict[str, str]:
    """A key of each kind that is bound to a sending domain, by name."""
    made = {kind.name: (kind, kind.make()) for kind in kinds if kind.for_domain}
    for kind, secret in made.values():
        create_key(
            tx,
            principal,
            label=kind.label,
            name=FIRST_KEY,
            secret=secret,
            sealer=sealer,
            scopes=kind.scopes,
            domain_id=domain_id,
        )
    return {name: secret for name, (_, secret) in made.items()}


def _organization(tx: Tx, name: str, plan: str, kind: OrganizationKind, live_id: int | None, now: int) -> int:
    return store.insert_organization(
        tx,
        public_id=new_id(),
        name=name,
        kind=kind.value,
        live_id=live_id,
        status=OrganizationStatus.ACTIVE.value,
        plan=plan,
        settings={},
        created_at=now,
    )


def _key(tx: Tx, organization_id: int, kind: KeyKind, sealer: Sealer, now: int) -> str:
    key = kind.make()
    store.insert_credential(
        tx,
        organization_id=organization_id,
        id=new_id(),
        number=store.next_number(tx, organization_id, "credential"),
        kind="key",
        label=kind.label,
        name=FIRST_KEY,
        secret_hash=sealer.hash_key(key),
        hint=key[:HINT_CHARS],
        scopes=list(kind.scopes),
        created_at=now,
        updated_at=now,
    )
    return key
