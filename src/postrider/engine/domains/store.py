"""The SQL of domains and their keys. Every statement is bound to an organization."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update

from postrider.db.database import Tx
from postrider.db.portable import Batch, Statement, insert_batch
from postrider.engine import accounts
from postrider.engine.domains.model import (
    Algorithm,
    DkimKey,
    Domain,
    DomainStatus,
    KeyState,
    NewKey,
    SigningKey,
)
from postrider.engine.domains.rules import return_path_name
from postrider.engine.domains.tables import dkim_keys, domains
from postrider.kit.ids import RowId

_DOMAIN = tuple(domains.c[field.name] for field in fields(Domain))
_KEY = tuple(dkim_keys.c[field.name] for field in fields(DkimKey))

_insert_domain = insert_batch(
    domains,
    *("organization_id", "id", "number", "name", "status", "verification_token"),
    *("ownership_ok", "dkim_ok", "verified_at", "next_check_at", "created_at"),
    tail="ON CONFLICT (organization_id, name) DO NOTHING RETURNING id",
)
_insert_key = insert_batch(
    dkim_keys,
    *("organization_id", "id", "domain_id", "selector", "algorithm", "state"),
    *("private_key", "public_key", "created_at", "activated_at"),
    tail="ON CONFLICT (organization_id, domain_id, selector) DO NOTHING RETURNING id",
)
_verified_by_name = Batch(
    f"SELECT {', '.join(f'd.{column.name}' for column in _DOMAIN)} FROM v "  # noqa: S608
    "JOIN domains d ON d.organization_id = v.organization_id AND d.name = v.name "
    f"WHERE d.status = '{DomainStatus.VERIFIED}'",
    organization_id=int,
    name=str,
)
_claim_due = Statement(
    f"""UPDATE domains SET next_check_at = :until WHERE (organization_id, id) IN (
          SELECT organization_id, id FROM domains WHERE next_check_at <= :now
          ORDER BY next_check_at LIMIT :limit {{skip_locked}})
        RETURNING {", ".join(column.name for column in _DOMAIN)}"""  # noqa: S608
)
_signing_keys = Batch(
    "SELECT k.domain_id, k.selector, k.algorithm, k.private_key, k.id, d.name, "  # noqa: S608
    "d.return_path_ok, d.return_path_label FROM v "
    "JOIN dkim_keys k ON k.organization_id = v.organization_id AND k.domain_id = v.domain_id "
    "JOIN domains d ON d.organization_id = v.organization_id AND d.id = v.domain_id "
    f"WHERE k.state = '{KeyState.ACTIVE}' ORDER BY k.selector",
    organization_id=int,
    domain_id=bytes,
)


def insert(
    tx: Tx,
    organization_id: int,
    row_id: RowId,
    *,
    name: str,
    token: str,
    verified: bool,
    next_check_at: int | None,
    now: int,
) -> bool:
    """Whether it was inserted: not where the organization has a domain of this name."""
    number = accounts.next_number(tx, organization_id, "domain")
    status = DomainStatus.VERIFIED if verified else DomainStatus.PENDING
    proof = (int(verified), int(verified), now if verified else None, next_check_at)
    return bool(_insert_domain(tx, [(organization_id, row_id, number, name, status, token, *proof, now)]))


def get(tx: Tx, organization_id: int, domain_id: RowId) -> Domain | None:
    return _one(tx, organization_id, domains.c.id == domain_id)


def hold(tx: Tx, organization_id: int, domain_id: RowId) -> Domain | None:
    """As get, and nobody else changes the row before this transaction ends."""
    of_id = (domains.c.organization_id == organization_id, domains.c.id == domain_id)
    row = tx.execute(select(*_DOMAIN).where(*of_id).with_for_update()).first()
    return None if row is None else _domain(row)


def by_name(tx: Tx, organization_id: int, name: str) -> Domain | None:
    return _one(tx, organization_id, domains.c.name == name)


def by_number(tx: Tx, organization_id: int, number: int) -> Domain | None:
    return _one(tx, organization_id, domains.c.number == number)


def first_verified(tx: Tx, organization_id: int) -> Domain | None:
    """The one with the lowest number."""
    return _one(tx, organization_id, domains.c.status == DomainStatus.VERIFIED)


def page(tx: Tx, organization_id: int, *, after: int, limit: int) -> list[Domain]:
    """By number, those above `after`."""
    statement = select(*_DOMAIN).where(domains.c.organization_id == organization_id, domains.c.number > after)
    return [_domain(row) for row in tx.execute(statement.order_by(domains.c.number).limit(limit))]


def count(tx: Tx, organization_id: int) -> int:
    statement = select(func.count()).where(domains.c.organization_id == organization_id)
    return tx.execute(statement).scalar_one()


def find_verified(tx: Tx, names: Sequence[tuple[int, str]]) -> list[Domain]:
    """Of (organization, name) pairs."""
    return [_domain(row) for row in _verified_by_name(tx, names)]


def has_due(tx: Tx, now: int) -> bool:
    """Whether any organization's domain is due to be checked."""
    return tx.execute(select(domains.c.id).where(domains.c.next_check_at <= now).limit(1)).first() is not None


def claim_due(tx: Tx, limit: int, *, now: int, until: int) -> list[Domain]:
    """Domains of all organizations whose check is due, put off to `until` so that nobody else takes them."""
    return [_domain(row) for row in _claim_due(tx, limit=limit, now=now, until=until)]


