"""The SQL of goals, conversions and their sums."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, insert, select

from postrider.db.database import AnyRow, Tx
from postrider.db.portable import Batch, PerRow, Statement, insert_batch
from postrider.engine.audience.model import EngagementKind
from postrider.engine.insight.coarse import Piece
from postrider.engine.insight.conversions.model import Attribution, Conversion, Goal, Kind, Sum
from postrider.engine.insight.conversions.rules import Touch
from postrider.engine.insight.conversions.tables import conversions, goals, revenue_rollups
from postrider.kit import json
from postrider.kit.ids import ID_BYTES, RowId, id_floor

NONE = bytes(ID_BYTES)  # no goal, no campaign
ALL_TIME = 0  # the step, and the bucket, of a sum over all time
_CONVERSION = (
    "organization_id", "id", "goal_id", "contact_id", "campaign_id", "attribution", "amount_mils", "currency",
    "order_id", "metadata", "occurred_at", "created_at",
)  # fmt: skip
_GOAL = tuple(column.name for column in goals.c)
_PLACE = ("organization_id", "step_ms", "bucket", "campaign_id", "kind", "currency")

_put = insert_batch(
    conversions, *_CONVERSION,
    tail="""ON CONFLICT (organization_id, order_id, goal_id) WHERE order_id IS NOT NULL
            DO NOTHING RETURNING id""",
)  # fmt: skip
_add = insert_batch(
    revenue_rollups, *_PLACE, "times", "amount_mils",
    tail=f"""ON CONFLICT ({", ".join(_PLACE)}) DO UPDATE SET times = revenue_rollups.times + excluded.times,
             amount_mils = revenue_rollups.amount_mils + excluded.amount_mils
             RETURNING step_ms, amount_mils""",
)  # fmt: skip
_met = Statement(
    """UPDATE goals SET conversions = conversions + 1
       WHERE organization_id = :organization_id AND id = :goal_id"""
)
# A contact's rows stand in the order of their events, which is that of time but for a node's clock.
_touched = Statement(
    """SELECT at, campaign_id FROM engagements
       WHERE organization_id = :organization_id AND kind = :kind AND contact_id = :contact_id
         AND event_id >= :since AND at <= :until AND is_human = 1 AND campaign_id IS NOT NULL
       ORDER BY event_id DESC LIMIT 1"""
)
_campaigns = Batch(
    """SELECT c.id, c.name FROM v
       JOIN campaigns c ON c.organization_id = v.organization_id AND c.id = v.id""",
    organization_id=int,
    id=bytes,
)
_totals = Batch(
    f"""SELECT r.campaign_id, r.kind, r.times, r.amount_mils FROM v
        JOIN revenue_rollups r ON r.organization_id = v.organization_id AND r.step_ms = {ALL_TIME}
          AND r.bucket = {ALL_TIME} AND r.campaign_id = v.campaign_id AND r.currency = v.currency""",  # noqa: S608
    organization_id=int,
    campaign_id=bytes,
    currency=str,
)


def _sums_of(told: str, narrowed: str, grouped: str) -> PerRow:
    """Sums of the rows of a piece; `told`: what beside them, by which they are grouped."""
    return PerRow(
        f"""SELECT :span AS span, {told} CAST(SUM(r.times) AS BIGINT) AS times,
              CAST(SUM(r.amount_mils) AS BIGINT) AS amount_mils FROM revenue_rollups r
            WHERE r.organization_id = :organization_id AND r.step_ms = :step_ms AND r.bucket >= :since
              AND r.bucket < :until AND r.currency = :of_currency AND {narrowed} {grouped}""",  # noqa: S608
        span=int,
        organization_id=int,
        step_ms=int,
        since=int,
        until=int,
        of_currency=str,
        of_campaign=bytes,
    )


_ORDERS = f"r.kind = {int(Kind.ORDER)}"
_by_span = _sums_of("", _ORDERS, "")
_by_campaign = _sums_of("r.campaign_id,", _ORDERS, "GROUP BY r.campaign_id")
_of_campaign = _sums_of("r.kind,", "r.campaign_id = :of_campaign", "GROUP BY r.kind")
_forget = Batch(
    """UPDATE conversions SET contact_id = NULL, metadata = NULL FROM v
       WHERE conversions.organization_id = v.organization_id AND conversions.contact_id = v.contact_id""",
    organization_id=int,
    contact_id=bytes,
)


def put_goal(tx: Tx, goal: Goal) -> None:
    tx.execute(insert(goals).values(**{name: getattr(goal, name) for name in _GOAL}))


def goal(tx: Tx, organization_id: int, goal_id: RowId) -> Goal | None:
    found = tx.execute(_goals(organization_id).where(goals.c.id == goal_id)).one_or_none()
    return None if found is None else Goal(*found)


def goal_by_name(tx: Tx, organization_id: int, name: str) -> Goal | None:
    found = tx.execute(_goals(organization_id).where(goals.c.name == name)).one_or_none()
    return None if found is None else Goal(*found)


def goals_page(tx: Tx, organization_id: int, *, limit: int, offset: int) -> list[Goal]:
    """The newest first."""
    query = _goals(organization_id).order_by(goals.c.id.desc()).limit(limit).offset(offset)
    return [Goal(*row) for row in tx.execute(query)]


def count_goals(tx: Tx, organization_id: int) -> int:
    return tx.execute(select(func.count()).where(goals.c.organization_id == organization_id)).scalar_one()


def _goals(organization_id: int) -> Any:
    return select(goals).where(goals.c.organization_id == organization_id)


def put(tx: Tx, new: Conversion) -> bool:
    """Whether it was not told before: of the same goal, or of none, with the same order."""
    row = (
        new.organization_id, new.id, new.goal_id or NONE, new.contact_id, new.campaign_id,
        int(new.attribution), new.amount_mils, new.currency, new.order_id,
        None if new.metadata is None else json.dumps(new.metadata), new.occurred_at, new.created_at,
    )  # fmt: skip
    return bool(_put(tx, [row]))


def of_order(tx: Tx, organization_id: int, goal_id: RowId | None, order_id: str) -> Conversion:
    """The conversion that has an order, which is known to be there."""
    table = conversions.c
    its = table.organization_id == organization_id, table.order_id == order_id
    query = select(conversions).where(*its, table.goal_id == (goal_id or NONE))
    return _conversion(tx.execute(query).one())


def count(tx: Tx, new: Conversion, steps: Sequence[int]) -> int:
    """Add a conversion to the sums of these steps (ms) and of all time; answers its campaign's, in mils."""
    kind = Kind.GOAL if new.goal_id is not None else Kind.ORDER
    buckets = {step: new.occurred_at - new.occurred_at % step for step in steps} | {ALL_TIME: ALL_TIME}
    rows = [
        (new.organization_id, step, buckets[step], new.campaign_id or NONE, int(kind), new.currency, 1,
         new.amount_mils)
        for step in sorted(buckets)
    ]  # fmt: skip
    sums = dict(_add(tx, rows))
    if new.goal_id is not None:
        _met(tx, organization_id=new.organization_id, goal_id=new.goal_id)
    return int(sums[ALL_TIME])


