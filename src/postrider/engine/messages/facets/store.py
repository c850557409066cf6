"""The SQL of facets: by message id, for whole batches; and as a condition on another noun's message id."""

from collections.abc import Sequence
from typing import TypedDict

from sqlalchemy import ColumnElement, or_, select

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.engine.messages.model import Stream
from postrider.engine.messages.tables import contents, messages
from postrider.kit import json
from postrider.kit.ids import RowId
from postrider.kit.record import record

MAIL_MAX = 1_000  # messages of one mail


@record
class Facets:
    """Where a message is counted, and when it was opened, clicked and delivered for the first time."""

    domain_id: RowId | None
    stream: Stream
    tags: list[str]
    first_opened_at: int | None
    first_clicked_at: int | None
    campaign_id: RowId | None
    variant: int  # of its campaign's split test; 0: none
    content_id: RowId
    first_delivered_at: int | None


@record
class Standing:
    """When a message left, and what is known so far of its being opened and clicked."""

    organization_id: int
    address_key: str
    content_id: RowId
    sent_at: int | None  # or delivered
    first_human_opened_at: int | None
    first_human_clicked_at: int | None
    hits: int

    def first_human(self, *, clicked: bool) -> int | None:
        return self.first_human_clicked_at if clicked else self.first_human_opened_at


class Filter(TypedDict, total=False):
    """What a message is asked for: its sending domain, and parts of texts, letters of either case.

    `text` is a part of any of the other three.
    """

    domain_id: RowId
    recipient: str
    sender: str
    subject: str
    text: str


_of = Batch(
    """SELECT m.id, m.domain_id, m.stream, c.tags, m.first_opened_at, m.first_clicked_at, m.campaign_id,
         COALESCE(m.variant, 0), m.content_id, m.first_delivered_at
       FROM v JOIN messages m ON m.organization_id = v.organization_id AND m.id = v.id
       LEFT JOIN contents c ON c.organization_id = m.organization_id AND c.id = m.content_id""",
    organization_id=int,
    id=bytes,
)

_standing = Batch(
    """SELECT m.id, m.organization_id, m.address_key, m.content_id,
         COALESCE(m.first_delivered_at, m.first_sent_at),
         m.first_human_opened_at, m.first_human_clicked_at, m.opens + m.clicks
       FROM v JOIN messages m ON m.organization_id = v.organization_id AND m.id = v.id
       ORDER BY m.id {for_update}""",
    organization_id=int,
    id=bytes,
)
_links = Batch(
    """SELECT c.id, c.links FROM v JOIN contents c ON c.organization_id = v.organization_id AND c.id = v.id
       WHERE c.links IS NOT NULL""",
    organization_id=int,
    id=bytes,
)


def of(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, Facets]:
    """Facets by message id, of (organization, message) pairs."""
    return {
        row[0]: Facets(row[1], Stream(row[2]), json.loads(row[3]) if row[3] else [], *row[4:])
        for row in _of(tx, sorted(set(ids)))
    }


def standing(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, Standing]:
    """Messages by id, of (organization, message) pairs; held until this transaction ends."""
    return {row[0]: Standing(*row[1:]) for row in _standing(tx, sorted(set(ids)))}


def link_counts(tx: Tx, ids: Sequence[tuple[int, RowId]]) -> dict[RowId, int]:
    """How many tracked links contents have, of (organization, content) pairs; those of none are left out."""
    return {row[0]: len(json.loads(row[1])) for row in _links(tx, sorted(set(ids)))}


def ids_of_mail(
    tx: Tx, organization_id: int, mail_id: RowId, *, domain_id: RowId | None = None
) -> list[RowId]:
    """The messages of the request that answered with this id, or the one it names; of a domain alone."""
    query = select(messages.c.id).where(messages.c.organization_id == organization_id)
    if domain_id is not None:
        query = query.where(messages.c.domain_id == domain_id)
    group = query.where(messages.c.group_id == mail_id).limit(MAIL_MAX)
    return list(tx.scalars(group)) or list(tx.scalars(query.where(messages.c.id == mail_id)))


def match(organization_id: int, message_id: ColumnElement[RowId], narrowed: Filter) -> ColumnElement[bool]:
    """Whether the message behind a column of another table is what the filter asks for: one look by key."""
    query = select(messages.c.id).where(
        messages.c.organization_id == organization_id, messages.c.id == message_id
    )
    if "domain_id" in narrowed:
        query = query.where(messages.c.domain_id == narrowed["domain_id"])
    if "recipient" in narrowed:
        query = query.where(_has(messages.c.recipient, narrowed["recipient"]))
    if narrowed.keys() & {"sender", "subject", "text"}:
        query = query.join(
            contents,
            (contents.c.organization_id == messages.c.organization_id)
            & (contents.c.id == messages.c.content_id),
        )
    if "sender" in narrowed:
        query = query.where(_has(contents.c.from_header, narrowed["sender"]))
    if "subject" in narrowed:
        query = query.where(_has(contents.c.subject, narrowed["subject"]))
    if "text" in narrowed:
        places = (contents.c.subject, contents.c.from_header, messages.c.recipient)
        query = query.where(or_(*(_has(place, narrowed["text"]) for place in places)))
    return query.exists()


def _has(column: ColumnElement[str], part: str) -> ColumnElement[bool]:
    return column.icontains(part, autoescape=True)
