"""The SQL that takes a person out of messages, a page at a time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Batch
from postrider.engine.messages.tables import attempts, content_bodies, contents, messages
from postrider.kit import json
from postrider.kit.ids import RowId

ERASED = "erased@erased.invalid"  # RFC 2606: no mail goes there
_SUBJECT = "(erased)"

_rewrite = Batch(
    """UPDATE contents SET headers = v.headers FROM v
       WHERE contents.organization_id = v.organization_id AND contents.id = v.id""",
    organization_id=int,
    id=bytes,
    headers=str,
)


class Found(NamedTuple):
    """A message to the address; held: a worker has it in hand."""

    id: RowId
    campaign_id: RowId | None
    is_waiting: bool
    is_held: bool


def of_address(
    tx: Tx, organization_id: int, address_key: str, *, after: RowId = b"", limit: int
) -> list[Found]:
    """In the order they were made, those past the id `after`."""
    table = messages.c
    rows = tx.execute(
        select(table.id, table.campaign_id, table.due_at, table.owner)
        .where(table.organization_id == organization_id, table.address_key == address_key, table.id > after)
        .order_by(table.id)
        .limit(limit)
    )
    return [Found(row.id, row.campaign_id, row.due_at is not None, row.owner is not None) for row in rows]


def anonymise(tx: Tx, organization_id: int, ids: Sequence[RowId]) -> None:
    """Messages that have ended lose their recipient and variables, and what was said on the way to it.

    Subject, metadata, headers and body of a mail that went to nobody else go too; of what others got, only
    the name among its readers.
    """
    mails = _contents(tx, organization_id, ids)
    its = (messages.c.organization_id == organization_id, messages.c.id.in_(list(ids)))
    tx.execute(
        update(messages).where(*its).values(recipient=ERASED, address_key=ERASED, vars=None, contact_id=None)
    )
    tx.execute(
        update(attempts)
        .where(attempts.c.organization_id == organization_id, attempts.c.message_id.in_(list(ids)))
        .values(reply=None, transcript=None)
    )
    _rewrite(tx, [(organization_id, each.id, json.dumps(_without(each))) for each in mails])
    alone = [each.id for each in mails if each.messages == 1]
    if not alone:
        return
    tx.execute(
        update(contents)
        .where(contents.c.organization_id == organization_id, contents.c.id.in_(alone))
        .values(subject=_SUBJECT, metadata=None)
    )
    tx.execute(
        delete(content_bodies).where(
            content_bodies.c.organization_id == organization_id, content_bodies.c.content_id.in_(alone)
        )
    )


def _contents(tx: Tx, organization_id: int, ids: Sequence[RowId]) -> list[AnyRow]:
    """What these messages were made of, with whom each was for, in lower case."""
    query = (
        select(
            contents.c.id,
            contents.c.headers,
            contents.c.messages,
            func.lower(messages.c.recipient).label("recipient"),
            messages.c.address_key,
        )
        .join(
            messages,
            (messages.c.organization_id == contents.c.organization_id)
            & (messages.c.content_id == contents.c.id),
        )
        .where(messages.c.organization_id == organization_id, messages.c.id.in_(list(ids)))
    )
    return list({row.id: row for row in tx.execute(query)}.values())


def _without(mail: AnyRow) -> dict[str, Any]:
    """The headers of a mail that names one recipient less."""
    headers = dict(mail.headers or {})
    for name in ("to", "cc"):
        headers[name] = [
            each
            for each in headers.get(name) or ()
            if mail.recipient not in each.casefold() and mail.address_key not in each.casefold()
        ]
    return headers | {"custom": []} if mail.messages == 1 else headers
