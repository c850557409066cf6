"""The SQL of campaign reports: messages of one campaign by status, as pages of indexes of nothing else."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select

from postrider.db.database import Tx
from postrider.db.portable import Batch, Statement
from postrider.engine.messages.model import Status
from postrider.engine.messages.tables import messages
from postrider.kit import json
from postrider.kit.ids import RowId
from postrider.kit.record import record

COUNT_MAX = 100_000  # as far as a list is counted


@record
class Recipient:
    """A message of a campaign: whom it is for, and what became of it (ms)."""

    status: Status
    id: RowId
    group_id: RowId
    recipient: str
    address_key: str
    attempts: int
    first_sent_at: int | None
    first_delivered_at: int | None
    first_bounced_at: int | None
    first_opened_at: int | None
    first_human_opened_at: int | None
    first_clicked_at: int | None
    first_human_clicked_at: int | None
    opens: int
    clicks: int


@record
class LastAttempt:
    """When it began (ms), and what the far end said."""

    started_at: int
    bounce_class: str | None  # hard, soft, block
    reply: str | None
    code: int | None
    enhanced: str | None


_COLUMNS = (
    "status", "id", "group_id", "recipient", "address_key", "attempts", "first_sent_at",
    "first_delivered_at", "first_bounced_at", "first_opened_at", "first_human_opened_at", "first_clicked_at",
    "first_human_clicked_at", "opens", "clicks",
)  # fmt: skip
_recipients = Batch(
    f"""SELECT {", ".join(f"m.{name}" for name in _COLUMNS)} FROM v
        JOIN messages m ON m.organization_id = v.organization_id AND m.id = v.id""",  # noqa: S608
    organization_id=int,
    id=bytes,
)
_of_addresses = Batch(
    """SELECT m.id FROM v JOIN messages m ON m.organization_id = v.organization_id
         AND m.address_key = v.address_key
       WHERE m.campaign_id = v.campaign_id""",
    organization_id=int,
    campaign_id=bytes,
    address_key=str,
)
_contents = Batch(
    """SELECT c.id, c.links FROM v JOIN contents c ON c.organization_id = v.organization_id AND c.id = v.id
       WHERE c.links IS NOT NULL""",
    organization_id=int,
    id=bytes,
)
_last_attempts = Batch(
    """SELECT a.message_id, a.started_at, a.bounce_class, a.reply, a.code, a.enhanced FROM v
       JOIN messages m ON m.organization_id = v.organization_id AND m.id = v.id
       JOIN attempts a ON a.organization_id = m.organization_id AND a.message_id = m.id
         AND a.number = m.attempts""",
    organization_id=int,
    id=bytes,
)
_page = Statement(
    """SELECT id FROM messages WHERE organization_id = :organization_id AND campaign_id = :campaign_id
       ORDER BY id LIMIT :limit OFFSET :offset"""
)
_page_of_status = Statement(
    """SELECT id FROM messages WHERE organization_id = :organization_id AND campaign_id = :campaign_id
         AND status = :status ORDER BY id LIMIT :limit OFFSET :offset"""
)


def page(
    tx: Tx,
    organization_id: int,
    campaign_id: RowId,
    *,
    statuses: Sequence[Status] = (),
    limit: int,
    offset: int,
) -> list[RowId]:
    """Ids of a campaign's messages past the first `offset`: those of one status after the other; in order."""
    of_campaign = {"organization_id": organization_id, "campaign_id": campaign_id}
    if not statuses:
        return [row[0] for row in _page(tx, **of_campaign, limit=limit, offset=offset)]
    found: list[RowId] = []
    for status in statuses:
        rows = _page_of_status(tx, **of_campaign, status=int(status), limit=limit - len(found), offset=offset)
        found += [row[0] for row in rows]
        if len(found) == limit:
            break
        if status is not statuses[-1]:
            offset = 0 if rows else offset - count(tx, organization_id, campaign_id, [status], most=offset)
    return found


def count(
    tx: Tx,
    organization_id: int,
    campaign_id: RowId,
    statuses: Sequence[Status] = (),
    *,
    most: int = COUNT_MAX + 1,
) -> int:
    """How many there are, counted to `most`."""
    query = select(messages.c.id).where(
        messages.c.organization_id == organization_id, messages.c.campaign_id == campaign_id
    )
    if statuses:
        query = query.where(messages.c.status.in_([int(status) for status in statuses]))
    return tx.execute(select(func.count()).select_from(query.limit(most).subquery())).scalar_one()


def recipients(tx: Tx, organization_id: int, ids: Sequence[RowId]) -> list[Recipient]:
    """Messages in the order of these ids; those that are no more are left out."""
    found = {
        row[1]: Recipient(Status(row[0]), *row[1:])
        for row in _recipients(tx, [(organization_id, message_id) for message_id in ids])
    }
    return [found[message_id] for message_id in ids if message_id in found]


def of_addresses(
    tx: Tx, organization_id: int, campaign_id: RowId, address_keys: Iterable[str]
) -> list[RowId]:
    """Ids of a campaign's messages to some addresses, in order."""
    rows = [(organization_id, campaign_id, key) for key in sorted(set(address_keys))]
    return sorted(row[0] for row in _of_addresses(tx, rows))


def last_attempts(tx: Tx, organization_id: int, ids: Sequence[RowId]) -> dict[RowId, LastAttempt]:
    """What the far end said last, by message."""
    rows = _last_attempts(tx, [(organization_id, message_id) for message_id in ids])
    return {row[0]: LastAttempt(*row[1:]) for row in rows}


def links_of(tx: Tx, contents: Iterable[tuple[int, RowId]]) -> dict[RowId, list[str]]:
    """The links of contents by their index, of (organization, content) pairs; those of none are left out."""
    return {row[0]: json.loads(row[1]) for row in _contents(tx, sorted(set(contents)))}
