"""The SQL of accounts."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Batch
from postrider.engine.accounts.model import (
    Credential,
    Member,
    Organization,
    OrganizationKind,
    OrganizationStatus,
    Session,
    Settings,
    User,
)
from postrider.engine.accounts.tables import credentials, memberships, sessions, users
from postrider.engine.accounts.tables import organizations as organizations_table
from postrider.engine.accounts.tables import usage as usage_table
from postrider.engine.errors import Conflict
from postrider.kit import clock, json
from postrider.kit.ids import RowId

CREDENTIALS_MAX = 1_000
MEMBERS_MAX = 10_000
PURGE_AT_ONCE = 500
USE_RECORDED_EVERY_MS = clock.MINUTE

_SESSION = tuple(sessions.c[field.name] for field in fields(Session))
_next_number = Batch(
    """INSERT INTO numbers (organization_id, noun, last) SELECT v.organization_id, v.noun, 1 FROM v WHERE true
       ON CONFLICT (organization_id, noun) DO UPDATE SET last = numbers.last + 1 RETURNING last""",
    organization_id=int,
    noun=str,
)
_add_month = Batch(
    """INSERT INTO usage (organization_id, month, messages) SELECT v.organization_id, v.month, 0 FROM v
       WHERE true ON CONFLICT DO NOTHING""",
    organization_id=int,
    month=int,
)
_use = Batch(
    """UPDATE usage SET messages = usage.messages + v.amount FROM v
       WHERE usage.organization_id = v.organization_id AND usage.month = v.month
         AND usage.messages + v.amount <= v.allowed
       RETURNING usage.organization_id""",
    organization_id=int,
    month=int,
    amount=int,
    allowed=int,
)
_give_back = Batch(
    """UPDATE usage
       SET messages = CASE WHEN usage.messages > v.amount THEN usage.messages - v.amount ELSE 0 END FROM v
       WHERE usage.organization_id = v.organization_id AND usage.month = v.month""",
    organization_id=int,
    month=int,
    amount=int,
)
_organizations = Batch(
    """SELECT o.id, o.public_id, o.name, o.kind, o.live_id, o.status, o.plan, o.settings, o.created_at
       FROM v JOIN organizations o ON o.id = v.id""",
    id=int,
)
_touch = Batch(
    """UPDATE credentials SET last_used_at = v.used_at FROM v
       WHERE credentials.organization_id = v.organization_id AND credentials.id = v.id
         AND (credentials.last_used_at IS NULL OR credentials.last_used_at < v.used_at)""",
    organization_id=int,
    id=bytes,
    used_at=int,
)


def insert_organization(tx: Tx, **values: Any) -> int:
    done = tx.execute(insert(organizations_table).values(**values).returning(organizations_table.c.id))
    return int(done.scalar_one())


def insert_user(tx: Tx, **values: Any) -> None:
    if tx.execute(select(users.c.id).where(users.c.address_key == values["address_key"])).first():
        raise Conflict(noun="user", field="email")
    tx.execute(insert(users).values(**values))


def insert_membership(tx: Tx, **values: Any) -> None:
    tx.execute(insert(memberships).values(**values))


def insert_credential(tx: Tx, **values: Any) -> None:
    try:
        tx.execute(insert(credentials).values(**values))
    except IntegrityError:
        raise Conflict(noun="credential") from None


def organization(tx: Tx, organization_id: int) -> Organization | None:
    return organizations(tx, [organization_id]).get(organization_id)


def organizations(tx: Tx, ids: Sequence[int]) -> dict[int, Organization]:
    """Organizations by id, in one query."""
    return {row[0]: _organization(*row) for row in _organizations(tx, [(id_,) for id_ in set(ids)])}


def change_settings(tx: Tx, organization_id: int, changed: dict[str, Any]) -> None:
    """Set some of an organization's settings; the others stay as they are."""
    table = organizations_table
    kept = tx.execute(select(table.c.settings).where(table.c.id == organization_id).with_for_update())
    settings = {**(kept.scalar_one() or {}), **changed}
    tx.execute(update(table).where(table.c.id == organization_id).values(settings=settings))


def first_live(tx: Tx) -> Organization | None:
    """The installation's oldest live organization."""
    table = organizations_table
    first = (
        select(table.c.id).where(table.c.kind == OrganizationKind.LIVE.value).order_by(table.c.id).limit(1)
    )
    found = tx.execute(first).scalar_one_or_none()
    return None if found is None else organization(tx, found)


def organization_ids(tx: Tx, after: int, limit: int) -> list[int]:
    """Every organization's id in order, those above `after`."""
    table = organizations_table
    query = select(table.c.id).where(table.c.id > after).order_by(table.c.id).limit(limit)
    return list(tx.execute(query).scalars())


