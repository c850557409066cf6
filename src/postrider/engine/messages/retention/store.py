"""The SQL that drops bodies and attachments of old mail, a page at a time: no write is ever long."""

from typing import NamedTuple

from sqlalchemy import delete, select, tuple_

from postrider.db.database import Tx
from postrider.engine.messages.tables import attachments, content_bodies, contents
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor

PAGE_ROWS = 50  # of up to 25 MB each


class Page(NamedTuple):
    """What a page did; `last` is where the next one begins, None at the end."""

    dropped: int
    last: RowId | None


def drop_bodies(tx: Tx, organization_id: int, after: RowId, kept_ms: int) -> Page:
    """Bodies of one organization past the id `after`, whose content is older than `kept_ms` and has expired.

    Ids tell their time, so that only old ones are looked at. Subjects and links stay: clicks go on for years.
    """
    now = clock.now_ms()
    rows = tx.execute(
        select(content_bodies.c.content_id, contents.c.expires_at)
        .join(
            contents,
            (contents.c.organization_id == content_bodies.c.organization_id)
            & (contents.c.id == content_bodies.c.content_id),
        )
        .where(
            content_bodies.c.organization_id == organization_id,
            content_bodies.c.content_id > after,
            content_bodies.c.content_id < id_floor(now - kept_ms),
        )
        .order_by(content_bodies.c.content_id)
        .limit(PAGE_ROWS)
    ).fetchall()
    old = [row.content_id for row in rows if row.expires_at + kept_ms <= now]
    if old:
        tx.execute(
            delete(content_bodies).where(
                content_bodies.c.organization_id == organization_id, content_bodies.c.content_id.in_(old)
            )
        )
    return Page(len(old), rows[-1].content_id if len(rows) == PAGE_ROWS else None)


def drop_attachments(tx: Tx, kept_ms: int) -> int:
    """Attachments that no mail of the last `kept_ms` carried, PAGE_ROWS at most; answers how many."""
    before = clock.now_ms() - kept_ms
    old = (
        select(attachments.c.organization_id, attachments.c.hash)
        .where(attachments.c.used_at < before)
        .order_by(attachments.c.used_at)
        .limit(PAGE_ROWS)
    )
    key = tuple_(attachments.c.organization_id, attachments.c.hash)
    return tx.execute(delete(attachments).where(key.in_(old))).rowcount
