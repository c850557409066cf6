"""The SQL of campaigns, of the recipients they name, and of their runs."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, insert, or_, select, tuple_, update

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Batch, insert_batch
from postrider.engine.sending.campaigns.model import CampaignStatus, Target
from postrider.engine.sending.tables import campaign_recipients, campaigns, runs
from postrider.kit import clock, json
from postrider.kit.ids import RowId

COUNT_MAX = 100_000  # as far as a list is counted

SENT_AT = "sent_at"
_SENT_AT = case((campaigns.c.status == CampaignStatus.SENT.value, campaigns.c.ended_at), else_=None)
_HALTED = f"('{CampaignStatus.PAUSED.value}', '{CampaignStatus.CANCELLED.value}')"
_insert_recipients = insert_batch(
    campaign_recipients, "organization_id", "list_id", "number", "address", "address_key", "vars"
)
_statuses = Batch(
    f"""SELECT c.organization_id, c.id, c.status FROM v JOIN campaigns c
        ON c.organization_id = v.organization_id AND c.id = v.id WHERE c.status IN {_HALTED}""",  # noqa: S608
    organization_id=int,
    id=bytes,
)


def insert_campaign(tx: Tx, **values: Any) -> None:
    tx.execute(insert(campaigns).values(**values))


def one(tx: Tx, organization_id: int, campaign_id: RowId) -> AnyRow | None:
    return tx.execute(select(campaigns).where(*_is(organization_id, campaign_id))).one_or_none()


def hold(tx: Tx, organization_id: int, campaign_id: RowId) -> AnyRow | None:
    """As one; nobody else changes it before this transaction ends."""
    return tx.execute(
        select(campaigns).where(*_is(organization_id, campaign_id)).with_for_update()
    ).one_or_none()


def change(tx: Tx, organization_id: int, campaign_id: RowId, **values: Any) -> None:
    tx.execute(update(campaigns).where(*_is(organization_id, campaign_id)).values(**values))


def count_made(tx: Tx, organization_id: int, campaign_id: RowId, accepted: int, skipped: int) -> None:
    """More messages of it, and more of those left out."""
    tx.execute(
        update(campaigns)
        .where(*_is(organization_id, campaign_id))
        .values(accepted=campaigns.c.accepted + accepted, skipped=campaigns.c.skipped + skipped)
    )


def delete_campaign(tx: Tx, organization_id: int, campaign_id: RowId) -> None:
    tx.execute(delete(campaigns).where(*_is(organization_id, campaign_id)))


def page(
    tx: Tx,
    organization_id: int,
    *,
    sort: str,
    is_descending: bool,
    after: tuple[int | str | bytes, RowId] | None = None,
    offset: int = 0,
    limit: int,
    **narrowed: Any,
) -> list[AnyRow]:
    """Campaigns by `sort`, a column or sent_at (no time counts as 0), then by id, past `after`."""
    by: ColumnElement[Any] = _SENT_AT if sort == SENT_AT else campaigns.c[sort]
    if sort.endswith("_at"):
        by = func.coalesce(by, 0)
    id_ = campaigns.c.id
    query = _narrowed(organization_id, **narrowed).with_only_columns(id_)
    if after is not None:
        value, last_id = after
        beyond, further = (by < value, id_ < last_id) if is_descending else (by > value, id_ > last_id)
        query = query.where(or_(beyond, and_(by == value, further)))
    order = (by.desc(), id_.desc()) if is_descending else (by.asc(), id_.asc())
    # Ids are put in order first: contents may be large, and only a page's are to be read.
    chosen = query.order_by(*order).limit(limit).offset(offset).subquery()
    rows = select(campaigns).join(chosen, chosen.c.id == id_)
    return list(tx.execute(rows.where(campaigns.c.organization_id == organization_id).order_by(*order)))


def count(tx: Tx, organization_id: int, **narrowed: Any) -> int:
    """How many, counted to COUNT_MAX."""
    found = (
        _narrowed(organization_id, **narrowed).with_only_columns(campaigns.c.id).limit(COUNT_MAX).subquery()
    )
    return tx.execute(select(func.count()).select_from(found)).scalar_one()


def ids(tx: Tx, organization_id: int, **narrowed: Any) -> list[RowId]:
    """Those of the list, COUNT_MAX at most."""
    found = _narrowed(organization_id, **narrowed).with_only_columns(campaigns.c.id).limit(COUNT_MAX)
    return list(tx.execute(found).scalars())


def claim_due(tx: Tx, limit: int, held_ms: int) -> list[AnyRow]:
    """Campaigns that a worker has to look after; others see them again only after `held_ms`."""
    now = clock.now_ms()
    key = tuple_(campaigns.c.organization_id, campaigns.c.id)
    due = (
        select(campaigns.c.organization_id, campaigns.c.id)
        .where(campaigns.c.next_at <= now)
        .order_by(campaigns.c.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(
        tx.execute(update(campaigns).where(key.in_(due)).values(next_at=now + held_ms).returning(campaigns))
    )


def halted(tx: Tx, pairs: Collection[tuple[int, RowId]]) -> dict[tuple[int, RowId], CampaignStatus]:
    """Those of (organization, campaign) that are paused or cancelled: they stay so in this transaction."""
    found = {(row[0], row[1]): CampaignStatus(row[2]) for row in _statuses(tx, sorted(pairs))}
    if not found or tx.dialect.name == "sqlite":
        return found
    # A resumption that comes now must find what we lay aside: it waits until this transaction has ended.
    own = campaigns.c
    held = tx.execute(
        select(own.organization_id, own.id, own.status)
        .where(tuple_(own.organization_id, own.id).in_(sorted(found)))
        .with_for_update(read=True)
    )
    halts = (CampaignStatus.PAUSED, CampaignStatus.CANCELLED)
    return {(row[0], row[1]): CampaignStatus(row[2]) for row in held if row[2] in halts}


def insert_recipients(
    tx: Tx, organization_id: int, list_id: RowId, targets: Sequence[Target], first: int
) -> None:
    """Numbered from `first` on."""
    _insert_recipients(
        tx,
        [
            (organization_id, list_id, number, target.address, target.address_key, _told(target.values))
            for number, target in enumerate(targets, first)
        ],
    )


def recipients(tx: Tx, organization_id: int, list_id: RowId, *, after: int = -1, limit: int) -> list[AnyRow]:
    """(number, address, address_key, vars) past a number."""
    own = campaign_recipients.c
    return list(
        tx.execute(
            select(own.number, own.address, own.address_key, own.vars)
            .where(own.organization_id == organization_id, own.list_id == list_id, own.number > after)
            .order_by(own.number)
            .limit(limit)
        )
    )


def count_recipients(tx: Tx, organization_id: int, list_ids: Sequence[RowId]) -> dict[RowId, int]:
    own = campaign_recipients.c
    rows = tx.execute(
        select(own.list_id, func.count())
        .where(own.organization_id == organization_id, own.list_id.in_(list(list_ids)))
        .group_by(own.list_id)
    )
    return {row[0]: row[1] for row in rows}


def delete_recipients(tx: Tx, organization_id: int, list_id: RowId) -> None:
    own = campaign_recipients.c
    tx.execute(
        delete(campaign_recipients).where(own.organization_id == organization_id, own.list_id == list_id)
    )


def insert_run(tx: Tx, **values: Any) -> None:
    tx.execute(insert(runs).values(accepted=0, skipped=0, **values))


def run(tx: Tx, organization_id: int, run_id: RowId) -> AnyRow | None:
    return tx.execute(
        select(runs).where(runs.c.organization_id == organization_id, runs.c.id == run_id)
    ).one_or_none()


def runs_of(tx: Tx, organization_id: int, campaign_id: RowId, limit: int) -> list[AnyRow]:
    """Oldest first."""
    return list(
        tx.execute(
            select(runs)
            .where(runs.c.organization_id == organization_id, runs.c.campaign_id == campaign_id)
            .order_by(runs.c.id)
            .limit(limit)
        )
    )


def open_runs(tx: Tx, organization_id: int, campaign_id: RowId) -> list[RowId]:
    """Those of which messages are still to be made."""
    of_campaign = (runs.c.organization_id == organization_id, runs.c.campaign_id == campaign_id)
    return list(tx.execute(select(runs.c.id).where(*of_campaign, runs.c.ended_at.is_(None))).scalars())


def count_run(tx: Tx, organization_id: int, run_id: RowId, accepted: int, skipped: int) -> None:
    tx.execute(
        update(runs)
        .where(runs.c.organization_id == organization_id, runs.c.id == run_id)
        .values(accepted=runs.c.accepted + accepted, skipped=runs.c.skipped + skipped)
    )


def end_run(tx: Tx, organization_id: int, run_id: RowId) -> None:
    tx.execute(
        update(runs)
        .where(runs.c.organization_id == organization_id, runs.c.id == run_id, runs.c.ended_at.is_(None))
        .values(ended_at=clock.now_ms())
    )


def _is(organization_id: int, campaign_id: RowId) -> tuple[ColumnElement[bool], ...]:
    return campaigns.c.organization_id == organization_id, campaigns.c.id == campaign_id


def _told(values: dict[str, Any] | None) -> str | None:
    return None if values is None else json.dumps(values)


def _narrowed(
    organization_id: int,
    *,
    kinds: Sequence[str],
    statuses: Sequence[str] = (),
    name: str | None = None,
    created_after: int | None = None,
) -> Select[Any]:
    query = select(campaigns).where(
        campaigns.c.organization_id == organization_id, campaigns.c.kind.in_(list(kinds))
    )
    if statuses:
        query = query.where(campaigns.c.status.in_(list(statuses)))
    if name is not None:
        query = query.where(campaigns.c.name == name)
    if created_after is not None:
        query = query.where(campaigns.c.created_at > created_after)
    return query
