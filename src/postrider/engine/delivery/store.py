"""The SQL of captured mail."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, delete, func, select

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import insert_batch
from postrider.engine.delivery.tables import captured, captured_bodies
from postrider.kit.ids import RowId, new_id

KEPT_PER_ORGANIZATION = 10_000
TRIM_AT_ONCE = 200

_insert = insert_batch(
    captured,
    "organization_id", "id", "message_id", "recipient", "address_key", "from_header", "subject", "size_bytes",
    "created_at",
)  # fmt: skip
_insert_bodies = insert_batch(captured_bodies, "organization_id", "captured_id", "body")


@dataclass(frozen=True, slots=True)
class Captured:
    """A mail in the inbox, without its bytes."""

    organization_id: int
    id: RowId
    message_id: RowId
    recipient: str
    address_key: str
    from_header: str
    subject: str
    size_bytes: int
    created_at: int


def insert_captured(tx: Tx, mails: Sequence[tuple[Captured, bytes]]) -> None:
    _insert(
        tx,
        [
            (
                mail.organization_id, mail.id, mail.message_id, mail.recipient, mail.address_key,
                mail.from_header, mail.subject, mail.size_bytes, mail.created_at,
            )
            for mail, _ in mails
        ],
    )  # fmt: skip
    _insert_bodies(tx, [(mail.organization_id, mail.id, body) for mail, body in mails])


def list_captured(
    tx: Tx,
    organization_ids: Sequence[int],
    *,
    limit: int,
    before: RowId | None = None,
    after: RowId | None = None,
    address_key: str | None = None,
    subject: str | None = None,
) -> list[Captured]:
    """Newest first; `subject` is a part of it, letter case aside."""
    query = _select(organization_ids)
    if before is not None:
        query = query.where(captured.c.id < before)
    if after is not None:
        query = query.where(captured.c.id > after)
    if address_key is not None:
        query = query.where(captured.c.address_key == address_key)
    if subject is not None:
        query = query.where(func.lower(captured.c.subject).contains(subject.lower(), autoescape=True))
    rows = tx.execute(query.order_by(captured.c.id.desc()).limit(limit))
    return [_captured(row) for row in rows]


def one_captured(
    tx: Tx, organization_ids: Sequence[int], captured_id: RowId
) -> tuple[Captured, bytes] | None:
    """A mail and its bytes as they would have been sent."""
    row = tx.execute(_select(organization_ids).where(captured.c.id == captured_id)).one_or_none()
    if row is None:
        return None
    body = tx.execute(
        select(captured_bodies.c.body).where(
            captured_bodies.c.organization_id == row.organization_id,
            captured_bodies.c.captured_id == captured_id,
        )
    ).scalar_one()
    return _captured(row), body


def delete_captured(tx: Tx, organization_ids: Sequence[int], ids: Sequence[RowId]) -> int:
    """Drop some mails; answers how many there were."""
    organizations = list(organization_ids)
    tx.execute(
        delete(captured_bodies).where(
            captured_bodies.c.organization_id.in_(organizations), captured_bodies.c.captured_id.in_(list(ids))
        )
    )
    done = tx.execute(
        delete(captured).where(captured.c.organization_id.in_(organizations), captured.c.id.in_(list(ids)))
    )
    return done.rowcount


def trim_captured(tx: Tx, organization_id: int) -> int:
    """Keep the newest KEPT_PER_ORGANIZATION, dropping TRIM_AT_ONCE at most; answers how many went."""
    oldest = tx.execute(
        select(captured.c.id)
        .where(captured.c.organization_id == organization_id)
        .order_by(captured.c.id.desc())
        .offset(KEPT_PER_ORGANIZATION)
        .limit(TRIM_AT_ONCE)
    ).scalars()
    ids = list(oldest)
    return delete_captured(tx, [organization_id], ids) if ids else 0


def count_captured(tx: Tx, organization_ids: Sequence[int]) -> int:
    query = select(func.count()).where(captured.c.organization_id.in_(list(organization_ids)))
    return tx.execute(query).scalar_one()


def _select(organization_ids: Sequence[int]) -> Select[*tuple[object, ...]]:
    return select(captured).where(captured.c.organization_id.in_(list(organization_ids)))


def _captured(row: AnyRow) -> Captured:
    return Captured(**row._mapping)


def captured_of(
    organization_id: int, message_id: RowId, recipient: str, address_key: str, from_header: str, subject: str,
    body: bytes, now: int,
) -> tuple[Captured, bytes]:  # fmt: skip
    return (
        Captured(
            organization_id,
            new_id(),
            message_id,
            recipient,
            address_key,
            from_header,
            subject,
            len(body),
            now,
        ),
        body,
    )
