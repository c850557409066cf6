"""The SQL of idempotency keys and campaigns."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, text, update

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Batch, insert_batch
from postrider.engine.sending.tables import campaigns, idempotency_keys
from postrider.kit import clock, json
from postrider.kit.ids import RowId

KEPT_MS = clock.DAY
PURGE_AT_ONCE = 500
COUNT_MAX = 100_000  # as far as a list is counted

_reserve = insert_batch(
    idempotency_keys,
    "organization_id", "key", "fingerprint", "expires_at",
    tail="ON CONFLICT DO NOTHING RETURNING organization_id, key",
)  # fmt: skip
_find = Batch(
    """SELECT k.organization_id, k.key, k.fingerprint, k.answer FROM v JOIN idempotency_keys k
       ON k.organization_id = v.organization_id AND k.key = v.key""",
    organization_id=int,
    key=str,
)
_answer = Batch(
    """UPDATE idempotency_keys SET answer = v.answer FROM v
       WHERE idempotency_keys.organization_id = v.organization_id AND idempotency_keys.key = v.key""",
    organization_id=int,
    key=str,
    answer=str,
)
_forget = Batch(
    """DELETE FROM idempotency_keys WHERE (organization_id, key) IN (SELECT organization_id, key FROM v)""",
    organization_id=int,
    key=str,
)


def reserve_keys(tx: Tx, keys: Sequence[tuple[int, str, bytes]]) -> set[tuple[int, str]]:
    """(organization, key, fingerprint): answers those nobody had; waits for whoever holds one unanswered."""
    expires_at = clock.now_ms() + KEPT_MS
    return {(row[0], row[1]) for row in _reserve(tx, [(*key, expires_at) for key in keys])}


def find_keys(tx: Tx, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], tuple[bytes, Any]]:
    """Fingerprint and answer of keys that are kept."""
    return {(row[0], row[1]): (row[2], json.loads(row[3]) if row[3] else None) for row in _find(tx, keys)}


def answer_keys(tx: Tx, answers: Sequence[tuple[int, str, Any]]) -> None:
    if answers:
        _answer(tx, [(organization_id, key, json.dumps(answer)) for organization_id, key, answer in answers])


def forget_keys(tx: Tx, keys: Sequence[tuple[int, str]]) -> None:
    """Refused requests keep no key: the sender may mend the cause and try again."""
    if keys:
        _forget(tx, keys)


def purge_keys(tx: Tx) -> int:
    """Drop what expired, PURGE_AT_ONCE at most; answers how many."""
    done = tx.execute(
        delete(idempotency_keys).where(
            text(
                f"""(organization_id, key) IN (SELECT organization_id, key FROM idempotency_keys
                    WHERE expires_at < :now LIMIT {PURGE_AT_ONCE})"""  # noqa: S608
            )
        ),
        {"now": clock.now_ms()},
    )
    return done.rowcount


def insert_campaign(
    tx: Tx, *, organization_id: int, campaign_id: RowId, kind: str, name: str, total: int, skipped: int
) -> None:
    tx.execute(
        insert(campaigns).values(
            organization_id=organization_id,
            id=campaign_id,
            kind=kind,
            name=name,
            status="sending",
            total=total,
            accepted=total - skipped,
            skipped=skipped,
            created_at=clock.now_ms(),
        )
    )


def insert_draft(tx: Tx, **values: Any) -> None:
    tx.execute(insert(campaigns).values(accepted=0, skipped=0, **values))


def campaign(tx: Tx, organization_id: int, kind: str, campaign_id: RowId) -> AnyRow | None:
    return tx.execute(_campaigns(organization_id, kind).where(campaigns.c.id == campaign_id)).one_or_none()


def update_draft(tx: Tx, *, organization_id: int, id: RowId, **values: Any) -> None:
    tx.execute(update(campaigns).where(*_is(organization_id, id)).values(**values))


def delete_campaign(tx: Tx, organization_id: int, campaign_id: RowId) -> None:
    tx.execute(delete(campaigns).where(*_is(organization_id, campaign_id)))


def campaigns_page(
    tx: Tx,
    organization_id: int,
    kind: str,
    *,
    sort: str,
    is_descending: bool,
    after: tuple[int | str, RowId] | None,
    statuses: Sequence[str],
    name: str | None,
    created_after: int | None,
    limit: int,
) -> list[AnyRow]:
    """Campaigns by the column `sort`, then by id, past `after`."""
    by, id_ = campaigns.c[sort], campaigns.c.id
    query = _campaigns(organization_id, kind).where(*_narrowed(statuses, name, created_after))
    if after is not None:
        value, last_id = after
        beyond, further = (by < value, id_ < last_id) if is_descending else (by > value, id_ > last_id)
        query = query.where(or_(beyond, and_(by == value, further)))
    order = (by.desc(), id_.desc()) if is_descending else (by.asc(), id_.asc())
    return list(tx.execute(query.order_by(*order).limit(limit)))


def count_campaigns(
    tx: Tx,
    organization_id: int,
    kind: str,
    *,
    statuses: Sequence[str],
    name: str | None,
    created_after: int | None,
) -> int:
    narrowed = _campaigns(organization_id, kind).where(*_narrowed(statuses, name, created_after))
    found = narrowed.limit(COUNT_MAX).subquery()
    return tx.execute(select(func.count()).select_from(found)).scalar_one()


def _campaigns(organization_id: int, kind: str) -> Select[Any]:
    return select(campaigns).where(campaigns.c.organization_id == organization_id, campaigns.c.kind == kind)


def _is(organization_id: int, campaign_id: RowId) -> tuple[ColumnElement[bool], ...]:
    return campaigns.c.organization_id == organization_id, campaigns.c.id == campaign_id


def _narrowed(
    statuses: Sequence[str], name: str | None, created_after: int | None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if statuses:
        conditions.append(campaigns.c.status.in_(list(statuses)))
    if name is not None:
        conditions.append(campaigns.c.name == name)
    if created_after is not None:
        conditions.append(campaigns.c.created_at > created_after)
    return conditions