def sandbox_of(tx: Tx, organization_id: int) -> int | None:
    """The sandbox sibling of a live organization."""
    table = organizations_table
    return tx.execute(
        select(table.c.id).where(table.c.live_id == organization_id).order_by(table.c.id).limit(1)
    ).scalar_one_or_none()


def credential_by_hash(tx: Tx, secret_hash: bytes) -> Credential | None:
    row = tx.execute(select(credentials).where(credentials.c.secret_hash == secret_hash)).one_or_none()
    return None if row is None else _credential(row)


def credential_by_username(tx: Tx, username: str) -> tuple[Credential, bytes] | None:
    """An SMTP credential and the hash of its password."""
    row = tx.execute(select(credentials).where(credentials.c.username == username)).one_or_none()
    return None if row is None else (_credential(row), row.secret_hash)


def credential(tx: Tx, organization_id: int, credential_id: RowId) -> Credential | None:
    row = tx.execute(
        select(credentials).where(
            credentials.c.organization_id == organization_id, credentials.c.id == credential_id
        )
    ).one_or_none()
    return None if row is None else _credential(row)


def credentials_of(tx: Tx, organization_id: int, kind: str) -> list[Credential]:
    rows = tx.execute(
        select(credentials)
        .where(credentials.c.organization_id == organization_id, credentials.c.kind == kind)
        .order_by(credentials.c.number)
        .limit(CREDENTIALS_MAX)
    )
    return [_credential(row) for row in rows]


def credential_by_number(tx: Tx, organization_id: int, number: int) -> Credential | None:
    row = tx.execute(
        select(credentials).where(
            credentials.c.organization_id == organization_id, credentials.c.number == number
        )
    ).one_or_none()
    return None if row is None else _credential(row)


def count_credentials(tx: Tx, organization_id: int) -> int:
    return tx.execute(
        select(func.count()).where(credentials.c.organization_id == organization_id)
    ).scalar_one()


def update_credential(tx: Tx, organization_id: int, credential_id: RowId, **values: Any) -> bool:
    done = tx.execute(
        update(credentials)
        .where(credentials.c.organization_id == organization_id, credentials.c.id == credential_id)
        .values(updated_at=clock.now_ms(), **values)
    )
    return bool(done.rowcount)


def delete_credential(tx: Tx, organization_id: int, credential_id: RowId) -> bool:
    done = tx.execute(
        delete(credentials).where(
            credentials.c.organization_id == organization_id, credentials.c.id == credential_id
        )
    )
    return bool(done.rowcount)


def delete_of_domain(tx: Tx, organization_id: int, domain_id: RowId) -> None:
    """Every key and login that may use this sending domain only."""
    of_domain = (credentials.c.organization_id == organization_id, credentials.c.domain_id == domain_id)
    tx.execute(delete(credentials).where(*of_domain))


def touch_credentials(tx: Tx, used: Sequence[tuple[int, RowId, int]]) -> None:
    """(organization, credential, when): remember the last use."""
    if used:
        _touch(tx, used)


def user_by_email(tx: Tx, key: str) -> tuple[User, str] | None:
    """By address key: a user and the hash of the password."""
    row = tx.execute(select(users).where(users.c.address_key == key)).one_or_none()
    return None if row is None else (_user(row), row.password_hash)


def home_of(tx: Tx, user_id: RowId) -> tuple[int, str] | None:
    """(organization, role): the live organization a user logs in to, the one joined first."""
    row = tx.execute(
        select(memberships.c.organization_id, memberships.c.role)
        .join(organizations_table, organizations_table.c.id == memberships.c.organization_id)
        .where(memberships.c.user_id == user_id, organizations_table.c.kind == OrganizationKind.LIVE.value)
        .order_by(memberships.c.created_at, memberships.c.organization_id)
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.organization_id, row.role)


def member(tx: Tx, organization_id: int, user_id: RowId) -> Member | None:
    rows = tx.execute(_members(organization_id).where(users.c.id == user_id)).fetchall()
    return _member(rows[0]) if rows else None


def members(tx: Tx, organization_id: int) -> list[Member]:
    """The first to join first."""
    query = _members(organization_id).order_by(memberships.c.created_at, users.c.id).limit(MEMBERS_MAX)
    return [_member(row) for row in tx.execute(query)]


def members_in(tx: Tx, organization_id: int, roles: Sequence[str], limit: int) -> list[Member]:
    """As members, of some roles."""
    query = _members(organization_id).where(memberships.c.role.in_(list(roles)))
    rows = tx.execute(query.order_by(memberships.c.created_at, users.c.id).limit(limit))
    return [_member(row) for row in rows]