def touched(
    tx: Tx, organization_id: int, contact_id: RowId, kind: EngagementKind, *, since: int, until: int
) -> Touch | None:
    """The last time (ms) a contact itself opened, or clicked in, the mail of a campaign."""
    for at, campaign_id in _touched(
        tx, organization_id=organization_id, contact_id=contact_id, kind=int(kind),
        since=id_floor(since), until=until,
    ):  # fmt: skip
        return Touch(at, campaign_id)
    return None


def campaigns(tx: Tx, organization_id: int, ids: Iterable[RowId]) -> dict[RowId, str]:
    """The names of those that are campaigns of the organization."""
    return dict(_campaigns(tx, [(organization_id, each) for each in sorted(set(ids))]))


def totals(
    tx: Tx, organization_id: int, ids: Iterable[RowId], currency: str
) -> dict[tuple[RowId, Kind], Sum]:
    """All that campaigns have brought, by campaign and kind; nothing, no key."""
    rows = [(organization_id, each, currency) for each in sorted(set(ids))]
    return {(row[0], Kind(row[1])): Sum(row[2], row[3]) for row in _totals(tx, rows)}


def by_span(tx: Tx, organization_id: int, pieces: Iterable[Piece], currency: str) -> dict[int, Sum]:
    """Revenue by the span that pieces are of; nothing, no key."""
    times, amounts = Counter[int](), Counter[int]()
    for span, count, amount in _by_span(tx, _pieces(organization_id, pieces, currency)):
        if count:
            times[span] += count
            amounts[span] += amount
    return {span: Sum(times[span], amounts[span]) for span in times}


def by_campaign(tx: Tx, organization_id: int, pieces: Iterable[Piece], currency: str) -> dict[RowId, Sum]:
    """Revenue of all pieces together by campaign; what is no campaign's is left out."""
    times, amounts = Counter[RowId](), Counter[RowId]()
    for _, campaign_id, count, amount in _by_campaign(tx, _pieces(organization_id, pieces, currency)):
        if campaign_id != NONE:
            times[campaign_id] += count
            amounts[campaign_id] += amount
    return {each: Sum(times[each], amounts[each]) for each in times}


def of_campaign(
    tx: Tx, organization_id: int, campaign_id: RowId, pieces: Iterable[Piece], currency: str
) -> dict[Kind, Sum]:
    """What one campaign brought in all pieces together, by kind; nothing, no key."""
    times, amounts = Counter[Kind](), Counter[Kind]()
    for _, kind, count, amount in _of_campaign(tx, _pieces(organization_id, pieces, currency, campaign_id)):
        times[Kind(kind)] += count
        amounts[Kind(kind)] += amount
    return {kind: Sum(times[kind], amounts[kind]) for kind in times}


def forget(tx: Tx, contacts: Sequence[tuple[int, RowId]]) -> None:
    """Who it was of (organization, contact) pairs, and what their customers wrote of them."""
    if contacts:
        _forget(tx, contacts)


def _pieces(
    organization_id: int, pieces: Iterable[Piece], currency: str, campaign_id: RowId = NONE
) -> list[tuple[Any, ...]]:
    return [
        (span, organization_id, step, since, until, currency, campaign_id)
        for span, step, since, until in pieces
    ]


def _conversion(row: AnyRow) -> Conversion:
    goal_id = None if row.goal_id == NONE else row.goal_id
    return Conversion(
        row.organization_id, row.id, goal_id, row.contact_id, row.campaign_id,
        Attribution(row.attribution), row.amount_mils, row.currency, row.order_id, row.metadata,
        row.occurred_at, row.created_at,
    )  # fmt: skip
