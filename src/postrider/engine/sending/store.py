"""The SQL of idempotency keys."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, text

from postrider.db.database import Tx
from postrider.db.portable import Batch, insert_batch
from postrider.engine.sending.tables import idempotency_keys
from postrider.kit import clock, json

KEPT_MS = clock.DAY
PURGE_AT_ONCE = 500

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