def insert_session(tx: Tx, **values: Any) -> None:
    tx.execute(insert(sessions).values(**values))


def session(tx: Tx, organization_id: int, session_id: RowId) -> Session | None:
    row = tx.execute(
        select(*_SESSION).where(sessions.c.organization_id == organization_id, sessions.c.id == session_id)
    ).one_or_none()
    return None if row is None else Session(*row)


def session_by_hash(tx: Tx, secret_hash: bytes) -> Session | None:
    row = tx.execute(select(*_SESSION).where(sessions.c.secret_hash == secret_hash)).one_or_none()
    return None if row is None else Session(*row)


def next_generation(tx: Tx, session: Session, generation: int, expires_at: int) -> bool:
    """Whether `generation` was the good one and is followed by the next, which lasts until `expires_at`."""
    done = tx.execute(
        update(sessions)
        .where(
            sessions.c.organization_id == session.organization_id,
            sessions.c.id == session.id,
            sessions.c.generation == generation,
        )
        .values(generation=generation + 1, expires_at=expires_at)
    )
    return bool(done.rowcount)


def delete_session(tx: Tx, organization_id: int, session_id: RowId) -> None:
    tx.execute(
        delete(sessions).where(sessions.c.organization_id == organization_id, sessions.c.id == session_id)
    )


def purge_sessions(tx: Tx, before: int) -> int:
    """Forget sessions that ran out before `before`, PURGE_AT_ONCE at most; answers how many."""
    old = (
        select(sessions.c.organization_id, sessions.c.id)
        .where(sessions.c.expires_at < before)
        .limit(PURGE_AT_ONCE)
    )
    done = tx.execute(delete(sessions).where(tuple_(sessions.c.organization_id, sessions.c.id).in_(old)))
    return done.rowcount


def next_number(tx: Tx, organization_id: int, noun: str) -> int:
    """The next number of a noun, counted per organization from 1; never given out twice."""
    return int(_next_number(tx, [(organization_id, noun)])[0][0])


def use(tx: Tx, amounts: dict[int, tuple[int, int]]) -> set[int]:
    """Count messages of this month, {organization: (amount, allowed)}; answers those whose plan had room.

    One update with the limit in its WHERE: parallel senders cannot pass it together.
    """
    month = month_of(clock.now_ms())
    rows = [
        (organization_id, month, amount, allowed) for organization_id, (amount, allowed) in amounts.items()
    ]
    granted = {row[0] for row in _use(tx, rows)}
    missing = [row for row in rows if row[0] not in granted]
    if missing:
        _add_month(tx, [row[:2] for row in missing])
        granted |= {row[0] for row in _use(tx, missing)}
    return granted


def give_back(tx: Tx, amounts: dict[int, int]) -> None:
    """Messages counted this month that are not sent after all, {organization: amount}."""
    month = month_of(clock.now_ms())
    if amounts:
        _give_back(tx, [(organization_id, month, amount) for organization_id, amount in amounts.items()])


def month_of(at: int) -> int:
    """The calendar month of a time, UTC, as 202611."""
    return int(clock.to_datetime(at).strftime("%Y%m"))


def usage_of(tx: Tx, organization_id: int, months: Sequence[int]) -> dict[int, int]:
    """Messages accepted by month, of these that have any."""
    table = usage_table.c
    rows = tx.execute(
        select(table.month, table.messages).where(
            table.organization_id == organization_id, table.month.in_(list(months))
        )
    )
    return {row.month: row.messages for row in rows}


def _organization(
    organization_id: int,
    public_id: RowId,
    name: str,
    kind: str,
    live_id: int | None,
    status: str,
    plan: str,
    settings: str | None,
    created_at: int,
) -> Organization:
    return Organization(
        organization_id,
        public_id,
        name,
        OrganizationKind(kind),
        live_id,
        OrganizationStatus(status),
        plan,
        Settings.from_json(None if settings is None else json.loads(settings)),
        created_at,
    )


def _credential(row: AnyRow) -> Credential:
    values = dict(row._mapping)
    del values["secret_hash"]
    values["is_master"] = bool(values["is_master"])
    values["is_active"] = bool(values["is_active"])
    return Credential(**values)


def _members(organization_id: int) -> Select[Any]:
    return (
        select(users.c.id, users.c.email, users.c.name, users.c.created_at, memberships.c.role,
               memberships.c.created_at.label("joined_at"))
        .join(users, users.c.id == memberships.c.user_id)
        .where(memberships.c.organization_id == organization_id)
    )  # fmt: skip


def _member(row: AnyRow) -> Member:
    return Member(_user(row), row.role, row.joined_at)


def _user(row: AnyRow) -> User:
    return User(row.id, row.email, row.name, row.created_at)