def update_checks(
    tx: Tx,
    domain: Domain,
    *,
    flags: Mapping[str, bool],
    status: DomainStatus,
    bad_checks: int,
    next_check_at: int | None,
    now: int,
) -> None:
    verified_at = domain.verified_at
    if status is DomainStatus.VERIFIED and verified_at is None:
        verified_at = now
    change(
        tx,
        domain,
        status=status,
        bad_checks=bad_checks,
        checked_at=now,
        next_check_at=next_check_at,
        verified_at=verified_at,
        **{name: int(flag) for name, flag in flags.items()},
    )


def change(tx: Tx, domain: Domain, **values: Any) -> None:
    """Set columns, values as the driver takes them."""
    of_id = (domains.c.organization_id == domain.organization_id, domains.c.id == domain.id)
    tx.execute(update(domains).where(*of_id).values(**values))


def remove(tx: Tx, organization_id: int, domain_id: RowId) -> bool:
    """The domain and its keys; whether there was one."""
    tx.execute(delete(dkim_keys).where(*_of_domain(organization_id, domain_id)))
    of_id = (domains.c.organization_id == organization_id, domains.c.id == domain_id)
    return tx.execute(delete(domains).where(*of_id)).rowcount == 1


def insert_key(
    tx: Tx,
    organization_id: int,
    domain_id: RowId,
    key: NewKey,
    *,
    selector: str,
    state: KeyState,
    now: int,
) -> bool:
    """Whether it was inserted: not where the domain has a key at this selector."""
    at = (now, now if state is KeyState.ACTIVE else None)
    values = (organization_id, key.id, domain_id, selector, key.algorithm, state, key.sealed, key.public_key)
    return bool(_insert_key(tx, [(*values, *at)]))


def keys(tx: Tx, organization_id: int, domain_id: RowId) -> list[DkimKey]:
    """Oldest first."""
    return keys_of(tx, organization_id, [domain_id]).get(domain_id, [])


def keys_of(tx: Tx, organization_id: int, domain_ids: Sequence[RowId]) -> dict[RowId, list[DkimKey]]:
    """By domain, oldest first."""
    statement = (
        select(*_KEY)
        .where(dkim_keys.c.organization_id == organization_id, dkim_keys.c.domain_id.in_(list(domain_ids)))
        .order_by(dkim_keys.c.id)
    )
    found: dict[RowId, list[DkimKey]] = {}
    for key in map(_key, tx.execute(statement)):
        found.setdefault(key.domain_id, []).append(key)
    return found


def signing_keys(tx: Tx, domain_ids: Sequence[tuple[int, RowId]]) -> dict[RowId, list[SigningKey]]:
    """Of (organization, domain) pairs."""
    found: dict[RowId, list[SigningKey]] = {}
    for domain_id, selector, algorithm, sealed, key_id, name, is_ours, label in _signing_keys(tx, domain_ids):
        return_path = return_path_name(name, label) if is_ours else None
        key = SigningKey(selector, Algorithm(algorithm), sealed, key_id, name, return_path)
        found.setdefault(domain_id, []).append(key)
    return found


def activate_key(tx: Tx, organization_id: int, key: DkimKey, now: int) -> bool:
    """The key begins to sign and others of its algorithm stop; not where it is no longer the next one."""
    of_domain = _of_domain(organization_id, key.domain_id)
    taken = tx.execute(
        update(dkim_keys)
        .where(*of_domain, dkim_keys.c.id == key.id, dkim_keys.c.state == KeyState.NEXT)
        .values(state=KeyState.ACTIVE, activated_at=now)
    )
    if taken.rowcount != 1:
        return False
    same_algorithm = (dkim_keys.c.algorithm == key.algorithm, dkim_keys.c.id != key.id)
    tx.execute(
        update(dkim_keys)
        .where(*of_domain, *same_algorithm, dkim_keys.c.state == KeyState.ACTIVE)
        .values(state=KeyState.RETIRED, retired_at=now)
    )
    return True


def forget_retired(tx: Tx, organization_id: int, domain_id: RowId, *, before: int) -> None:
    tx.execute(
        delete(dkim_keys).where(
            *_of_domain(organization_id, domain_id),
            dkim_keys.c.state == KeyState.RETIRED,
            dkim_keys.c.retired_at < before,
        )
    )


def _of_domain(organization_id: int, domain_id: RowId) -> tuple[ColumnElement[bool], ...]:
    return (dkim_keys.c.organization_id == organization_id, dkim_keys.c.domain_id == domain_id)


def _one(tx: Tx, organization_id: int, condition: ColumnElement[bool]) -> Domain | None:
    statement = select(*_DOMAIN).where(domains.c.organization_id == organization_id, condition)
    row = tx.execute(statement.order_by(domains.c.number).limit(1)).first()
    return None if row is None else _domain(row)


def _domain(row: Sequence[Any]) -> Domain:
    organization_id, row_id, number, name, status, token = row[:6]
    checked = (flag == 1 for flag in row[6:11])
    switches = (None if switch is None else switch == 1 for switch in row[11:15])
    return Domain(
        organization_id, row_id, number, name, DomainStatus(status), token, *checked, *switches, *row[15:]
    )


def _key(row: Sequence[Any]) -> DkimKey:
    organization_id, row_id, domain_id, selector, algorithm, state, *rest = row
    return DkimKey(organization_id, row_id, domain_id, selector, Algorithm(algorithm), KeyState(state), *rest)
